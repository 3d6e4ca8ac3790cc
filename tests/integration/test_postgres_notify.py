"""What is told by NOTIFY, seen by itself: whoever asks now and then does so once an hour here."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from healthsync_mqtt.identity.people.postgres import tables
from healthsync_mqtt.identity.people.postgres.tables import PostgresTables
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.postgres import election
from healthsync_mqtt.storage.postgres.election import Ballot, PostgresElection
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module

HOUR_S = 3600.0
_NUMBERS = count(1)


@pytest.fixture
def place(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> ServerPlace:
    """An empty registry, of which whoever reads it asks once an hour."""
    monkeypatch.setattr(tables, "_ASK_S", HOUR_S)
    return ServerPlace(server.url, schema=f"told_{next(_NUMBERS)}")


@pytest.fixture
def both(place: ServerPlace) -> Iterator[tuple[Registry, Registry]]:
    """Two who have it open; alice and her watch are in it."""
    with Registry(PostgresTables.open(place)) as one, Registry(PostgresTables.open(place)) as other:
        one.add_user("alice", "all", NOW_US)
        one.add_device("alice", "watch", NOW_US)
        yield one, other


def devices(registry: Registry) -> list[Callable[[], object]]:
    """What a bridge, a gateway or a hook has to hear of at once, each after the other."""
    revocation = registry.revocation
    return [
        lambda: revocation.suspend_device("alice", "watch", NOW_US),
        lambda: revocation.resume_device("alice", "watch"),
        lambda: revocation.suspend_user("alice", NOW_US),
        lambda: revocation.revoke_device_tokens("alice", "watch", NOW_US + 1),
        lambda: revocation.revoke_token("jti-1", NOW_US),
        lambda: registry.consent.withdraw("alice", "*", NOW_US),
        lambda: registry.remove_device("alice", "watch", NOW_US + 2),
        lambda: registry.remove_user("alice", NOW_US + 3),
    ]


def test_each_revocation_is_told_by_the_server(both: tuple[Registry, Registry]) -> None:
    one, other = both
    before = other.generation()
    assert other.generation() == before, "it listens, and was told of nothing"
    for change in devices(one):
        change()
        wait_until(lambda before=before: other.generation() != before, f"told of {change}")  # type: ignore[misc]
        before = other.generation()


def test_what_nobody_has_to_hear_of_is_not_told(
    server: Postgres, place: ServerPlace, both: tuple[Registry, Registry]
) -> None:
    """The other way round: with the asking this slow, a generation that moves was told of."""
    one, other = both
    before = other.generation()
    server.execute(f"UPDATE {place.schema}.generation SET value = value + 1")
    assert other.generation() == before, "nobody told it, and it does not ask"
    one.remove_device("alice", "watch", NOW_US)
    wait_until(lambda: other.generation() >= before + 2, "told")


def test_who_leads_is_told_of_each_commit(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election, "_LOOK_S", HOUR_S)
    place = server.place()
    heard: list[Ballot] = []
    with PostgresEventLog.open(place, alone=False) as log:
        standing = PostgresElection(place, "main", heard.append)
        try:
            wait_until(lambda: bool(heard) and heard[-1].leads, "elected")
            for number in range(3):
                log.stage([item(f"e{number}")], [], NOW_US)
                head = log.commit()
                wait_until(lambda head=head: heard[-1].head == head, "told of the commit")  # type: ignore[misc]
        finally:
            standing._ending.set()
            server.cut()  # it waits for an hour else
            standing.close()
