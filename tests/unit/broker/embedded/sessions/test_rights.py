"""A session whose principal may do something else than before: what it keeps, and what waits for it no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from tests.unit.broker.embedded.sessions.test_session_store import durable, reopened
from tests.unit.broker.embedded.sessions.test_sessions import RULES, FakeLink, sessions

BOTH = Principal(role=Role.subscriber, client_id="app", users=frozenset({"alice", "bob"}), types=None)
BOB = replace(BOTH, users=frozenset({"bob"}))
TOPICS = tuple(f"users/{user}/devices/w/status" for user in ("alice", "bob"))


def owing(all_: Sessions) -> FakeLink:
    """A subscriber of two persons, connected."""
    link = FakeLink(all_, BOTH)
    for topic in TOPICS:
        all_.subscribe(link.session, topic, GrantedQos.of(1))
    return link


def owe(all_: Sessions) -> None:
    """Two messages of each person for who listens; one takes back what was retained."""
    for topic in TOPICS:
        for payload in (b"on", b""):
            all_.routed(Retained(topic, payload, 1), False)  # as the router calls it


@pytest.mark.parametrize("sent", [False, True])
async def test_what_waits_of_what_may_not_be_read_any_more_goes_and_the_rest_stays(sent: bool) -> None:
    all_ = sessions()
    link = owing(all_)
    owe(all_)
    if sent:
        link.flush()
    all_.amend(BOB)
    assert link.ended == "rights_changed with will"
    again = FakeLink(all_, BOB)
    assert again.present
    assert all_.filters("app") == (TOPICS[1],)
    again.flush()
    assert (again.sent.count(b"alice"), again.sent.count(b"bob")) == (0, 2)


async def test_an_absent_one_is_held_to_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    store = SessionStore.open(path)
    all_ = Sessions(LimitSettings(), RULES, store)
    owing(all_).leave(all_.now())
    all_.amend(BOB)
    owe(all_)
    await durable(store)
    (kept,), _ = reopened(path)
    assert (kept.principal.users, kept.left is None) == (frozenset({"bob"}), False)
    assert {each.topic for each in kept.owed.values()} == {TOPICS[1].encode()}
    store.close()


async def test_a_right_that_shrank_while_the_service_was_down_lets_nothing_of_before_out(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    store = SessionStore.open(path)
    all_ = Sessions(LimitSettings(), RULES, store)
    owing(all_).leave(all_.now())
    owe(all_)
    await durable(store)
    store.close()
    again = SessionStore.open(path)
    after = Sessions(LimitSettings(), RULES, again)
    after.restore({"app": BOB}.get, lambda _user, _device: True)
    link = FakeLink(after, BOB)
    assert link.present
    link.flush()
    assert (link.sent.count(b"alice"), link.sent.count(b"bob")) == (0, 2)
    again.close()


async def test_nothing_that_names_an_erased_person_waits_for_who_may_still_read_others(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    store = SessionStore.open(path)
    all_ = Sessions(LimitSettings(), RULES, store)
    owing(all_).leave(all_.now())
    owe(all_)
    all_.erase("alice", lambda topic: "alice" in topic, lambda: None)
    await durable(store)
    (kept,), _ = reopened(path)
    assert [each.payload for each in kept.owed.values()] == [b"on", b""]
    assert not any(b"alice" in each.topic for each in kept.owed.values())
    store.close()
