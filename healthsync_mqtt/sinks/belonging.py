"""Whether the sinks of a data directory are those of its log.

Where bridges share a log, one directory of sinks belongs to it: what was shipped, where points lie and under which
names is known there alone. The bridge at home gives the log its own when it starts, so an erasure, which is made at
home, asks the ledgers that know the person. Bridges with a link to that directory may ship, too; any other may not.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.config import CURSOR, Sinks
from healthsync_mqtt.sinks.directory_mark import known_mark, made_mark
from healthsync_mqtt.storage.opening import adopt_sinks, claim_sinks, claimed_sinks

_PAGE: Final = "docs/howto/postgresql.md#sinks-of-several-bridges"


class SinksElsewhereError(UnavailableError):
    """The sinks of the log are in another directory than this one."""

    reason = "sinks_elsewhere"


def mark_here(data: Path) -> str:
    """The mark of the directory of sinks of a data directory; "" while there is none, or it cannot be used."""
    try:
        return known_mark(Sinks(data).directory)
    except (HealthSyncError, OSError):
        return ""


def claim(data: Path, cursors: Mapping[str, int]) -> None:
    """At home: this directory belongs to the log that bridges share, unless another one does.

    Not where sinks have shipped from the log (``cursors``) that are unknown here: their ledgers are elsewhere.
    HealthSyncError, OSError.
    """
    sinks = Sinks(data)
    sinks.prepare()
    mark = made_mark(sinks.directory)
    if not _unknown(sinks, cursors):
        claim_sinks(data, mark)


def adopt(data: Path) -> bool:
    """Let this directory belong to the log, whichever did; False where it did already.

    UnavailableError while a bridge ships from that one. HealthSyncError, OSError.
    """
    if elsewhere(data) is None:
        return False
    sinks = Sinks(data)
    sinks.prepare()
    adopt_sinks(data, made_mark(sinks.directory))
    return True


def elsewhere(data: Path) -> SinksElsewhereError | None:
    """Why no sink is run from this data directory; None: its sinks are the log's. StoreError."""
    claimed = claimed_sinks(data)
    if claimed is None or (claimed and claimed == mark_here(data)):
        return None
    home = BridgePart.read(data).home
    message = "the sinks of the log are in another directory than this bridge's: what was shipped is known there"
    if not claimed:
        message = "the log has no directory of sinks yet: the bridge at home gives it its own when it starts"
        message += ", unless sinks have shipped that are not known there"
    if home:
        return SinksElsewhereError(
            message, hint=f"give this bridge that directory ({_PAGE}); where it is lost: healthsync sink adopt"
        )
    return SinksElsewhereError(message, hint=f"give this bridge a link to it, or take its own away: {_PAGE}")


def refuse_elsewhere(data: Path) -> None:
    """SinksElsewhereError where the sinks of this directory are not the log's, for whoever would write to them."""
    if (fault := elsewhere(data)) is not None:
        raise fault


def worth_a_word(data: Path) -> SinksElsewhereError | None:
    """The same where it matters: sinks or persons wait for it, or nobody has the directory. StoreError."""
    fault = elsewhere(data)
    if fault is None or BridgePart.read(data).home or Sinks(data).names():
        return fault
    return None if claimed_sinks(data) else fault


def _unknown(sinks: Sinks, cursors: Mapping[str, int]) -> list[str]:
    shipped = [name.removeprefix(CURSOR) for name, seq in cursors.items() if name.startswith(CURSOR) and seq]
    return [name for name in shipped if not sinks.ledger(name).exists()]
