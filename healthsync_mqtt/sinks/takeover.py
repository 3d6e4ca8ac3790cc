"""A bridge joins an installation, or takes users over: everything of theirs that another bridge's directory holds.

What makes their points the same points: pseudonyms, series, and where a point had to be moved. What makes a repeat a
duplicate and keeps corrections and deletions: their rows of the log.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt.errors import ConflictError, NotFoundError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.kinds import known_pseudonyms
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.storage.opening import has_log, open_log, open_reader
from healthsync_mqtt.storage.takeover import take_over


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What came of it: ``events`` rows that were new here, and the sinks of both."""

    events: int
    sinks: tuple[str, ...]


def join(data: Path, other: Path, shard: Shard) -> Joined:
    """Make ``data`` know what ``other`` knows, as far as it is of ``shard``'s users. Neither bridge may run.

    May be done again. ConflictError when both wrote points of one user under different names; UnavailableError while
    one of them runs; RestoredError when a log is not the one that was there.
    """
    if data.resolve() == other.resolve():
        raise ConflictError("a bridge does not join itself", hint="name the data directory of another bridge")
    if not has_log(other):
        raise NotFoundError(f"there is no event log in {other}", hint="name the data directory of another bridge")
    own_sinks, other_sinks = Sinks(data), Sinks(other)
    own_sinks.prepare()
    with ExitStack() as stack:
        stack.enter_context(open_log(other))  # nobody writes there meanwhile
        other_sinks.prepare()  # a bridge that never had a sink has no place for names
        log = stack.enter_context(open_log(data))
        pseudonyms, theirs = known_pseudonyms(own_sinks), known_pseudonyms(other_sinks)
        stack.callback(pseudonyms.close)
        stack.callback(theirs.close)
        pseudonyms.join(theirs.names())
        shared = sorted(set(own_sinks.names()) & set(other_sinks.names()))
        for name in shared:
            if other_sinks.ledger(name).exists():
                _join_ledgers(stack, own_sinks, other_sinks, name, shard)
        own, reader = stack.enter_context(open_reader(data)), stack.enter_context(open_reader(other))
        one_log = own.epoch == reader.epoch
        events = 0 if one_log else take_over(log, own, reader, shard.owns, CATALOGUE)
    return Joined(events=events, sinks=tuple(shared))


def _join_ledgers(stack: ExitStack, own: Sinks, other: Sinks, name: str, shard: Shard) -> None:
    ledger, theirs = SinkLedger.open(own.ledger(name)), SinkLedger.open(other.ledger(name))
    stack.callback(ledger.close)
    stack.callback(theirs.close)
    ledger.join(theirs.places(shard.owns))
