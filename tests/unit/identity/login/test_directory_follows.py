"""A directory that follows the changes is what one that reads everything is, and reads no more than what changed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from healthsync_mqtt.errors import ConflictError, NotFoundError
from healthsync_mqtt.identity.consent.decisions import PURPOSES, Permission, Permissions, Purpose, in_force
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.registry import Registry

NOW_US = 1_800_000_000_000_000
USERS = ("alice", "bob", "carol")
DEVICES = ("watch", "phone")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as opened:
        yield opened


class Agreed:
    """What a directory told of consent."""

    def __init__(self) -> None:
        self.now: dict[Purpose, dict[str, Permission]] = {}

    def replace(self, permissions: Permissions) -> None:
        self.now = {purpose: dict(users) for purpose, users in permissions.items()}

    def amend(self, permissions: Permissions) -> None:
        for purpose, users in permissions.items():
            self.now[purpose] |= users


def state(directory: Directory, agreed: Agreed) -> dict[str, Any]:
    lobby = directory.lobby
    return {
        "entries": directory._entries,
        "principals": directory._principals,
        "permissions": agreed.now,
        "revoked": directory.revoked_tokens,
        "denied": directory.denied,
        "families": lobby._families,
        "codes": {handle for handle, code in lobby._enrolments.items() if code.used_us is None},
    }


def changes(registry: Registry, random: Random) -> list[Callable[[int], object]]:
    user, device = random.choice(USERS), random.choice(DEVICES)
    revocation = registry.revocation

    def begin(now: int) -> None:
        with registry.write():
            registry.device(user, device)
            registry.refresh_tokens.begin(user, device, now)

    def redeem(now: int) -> None:
        with registry.write():
            for code in [each for each in registry.enrolments.open(now) if each.used_us is None][:1]:
                registry.enrolments.redeem(code.handle, now)

    return [
        lambda now: registry.add_user(user, "all", now),
        lambda now: registry.remove_user(user, now),
        lambda now: registry.add_device(user, device, now),
        lambda now: registry.add_device(user, device, now),
        lambda now: registry.remove_device(user, device, now),
        lambda now: revocation.suspend_device(user, device, now),
        lambda _: revocation.resume_device(user, device),
        lambda now: revocation.suspend_user(user, now),
        lambda _: revocation.resume_user(user),
        lambda now: revocation.revoke_device_tokens(user, device, now),
        lambda now: revocation.revoke_token(f"t{now % 7}", now),
        lambda now: registry.consent.grant(user, ["steps"], now),
        lambda now: registry.consent.withdraw(user, "*", now),
        lambda now: registry.add_subscriber(f"sub-{user}", [user], "*", now),
        lambda now: registry.remove_subscriber(f"sub-{user}", now),
        lambda now: revocation.suspend_subscriber(f"sub-{user}", now),
        lambda _: revocation.resume_subscriber(f"sub-{user}"),
        lambda now: registry.certificates.revoke(f"{now % 11:x}", now, why="", foreign=True),
        lambda now: registry.enrolments.create(user, device, now),
        redeem,
        begin,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_following_ends_where_reading_everything_ends(registry: Registry, seed: int) -> None:
    random = Random(seed)
    registry.add_admin("root", NOW_US)
    agreed = Agreed()
    following = Directory(registry, agreements=agreed)
    before = set(following._principals)
    for step in range(60):
        for change in random.sample(changes(registry, random), random.randint(1, 4)):
            try:
                change(NOW_US + step * 1_000_000)
            except (NotFoundError, ConflictError):
                continue
        lost = following.refresh()
        anew = Agreed()
        fresh = Directory(registry, agreements=anew)
        assert state(following, agreed) == state(fresh, anew)
        assert before - set(fresh._principals) <= lost, "whoever is gone was told"
        before = set(fresh._principals)


def test_a_change_reads_what_changed_and_nothing_else(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with registry.write():
        for number in range(300):
            registry.add_user(f"u{number}", "all", NOW_US)
            registry.add_device(f"u{number}", "watch", NOW_US)
    directory = Directory(registry)
    monkeypatch.setattr(registry, "roster", lambda: pytest.fail("read everything"))
    read: list[Any] = []

    def counted(reading: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        def call(*query: object) -> list[Any]:
            found = reading(*query)
            read.extend(found)
            return found

        return call

    for way in ("records", "tuples"):  # the others are written in terms of these
        monkeypatch.setattr(registry._tables, way, counted(getattr(registry._tables, way)))
    registry.remove_device("u7", "watch", NOW_US)
    read.clear()
    assert directory.refresh() == {"u7-watch"}
    assert 0 < len(read) < 12
    registry.consent.withdraw("u9", "*", NOW_US)
    read.clear()
    assert directory.refresh() == frozenset()
    assert 0 < len(read) < 20


def test_no_change_goes_through_a_table(registry: Registry) -> None:
    """With DISTINCT, SQLite would rather go through the index of a whole table than look up the newest rows."""
    registry.add_user("alice", "all", NOW_US)
    registry.add_device("alice", "watch", NOW_US)
    directory = Directory(registry)
    connection = registry._tables._db.conn
    asked: list[str] = []
    for change in (
        lambda: registry.consent.withdraw("alice", "*", NOW_US),
        lambda: registry.add_device("alice", "phone", NOW_US),
        lambda: registry.revocation.suspend_user("alice", NOW_US),
        lambda: registry.revocation.resume_user("alice"),
        lambda: registry.remove_device("alice", "watch", NOW_US),
    ):
        change()  # type: ignore[no-untyped-call]
        connection.set_trace_callback(asked.append)
        directory.refresh()
        connection.set_trace_callback(None)
    plans = {
        query: " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        for query in asked
        if query.startswith("SELECT")
    }
    assert any("consent_decisions" in query for query in plans)
    scans = {query: plan for query, plan in plans.items() if "SCAN" in plan and "generation" not in plan}
    assert not scans


def test_a_directory_that_slept_too_long_reads_everything(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add_user("alice", "all", NOW_US)
    registry.add_device("alice", "watch", NOW_US)
    directory = Directory(registry)
    monkeypatch.setattr("healthsync_mqtt.identity.registry._MOST_CHANGES", 3)
    for jti in "abcde":
        registry.revocation.revoke_token(jti, NOW_US)
    registry.remove_device("alice", "watch", NOW_US)
    assert registry.since(0, 0) is None
    assert directory.refresh() == {"alice-watch"}
    assert directory.revoked_tokens == set("abcde")


def test_the_list_of_changes_stays_short_and_says_when_it_was_cut(registry: Registry) -> None:
    change = registry.roster().change
    with registry.write():
        for _ in range(24):
            registry._tables.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
                " INSERT INTO changes (kind, key) SELECT 'token', 'x' FROM n"
            )
    assert registry._tables.number("SELECT count(*) FROM changes") <= 21_000
    assert registry.since(change, 0) is None
    assert registry.since(10**9, 0) is None, "a change of another file"


def test_what_is_still_a_users_own_is_not_lost(registry: Registry) -> None:
    registry.add_user("alice", "all", NOW_US)
    registry.add_device("alice", "watch", NOW_US)
    directory = Directory(registry)
    registry.revocation.suspend_user("alice", NOW_US)
    registry.revocation.resume_user("alice")
    assert directory.refresh() == frozenset()


@pytest.mark.parametrize("seed", range(6))
def test_permissions_read_at_once_are_those_of_the_histories(registry: Registry, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    for number in range(12):
        registry.add_user(f"u{number}", random.choice(["all", None, ["steps"]]), NOW_US)
    for step in range(20):
        user, purposes = f"u{random.randrange(12)}", random.sample(PURPOSES, random.randint(1, 3))
        types = random.choice(["*", ["steps"], ["weight", "steps"]])
        if random.random() < 0.5:
            expires = random.choice([None, NOW_US + 10_000_000_000])
            registry.consent.grant(user, types, NOW_US + step, purposes=purposes, expires_us=expires)
        else:
            registry.consent.withdraw(user, types, NOW_US + step, purposes=purposes)
    with Registry.open(tmp_path / "registry.db") as other:
        read = other.consent.permissions()
        assert read == in_force(other.consent.history())
        assert {purpose: dict(users) for purpose, users in read.items()} == {
            purpose: dict(users) for purpose, users in registry.consent.permissions().items()
        }
