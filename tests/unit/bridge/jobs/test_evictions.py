"""What goes from a full quarantine is said: the first at once, then once a minute with how many, and nobody's name."""

from typing import Any

import pytest

from bridge.jobs import evictions as module
from bridge.jobs.evictions import Evictions
from healthsync_mqtt.storage.port import LogHealth


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **what: Any) -> None:
        self.lines.append((event, what))


async def test_the_first_at_once_and_the_others_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(module, "log", log)
    now = {"s": 100.0, "evicted": 0}
    evictions = Evictions(lambda: LogHealth(quarantine_evicted=int(now["evicted"])), lambda: now["s"])
    await evictions.look()
    assert log.lines == []
    for s, evicted in ((105, 3), (110, 40), (164, 700), (165, 700), (300, 700), (301, 701), (302, 702)):
        now.update(s=s, evicted=evicted)
        await evictions.look()
    assert [(event, what["evicted"], what["since_start"]) for event, what in log.lines] == [
        ("bridge.quarantine_full", 3, 3),
        ("bridge.quarantine_full", 697, 700),
        ("bridge.quarantine_full", 1, 701),
    ]
    assert all(set(what) == {"evicted", "since_start", "fix"} for _, what in log.lines)
