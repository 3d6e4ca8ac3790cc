"""A clock that was behind when an event was received takes nothing of it away that the user has agreed to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, Permissions, Purpose, in_force
from healthsync_mqtt.identity.registry import Registry

GRANTED, BEHIND, LATER = 1_000, 10, 2_000


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as opened:
        opened.add_user("alice", "all", GRANTED)
        yield opened


def covered(permissions: Permissions, purpose: Purpose, received: int, type_name: str = "heart_rate") -> bool:
    return permissions[purpose].get("alice", NO_PERMISSION).span(type_name).covers(received, 5_000)


def both(registry: Registry) -> list[Permissions]:
    """The short way of users who have decided once, and the long one."""
    return [registry.consent.permissions(), in_force(registry.consent.history("alice"))]


@pytest.mark.parametrize("purpose", [Purpose.store, Purpose.share])
def test_the_first_consent_covers_whatever_is_stored(registry: Registry, purpose: Purpose) -> None:
    assert [covered(each, purpose, BEHIND) for each in both(registry)] == [True, True]


def test_what_came_before_a_later_consent_to_share_is_not_shared(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("alice", None, 1)
        registry.consent.grant("alice", "*", GRANTED, purposes=[Purpose.store], recorded_by="test")
        registry.consent.grant("alice", "*", LATER, purposes=[Purpose.share], recorded_by="test")
        assert [covered(each, Purpose.share, LATER - 1) for each in both(registry)] == [False, False]
        assert [covered(each, Purpose.store, BEHIND) for each in both(registry)] == [True, True]


def test_what_came_before_a_withdrawal_is_not_covered_by_a_new_consent(registry: Registry) -> None:
    registry.consent.withdraw("alice", ["heart_rate"], LATER, recorded_by="test")
    registry.consent.grant("alice", "*", LATER + 10, recorded_by="test")
    for permissions in both(registry):
        for purpose in (Purpose.store, Purpose.share):
            assert not covered(permissions, purpose, LATER - 1)
            assert covered(permissions, purpose, BEHIND, "steps")
