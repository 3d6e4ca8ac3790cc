"""Who may be fetched: the registry is read once for each state of it, and what changes holds at once."""

from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.user_standing import RegisteredPeople, UserStanding
from healthsync_mqtt.identity.registry import Registry
from tests.unit.adapters.test_fetch import NOW_US


def test_the_registry_is_read_once_for_each_state_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("ann", ["steps"], NOW_US - 10)
        user = registry.user

        def counted(name: str) -> Any:
            reads.append(name)
            return user(name)

        monkeypatch.setattr(registry, "user", counted)
        people = RegisteredPeople(registry, now_us=lambda: NOW_US)
        for _ in range(100):
            assert people.standing("ann") is UserStanding.here
        assert reads == ["ann"]
        registry.consent.withdraw("ann", "*", NOW_US - 5, recorded_by="test")
        assert people.standing("ann") is UserStanding.held
        assert reads == ["ann", "ann"]


def test_what_ends_by_the_clock_is_seen_within_a_second(tmp_path: Path) -> None:
    now = [NOW_US]
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("ann", None, NOW_US - 10)
        registry.consent.grant("ann", ["steps"], NOW_US - 5, recorded_by="test", expires_us=NOW_US + 60_000_000)
        people = RegisteredPeople(registry, now_us=lambda: now[0])
        assert people.standing("ann") is UserStanding.here
        now[0] += 61_000_000
        assert people.standing("ann") is UserStanding.held
        now[0] -= 61_000_000
        assert people.standing("ann") is UserStanding.here, "a clock that was set back"
