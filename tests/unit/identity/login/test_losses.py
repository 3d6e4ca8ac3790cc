"""What a loss was: a right that ended takes everything with it, one that is another now is still a right."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import NOTHING_DECLARED

NOW_US = 1_795_000_000_000_000

Change = Callable[[Registry], object]


def granted(**changes: object) -> Change:
    def change(registry: Registry) -> None:
        with registry.write():
            registry._tables.update("subscribers", "app", changes)

    return change


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as made:
        for user in ("alice", "bob"):
            made.add_user(user, "all", NOW_US)
        made.add_subscriber("app", ["alice", "bob"], ["steps", "weight"], NOW_US)
        made.add_device("alice", "watch", NOW_US)
        yield made


ANOTHER: dict[str, Change] = {
    "one user fewer": granted(users='["bob"]'),
    "other users": granted(users='["carol"]'),
    "one user more": granted(users='["alice", "bob", "carol"]'),
    "all users": granted(users="*"),
    "one type fewer": granted(types='["steps"]'),
    "batches": granted(batches=1),
}
ENDED: dict[str, Change] = {
    "nobody": granted(users="[]"),
    "nothing": granted(types="[]"),
    "removed": lambda registry: registry.remove_subscriber("app", NOW_US),
    "suspended": lambda registry: registry.revocation.suspend_subscriber("app", NOW_US),
    "revoked": lambda registry: registry.revocation.revoke_subscriber_tokens("app"),
}


@pytest.mark.parametrize("whole_reading", [False, True])
@pytest.mark.parametrize(
    ("change", "ended"),
    [*((each, False) for each in ANOTHER.values()), *((each, True) for each in ENDED.values())],
    ids=[*ANOTHER, *ENDED],
)
def test_a_loss_says_whether_anything_is_left(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, change: Change, ended: bool, whole_reading: bool
) -> None:
    directory = Directory(registry)
    change(registry)
    if whole_reading:
        monkeypatch.setattr(registry, "since", lambda *_: None)
    directory.catch_up()
    lost = directory.lost()
    assert {client_id: loss.whole for client_id, loss in lost.items()} == {"app": ended}
    directory.told(lost)
    assert directory.lost() == {}


@pytest.mark.parametrize("first", ["ended", "another"])
def test_of_two_losses_before_either_had_its_effect_the_whole_one_counts(registry: Registry, first: str) -> None:
    directory = Directory(registry)
    changes = [ENDED["revoked"], ANOTHER["one user fewer"]]
    for change in changes if first == "ended" else reversed(changes):
        change(registry)
        directory.catch_up()
    assert directory.lost()["app"].whole


def test_a_loss_that_came_after_the_others_were_taken_stays(registry: Registry) -> None:
    directory = Directory(registry)
    ANOTHER["one user fewer"](registry)
    directory.catch_up()
    taken = directory.lost()
    ENDED["revoked"](registry)
    directory.catch_up()
    directory.told(taken)
    assert directory.lost()["app"].whole


def test_a_device_that_is_removed_and_one_whose_password_is_another_have_ended(registry: Registry) -> None:
    device = registry.add_device("alice", "phone", NOW_US)
    registry.apps.add(device, ["openscale"], NOTHING_DECLARED, hashed_password(new_password()), NOW_US)
    directory = Directory(registry)
    registry.remove_device("alice", "watch", NOW_US)
    registry.apps.rotate(device.client_id, hashed_password(new_password()), NOW_US)
    directory.catch_up()
    lost = {client_id: loss.whole for client_id, loss in directory.lost().items()}
    assert lost == {"alice-watch": True, "alice-phone": True}
