"""The suites of the stores are tried themselves: each clause fails for something, and nothing is broken unseen."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.client import MemoryOutbox
from healthsync_mqtt.client.outbox import Outbox
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import EventLog, LogReader
from healthsync_mqtt.testing.log_contract import EventLogContract, Store
from healthsync_mqtt.testing.outbox_contract import OutboxContract
from tests.support.deaf import Deaf, fails, faults, members

ELSEWHERE = {
    "close": "comes after everything else: the suites leave it to their fixtures",
    "seal_older": "does nothing in memory: tests/unit/storage/test_late_sealing.py",
    "anchor": "is seen outside of the log alone: tests/unit/storage/test_anchor.py",
    "scrub": "is seen in files alone: tests/unit/bridge/jobs/test_erasures.py",
    "put_off": "may do nothing: tests/unit/storage/sqlite/test_put_off.py",
    "owes": "the same",
    "keep_lock": "does nothing where nobody else can have it: tests/integration/test_postgres_log.py",
}
"""What no clause can find missing."""


def log_with(port: type | None = None, name: str = "", *, stuck: bool = False) -> Store:
    memory = MemoryEventLog()
    log: Any = memory
    reader: Any = memory.reader()
    if port is EventLog:
        log = Deaf(log, port, name, stuck=stuck)
    elif port is LogReader:
        reader = Deaf(reader, port, name, stuck=stuck)
    return Store(log, reader)


def outbox_with(port: type | None = None, name: str = "", *, stuck: bool = False) -> Any:
    return MemoryOutbox() if port is None else Deaf(MemoryOutbox(), port, name, stuck=stuck)


SUITES: dict[type, tuple[tuple[type, ...], Callable[..., Any]]] = {
    EventLogContract: ((EventLog, LogReader), log_with),
    OutboxContract: ((Outbox,), outbox_with),
}


def clauses(suite: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(suite, inspect.isfunction) if name.startswith("test_")]


def broken(suite: type, clause: str, *fault: Any) -> bool:
    """Whether the clause finds this fault; without one it passes."""
    made = SUITES[suite][1](*fault[:2], **({"stuck": fault[2]} if fault else {}))
    return fails(lambda: getattr(suite(), clause)(made))


@pytest.mark.parametrize(("suite", "clause"), [(s, c) for s in SUITES for c in clauses(s)])
def test_a_clause_passes_when_all_works_and_fails_for_something(suite: type, clause: str) -> None:
    assert not broken(suite, clause)
    ports, _ = SUITES[suite]
    assert any(broken(suite, clause, port, *fault) for port in ports for fault in faults(members(port)))


@pytest.mark.parametrize(
    ("suite", "port", "name"),
    [(s, p, n) for s, (ports, _) in SUITES.items() for p in ports for n in members(p) if n not in ELSEWHERE],
)
def test_what_does_nothing_is_found(suite: type, port: type, name: str) -> None:
    assert any(broken(suite, clause, port, name, False) for clause in clauses(suite)), f"{port.__name__}.{name}"
