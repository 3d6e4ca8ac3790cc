"""Backups and who was erased: the ledger lies beside the sets, and a set says which erasures it already has."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.identity import erasure_ledger
from healthsync_mqtt.identity.erasure_ledger import LedgerEntry
from healthsync_mqtt.identity.erasure_recall import recall
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.opening import open_reader

LEDGER: Final = "erasures.jsonl"


class KnownErasures(NamedTuple):
    """Erasures by id: those that are complete in a data directory, and those whose name its registry has no more."""

    done: tuple[str, ...]
    forgotten: frozenset[str]


def erasures_in(data: Path) -> KnownErasures:
    """Those that a data directory knows now."""
    with Registry.open(DataPaths(root=data).registry_db) as registry:
        done = registry.erasures.done()
        nameless = (each.id for each in registry.erasures.open() if each.user_id is None)
        return KnownErasures(done, frozenset((*done, *nameless)))


def carry_ledger(data: Path, place: Path) -> None:
    """Let the ledger beside the sets know every erasure of a data directory."""
    erasure_ledger.add(place / LEDGER, erasure_ledger.read(DataPaths(root=data).erasures))


def ledger_of(place: Path, others: Sequence[Path]) -> list[LedgerEntry]:
    """What the ledger beside the sets, and other ledgers, have."""
    files = [place / LEDGER] if place.is_dir() else []
    return list({each.id: each for file in (*files, *others) for each in erasure_ledger.read(file)}.values())


def begin_again(
    data: Path, registry: Registry, named: Iterable[str], entries: Sequence[LedgerEntry], now_us: int
) -> int:
    """Begin the erasures of whom a directory that was put back has, and those that were under way when it was read.

    ``registry`` is the directory's; ``named``: whom other files than that and the log name. How many people that are;
    the start does them first.
    """
    paths = DataPaths(root=data)
    erasure_ledger.add(paths.erasures, entries)
    in_files = set(named)
    if entries and paths.events_db.exists():
        with open_reader(data) as reader:
            in_files.update(reader.users())
    return recall(registry, in_files, entries, now_us, restored=True)
