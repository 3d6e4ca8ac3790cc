"""What MQTT 5 adds to sessions: how long each lasts, options of subscriptions, what sessions.db keeps of it."""

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Any

import apsw
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded import sessions as room
from healthsync_mqtt.broker.embedded.dialect import Dialect5
from healthsync_mqtt.broker.embedded.sessions.file import principal_json
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos, Subscriptions, beside
from healthsync_mqtt.broker.embedded.sessions.port import OwedMessage, Subscribed, subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import NO_LOCAL, RETAIN_AS_PUBLISHED, Property, Publish
from tests.unit.broker.embedded.sessions.test_session import message, session
from tests.unit.broker.embedded.sessions.test_session_store import APP, WATCH, durable, reopened
from tests.unit.broker.embedded.sessions.test_sessions import RULES, sessions

STATUS = "users/alice/devices/w/status"
GRANTED = st.builds(
    GrantedQos.of, st.sampled_from([q | n | r for q in (0, 1, 2) for n in (0, 4) for r in (0, 8)]), st.integers(0, 9)
)


class Link:
    """A connection that leaves its session as a real one does."""

    def __init__(self, all_: Sessions, principal: Principal = APP, **options: Any) -> None:
        self.all_ = all_
        self.session: Session
        self.session, self.present = all_.open(self, principal, **options)

    def flush(self) -> None:
        """Nothing."""

    def close(self, reason: str, *, will: bool) -> None:
        del reason, will
        self.leave(self.all_.now())

    def leave(self, now: float) -> None:
        self.all_.leave(self, self.session, now)


@given(GRANTED, GRANTED)
def test_a_message_of_two_subscriptions_is_sent_once_for_both(one: GrantedQos, other: GrantedQos) -> None:
    both = one.beside(other)
    assert int(both) == max(int(one), int(other))
    assert both.no_local is (one.no_local and other.no_local)
    assert both.as_published is (one.as_published or other.as_published)
    assert sorted(both.identifiers) == sorted(one.identifiers + other.identifiers)
    assert beside([]) is None
    assert beside([one]) is one
    found: Subscriptions[str] = Subscriptions()
    found.add("a", "x/y", one)
    found.add("a", "x/+", other)
    merged = found.match("x/y")["a"]
    assert (int(merged), merged.options, sorted(merged.identifiers)) == (
        int(both), both.options, sorted(both.identifiers)
    )  # fmt: skip


@given(GRANTED)
def test_what_was_granted_is_kept_as_it_is(granted: GrantedQos) -> None:
    again = subscribed(granted).granted
    assert (int(again), again.options, again.identifiers) == (int(granted), granted.options, granted.identifiers)
    assert granted.plain is (granted.options < 3 and not granted.identifiers)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=20))
def test_each_session_ends_when_its_own_time_is_over(left: list[tuple[int, int]]) -> None:
    all_ = Sessions(LimitSettings(session_expiry_s=20), RULES)
    for number, (when, lasts) in enumerate(left):
        who = Principal(role=APP.role, client_id=f"c{number}", users=APP.users, types=None)
        Link(all_, who, clean=True, expiry_s=float(lasts)).leave(float(when))
    for now in (10.0, 25.5, 100.0):
        all_.expire(now)
        alive = {f"c{n}" for n, (when, lasts) in enumerate(left) if lasts and when + min(lasts, 20) >= now}
        assert {str(each["client_id"]) for each in all_.snapshot()} == alive


def test_who_came_back_in_time_is_not_ended_by_the_time_before() -> None:
    all_ = Sessions(LimitSettings(), RULES)
    Link(all_, clean=True, expiry_s=10.0).leave(0.0)
    back = Link(all_, clean=False, expiry_s=100.0)
    assert back.present
    assert all_.expire(50.0) == []
    back.leave(50.0)
    assert all_.expire(149.0) == []
    assert all_.expire(151.0) == ["app"]


def test_nobody_comes_back_to_a_session_whose_time_is_over_though_it_was_not_cleared_away() -> None:
    all_ = sessions()
    Link(all_, clean=True, expiry_s=5.0).leave(all_.now() - 6)
    assert all_.lapsed("app")
    assert not all_.lapsed("app")
    assert not Link(all_, clean=False, expiry_s=5.0).present


async def test_options_decide_who_gets_what(tmp_path: Path) -> None:
    del tmp_path
    all_ = sessions()
    app, watch = Link(all_, clean=True), Link(all_, WATCH, clean=True)
    all_.subscribe(app.session, STATUS, GrantedQos.of(1 | RETAIN_AS_PUBLISHED, 4))
    all_.subscribe(watch.session, STATUS, GrantedQos.of(1 | NO_LOCAL))
    all_.routed(Retained(STATUS, b"on", 1, 1, b"", 0.0, WATCH.client_id), True)
    await asyncio.sleep(0)
    assert (app.session.backlog, watch.session.backlog) == (1, 0)
    message = app.session._queue[0].message
    assert (message.retain, message.identifiers) == (True, (4,))
    all_.routed(Retained(STATUS, b"on", 1, 1, b"", 0.0, "other"), False)
    assert (app.session.backlog, watch.session.backlog) == (2, 1)


def test_a_retained_message_that_has_expired_is_there_no_more() -> None:
    all_ = sessions()
    all_.routed(Retained(STATUS, b"on", 1, 1, b"", all_.now() - 1), True)
    app = Link(all_, clean=True)
    all_.subscribe(app.session, STATUS, GrantedQos.of(1))
    all_.replay(app.session, STATUS, 10)
    assert app.session.transmit() == b""
    assert len(all_.retained) == 0


async def test_what_5_adds_is_there_again_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    store = SessionStore.open(path)
    no = store.opened(APP)
    store.changed(no, APP, 12.5, 60.0)
    filter_ = Subscribed(1, False, NO_LOCAL | RETAIN_AS_PUBLISHED, 7)
    owed = OwedMessage(b"t", b"one", 1, False, about=b"\x01\x01", expires=99.5, identifiers=(7, 8))
    kept = Retained("a/b", b"on", 1, 0, b"\x01\x01", 77.25)
    store.filter(no, "users/+/canonical/#", filter_)
    store.owed(no, 1, owed)
    store.retain("a/b", kept)
    await durable(store)
    (found,), retained = reopened(path)
    assert (found.left, found.expiry) == (12.5, 60.0)
    assert (found.filters, found.owed, retained) == ({"users/+/canonical/#": filter_}, {1: owed}, [kept])
    store.close()


async def test_a_session_that_was_to_end_with_its_connection_ends_with_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    store = SessionStore.open(path)
    all_ = Sessions(LimitSettings(), RULES, store)
    Link(all_, clean=True, expiry_s=100.0).leave(all_.now())
    Link(all_, clean=False, expiry_s=0.0)
    Link(all_, WATCH, clean=True, expiry_s=100.0)
    await durable(store)
    store.close()
    again = SessionStore.open(path)
    after = Sessions(LimitSettings(), RULES, again)
    after.restore({"app": APP, "alice-w": WATCH}.get, lambda _user, _device: True)
    assert {each["client_id"] for each in after.snapshot()} == {"alice-w"}
    assert after.expire(after.now() + 101) == ["alice-w"]
    again.close()


async def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "data" / "sessions.db"
    SessionStore.open(path).close()
    path.unlink()
    path.with_name("sessions.db-wal").unlink(missing_ok=True)
    old = apsw.Connection(str(path))
    old.execute(files(room).joinpath("sql", "0001_sessions.sql").read_text())
    old.execute("PRAGMA application_id=1213420357; PRAGMA user_version=1; PRAGMA journal_mode=WAL")
    old.execute("INSERT INTO sessions VALUES (3, 'app', ?, 5000000)", (principal_json(APP),))
    old.execute("INSERT INTO filters VALUES (3, 'f/+', 2, 0)")
    old.execute("INSERT INTO payloads VALUES (1, x'6869')")
    old.execute("INSERT INTO owed VALUES (3, 1, x'74', 1, 1, 0, 9, 0)")
    old.execute("INSERT INTO retained VALUES ('a/b', x'6f6e', 1)")
    old.close()
    path.chmod(0o600)
    store = SessionStore.open(path)
    (found,) = store.sessions()
    assert found.filters == {"f/+": Subscribed(2)}
    assert found.owed == {1: OwedMessage(b"t", b"hi", 1, retain=False, packet_id=9)}
    assert (found.left, found.expiry) == (5.0, None)
    assert list(store.retained()) == [Retained("a/b", b"on", 1)]
    store.close()


def test_what_is_in_flight_is_sent_again_at_the_pace_of_the_new_connection() -> None:
    s = session(window=5, queue_limit=10)
    for number in range(5):
        s.offer(message(number))
    s.transmit()
    s.disconnect()
    s.resume(Dialect5({Property.RECEIVE_MAXIMUM: 2}))
    decoder = Decoder(1 << 20, server=False, versions=frozenset({5}))
    came = []
    for _ in range(6):
        some = [each for each in decoder.feed(s.transmit()) if isinstance(each, Publish)]
        assert len(some) <= 2
        came += [(each.packet_id, each.dup) for each in some]
        for each in some:
            s.on_puback(each.packet_id)
    assert came == [(number, True) for number in range(1, 6)]
