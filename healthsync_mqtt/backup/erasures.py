"""Backups and who was erased: the ledger lies beside the sets, and a set says which erasures it already has."""

from collections.abc import Sequence
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


def carry_ledger(data: Path, place: Path) -> None:
    """Let the ledger beside the sets know every erasure of a data directory."""
    erasure_ledger.add(place / LEDGER, erasure_ledger.read(DataPaths(root=data).erasures))


def later(place: Path, others: Sequence[Path], known: Sequence[str]) -> list[LedgerEntry]:
    """What the ledger beside the sets, and other ledgers, have that a set does not."""
    files = [place / LEDGER] if place.is_dir() else []
    entries = {each.id: each for file in (*files, *others) for each in erasure_ledger.read(file)}
    return [each for each in entries.values() if each.id not in known]


def begin_again(data: Path, entries: Sequence[LedgerEntry], now_us: int) -> int:
    """Begin these erasures in a directory that was put back, and those that were under way when it was read.

    How many people that are; the start does them first.
    """
    paths = DataPaths(root=data)
    erasure_ledger.add(paths.erasures, entries)
    in_log: list[str] = []
    if entries and paths.events_db.exists():
        with open_reader(data) as reader:
            in_log = reader.users()
    with Registry.open(paths.registry_db) as registry:
        return recall(registry, in_log, entries, now_us, restored=True)
