"""Backups and who was erased: the ledger lies beside the sets, and a set says which erasures it already has."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.identity import erasure_ledger
from healthsync_mqtt.identity.erasure_ledger import LedgerEntry
from healthsync_mqtt.identity.erasure_recall import recall
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.opening import open_reader

LEDGER: Final = "erasures.jsonl"


def erased_in(data: Path) -> tuple[str, ...]:
    """The erasures that are complete in a data directory."""
    with Registry.open(DataPaths(root=data).registry_db) as registry:
        return registry.erasures.done()


def forgotten_in(data: Path) -> frozenset[str]:
    """The erasures after which the registry of a data directory has no name any more; they may not be complete."""
    with Registry.open(DataPaths(root=data).registry_db) as registry:
        named_no_more = (each.id for each in registry.erasures.open() if each.user_id is None)
        return frozenset((*registry.erasures.done(), *named_no_more))


def carry_ledger(data: Path, place: Path) -> None:
    """Let the ledger beside the sets know every erasure of a data directory."""
    erasure_ledger.add(place / LEDGER, erasure_ledger.read(DataPaths(root=data).erasures))


def ledger_of(place: Path, others: Sequence[Path]) -> list[LedgerEntry]:
    """What the ledger beside the sets, and other ledgers, have."""
    files = [place / LEDGER] if place.is_dir() else []
    return list({each.id: each for file in (*files, *others) for each in erasure_ledger.read(file)}.values())


def begin_again(data: Path, named: Iterable[str], entries: Sequence[LedgerEntry], now_us: int) -> int:
    """Begin the erasures of whom a directory that was put back has, and those that were under way when it was read.

    ``named``: whom other files than the log and the registry name. How many people that are; the start does them first.
    """
    paths = DataPaths(root=data)
    erasure_ledger.add(paths.erasures, entries)
    in_files: set[str] = set()
    if entries:
        in_files |= set(named)
        if paths.events_db.exists():
            with open_reader(data) as reader:
                in_files |= set(reader.users())
    with Registry.open(paths.registry_db) as registry:
        return recall(registry, in_files, entries, now_us, restored=True)
