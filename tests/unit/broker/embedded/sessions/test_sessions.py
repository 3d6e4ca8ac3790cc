"""All sessions: take-over, clean sessions, expiry, eviction, revocation, fan-out; with fake links."""

import asyncio
from dataclasses import replace
from typing import Any

from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

RULES = AccessRules(TopicRegistry.load(None, types=frozenset(CATALOGUE)))
APP = Principal(role=Role.subscriber, client_id="app", users=frozenset({"alice"}), types=None)


class FakeLink:
    """A connection that leaves its session as a real one does."""

    def __init__(self, sessions: Sessions, principal: Principal = APP, *, clean: bool = False) -> None:
        self.sessions = sessions
        self.ended = ""
        self.sent = b""
        self.session: Session
        self.session, self.present = sessions.open(self, principal, clean=clean)

    def flush(self) -> None:
        self.sent += self.session.transmit()

    def close(self, reason: str, *, will: bool) -> None:
        self.ended = f"{reason}{' with will' if will else ''}"
        self.leave()

    def leave(self, now: float = 0.0) -> None:
        self.sessions.leave(self, self.session, now)


def sessions(**limits: Any) -> Sessions:
    return Sessions(LimitSettings(**limits), RULES)


def test_a_persistent_session_is_there_again_and_a_clean_one_is_not() -> None:
    all_ = sessions()
    first = FakeLink(all_)
    first.leave()
    second = FakeLink(all_)
    assert (first.present, second.present) == (False, True)
    assert second.session is first.session
    third = FakeLink(all_, clean=True)
    assert second.ended == "taken_over with will"
    assert not third.present
    assert third.session is not second.session
    fourth = FakeLink(all_)
    assert not fourth.present
    assert all_.connected == 1


def test_the_end_of_a_connection_that_was_taken_over_changes_nothing() -> None:
    all_ = sessions()
    first = FakeLink(all_)
    second = FakeLink(all_)
    first.leave()
    assert all_.connected == 1
    assert second.session.connected


async def test_fan_out_reaches_matching_sessions_in_one_flush() -> None:
    all_ = sessions()
    app = FakeLink(all_)
    other = FakeLink(all_, replace(APP, client_id="other"))
    all_.index.add(app.session, "users/alice/devices/+/status", 1)
    assert all_.listening("users/alice/devices/w/status")
    assert not all_.listening("users/bob/devices/w/status")
    all_.fan_out("users/alice/devices/w/status", b"1", 2)
    all_.fan_out("users/alice/devices/w/status", b"2", 0)
    assert app.sent == b""
    await asyncio.sleep(0)
    assert app.sent.count(b"users/alice/devices/w/status") == 2
    assert other.sent == b""


async def test_a_discarded_session_gets_nothing_more() -> None:
    all_ = sessions()
    app = FakeLink(all_)
    all_.index.add(app.session, "users/alice/devices/w/status", 1)
    all_.fan_out("users/alice/devices/w/status", b"1", 1)
    all_.revoke("app")
    assert app.ended == "revoked"
    await asyncio.sleep(0)
    assert app.sent == b""
    all_.routed(Retained("users/alice/devices/w/status", b"2", 1, 1), True)
    all_.replay(app.session, "users/alice/devices/w/status", 1)
    assert app.session.backlog == 0
    assert not FakeLink(all_).present


def test_a_resumed_session_keeps_only_what_its_principal_may_have_today() -> None:
    all_ = sessions()
    app = FakeLink(all_, replace(APP, users=frozenset({"alice", "bob"})))
    for user in ("alice", "bob"):
        all_.index.add(app.session, f"users/{user}/canonical/+", 1)
    app.leave()
    again = FakeLink(all_, APP)
    assert again.present
    assert list(all_.index.filters(again.session)) == ["users/alice/canonical/+"]


def test_sessions_expire_and_the_oldest_absent_ones_make_room() -> None:
    all_ = sessions(session_expiry_s=10, max_sessions=2)
    for n in range(2):
        FakeLink(all_, replace(APP, client_id=f"c{n}")).leave(now=float(n))
    assert all_.expire(10.5) == ["c0"]
    assert all_.expire(10.5) == []
    for n in range(2, 5):
        FakeLink(all_, replace(APP, client_id=f"c{n}")).leave(now=20.0)
    assert {entry["client_id"] for entry in all_.snapshot()} == {"c3", "c4"}


def test_a_full_queue_drops_and_counts() -> None:
    all_ = sessions(session_queue=2)
    app = FakeLink(all_)
    app.leave()
    for n in range(4):
        app.session.offer(Message(b"t", b"%d" % n, 1))
    assert all_.snapshot()[0]["backlog"] == 2
    assert all_.snapshot()[0]["dropped"] == 2
