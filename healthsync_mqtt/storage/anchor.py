"""A small file beside the log that says how far the log was durable, so that an older, cut or swapped log is found.

The log cannot say this of itself: a backup that is put back is whole, and so is a database whose write-ahead log was
lost. The anchor names the epoch, the head and a witness of the row at the head; it is written after the commit of that
row, in one step, and only ever says what is true. It is a little behind: rows lost after it was written are not missed.
"""

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, NamedTuple

from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.errors import StoreError


class Anchor(NamedTuple):
    """The log ``epoch`` had ``head`` rows at least; ``witness`` is a digest of the row at the head, "" for no row."""

    epoch: str
    head: int
    witness: str


class AnchorVerdict(StrEnum):
    """What a log is, seen from its anchor."""

    #: It holds everything that its anchor says.
    WHOLE = "whole"
    #: No anchor: written by a version from before there were any, or new.
    UNANCHORED = "unanchored"
    #: There is an anchor and no log.
    MISSING = "missing"
    #: The anchor is not one.
    UNREADABLE = "unreadable"
    #: Another log, or one of before its last restore.
    OTHER_EPOCH = "other_epoch"
    #: Rows are missing at its end: an older copy, or a write-ahead log that was lost.
    SHORTER = "shorter"
    #: It is long enough, and holds other rows: an older copy that has grown since.
    OTHER_ROWS = "other_rows"


#: With these the log is what this directory had.
SOUND = frozenset({AnchorVerdict.WHOLE, AnchorVerdict.UNANCHORED})

_WORDS = {
    AnchorVerdict.MISSING: "there was an event log here, and it is gone",
    AnchorVerdict.UNREADABLE: "the anchor of the event log cannot be read",
    AnchorVerdict.OTHER_EPOCH: "this is another event log than the one that was here",
    AnchorVerdict.SHORTER: "the event log has lost rows at its end",
    AnchorVerdict.OTHER_ROWS: "the event log holds other rows than the ones that were acknowledged",
}


class RestoredError(StoreError):
    """The log is not the one that this directory had; going on with it in silence could lose acknowledged events."""

    reason = "log_restored"
    retryable: ClassVar[bool] = False


class AnchorComparison(NamedTuple):
    """A log beside its anchor. Numbers are 0 and names empty where there is nothing to tell."""

    verdict: AnchorVerdict
    epoch: str = ""
    head: int = 0
    anchored_epoch: str = ""
    anchored_head: int = 0

    @property
    def sound(self) -> bool:
        """Whether this is the log that was here."""
        return self.verdict in SOUND

    def refuse(self) -> None:
        """RestoredError unless the log is sound."""
        if self.sound:
            return
        numbers = f" (it has {self.head} of {self.anchored_head} rows)" if self.verdict is AnchorVerdict.SHORTER else ""
        raise RestoredError(
            f"{_WORDS[self.verdict]}{numbers}",
            hint="put the right files back, or start with what is there and let devices send their last 72 hours "
            "again: healthsync up --accept-restored (a bridge: healthsync bridge run --accept-restored)",
        )


Acceptance = Callable[[AnchorComparison, str], None]
"""Called with what a log that was put back is, and its new epoch, before it has it. What it raises ends that."""


class UnreadableAnchorError(ValueError):
    """The file is no anchor."""


class AnchorFile:
    """The anchor of one log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Anchor | None:
        """What was written last; None before the first. UnreadableAnchorError when the file is none."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreadableAnchorError from error
        try:
            values = json.loads(content)
            anchor = Anchor(values["epoch"], values["head"], values["witness"])
        except (ValueError, TypeError, KeyError) as error:
            raise UnreadableAnchorError from error
        if [type(value) for value in anchor] != [str, int, str]:
            raise UnreadableAnchorError
        return anchor

    def write(self, anchor: Anchor) -> None:
        """Replace it, on disk when this returns. Raises OSError."""
        write_durably(self._path, json.dumps(anchor._asdict()).encode() + b"\n")
