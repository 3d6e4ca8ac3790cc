"""sessions.db: what is kept, what is never written, failing commits, several payloads of one, and a file of another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.sessions.file import principal_json, principal_of
from healthsync_mqtt.broker.embedded.sessions.port import KeptSession, OwedMessage, Subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.principal import Principal, Role
from tests.support.patience import PATIENCE_S

APP = Principal(role=Role.subscriber, client_id="app", users=frozenset({"alice", "bob"}), types=None)
WATCH = Principal(role=Role.device, client_id="alice-w", user="alice", device="w")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SessionStore]:
    store = SessionStore.open(path)
    yield store
    store.close()


async def durable(store: SessionStore) -> None:
    done = asyncio.Event()
    store.durable(done.set)
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()


def reopened(path: Path) -> tuple[list[KeptSession], list[Retained]]:
    """What a process would find that starts now: read from a copy, as after a kill."""
    copy = path.with_name("copy.db")
    for end in ("", "-wal"):
        if path.with_name(path.name + end).exists():
            copy.with_name(copy.name + end).write_bytes(path.with_name(path.name + end).read_bytes())
    copy.chmod(0o600)
    found = SessionStore.open(copy)
    kept = list(found.sessions()), list(found.retained())
    found.close()
    for name in ("copy.db", "copy.db-wal", "copy.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return kept


def count(store: SessionStore, table: str) -> int:
    rows: Iterator[Any] = store._database._connection.execute(f"SELECT count(*) FROM {table}")
    return int(next(rows)[0])


async def test_everything_is_there_again_without_a_clean_end(store: SessionStore, path: Path) -> None:
    no = store.opened(APP)
    store.filter(no, "users/+/canonical/#", Subscribed(1))
    store.filter(no, "gone", Subscribed(1))
    store.filter(no, "gone", None)
    store.owed(no, 1, OwedMessage(b"t", b"one", 1, retain=False))
    store.owed(no, 2, OwedMessage(b"t", b"two", 2, retain=True))
    store.owed(no, 2, OwedMessage(b"t", b"two", 2, retain=True, packet_id=7, completing=True))
    store.unreleased(no, 9, waits=True)
    store.unreleased(no, 10, waits=True)
    store.unreleased(no, 10, waits=False)
    store.retain("a/b", Retained("a/b", b"on", 1, 5))
    store.changed(no, APP, 12.5)
    await durable(store)
    sessions, retained = reopened(path)
    assert sessions == [
        KeptSession(
            no,
            APP,
            12.5,
            {"users/+/canonical/#": Subscribed(1)},
            {1: OwedMessage(b"t", b"one", 1, False), 2: OwedMessage(b"t", b"two", 2, True, 7, True)},
            [9],
        )
    ]
    assert retained == [Retained("a/b", b"on", 1, 0)]


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_what_is_said_while_a_group_is_due_at_once_is_written_with_it(
    path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scene() -> tuple[list[KeptSession], list[Retained]]:
        store = SessionStore.open(path)
        try:
            no, done = store.opened(APP), asyncio.Event()
            store.durable(done.set)
            store.filter(no, "a/b", Subscribed(1))
            store.durable(lambda: None)
            async with asyncio.timeout(PATIENCE_S):
                await done.wait()
            return reopened(path)
        finally:
            store.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        (session,), _ = runner.run(scene())
    assert session.filters == {"a/b": Subscribed(1)}


async def test_what_is_acknowledged_before_its_turn_is_never_written(store: SessionStore) -> None:
    no = store.opened(APP)
    for n in range(1, 101):
        store.owed(no, n, OwedMessage(b"t", b"x" * 1000, 1, retain=False))
        store.owed(no, n, OwedMessage(b"t", b"x" * 1000, 1, retain=False, packet_id=n))
        store.owed(no, n, None)
    assert [key[0] for key in store._rows] == ["session"]
    await durable(store)
    assert (count(store, "owed"), count(store, "payloads")) == (0, 0)


async def test_one_payload_is_written_once_and_goes_with_the_last_who_waits(store: SessionStore, path: Path) -> None:
    payload = bytes(100_000)
    sessions = [store.opened(Principal(role=Role.subscriber, client_id=f"c{n}")) for n in range(20)]
    for no in sessions:
        store.owed(no, 1, OwedMessage(b"t", payload, 1, retain=False))
    await durable(store)
    assert count(store, "payloads") == 1
    assert all(kept.owed[1].payload == payload for kept in reopened(path)[0])
    for no in sessions[:10]:
        store.owed(no, 1, None)
    for no in sessions[10:19]:
        store.dropped(no)
    await durable(store)
    assert count(store, "payloads") == 1
    store.dropped(sessions[19])
    await durable(store)
    assert count(store, "payloads") == 0


async def test_a_client_s_next_session_has_nothing_of_the_one_before(store: SessionStore, path: Path) -> None:
    old = store.opened(APP)
    store.filter(old, "a", Subscribed(1))
    store.owed(old, 1, OwedMessage(b"t", b"x", 1, retain=False))
    await durable(store)
    store.owed(old, 2, OwedMessage(b"t", b"y", 1, retain=False))
    store.dropped(old)
    new = store.opened(APP)
    store.filter(new, "b", Subscribed(0))
    await durable(store)
    ((kept,), _) = reopened(path)
    assert (kept.no, kept.filters, kept.owed) == (new, {"b": Subscribed(0)}, {})


async def test_a_group_that_fails_is_written_with_the_next(
    store: SessionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healthsync_mqtt.broker.embedded.sessions.store._RETRY_S", 0.01)
    no = store.opened(APP)
    await durable(store)
    limit = count_pages(store)
    store._database._connection.execute(f"PRAGMA max_page_count={limit}")
    store.owed(no, 1, OwedMessage(b"t", bytes(100_000), 1, retain=False))
    store.owed(no, 2, OwedMessage(b"t", b"small", 1, retain=False))
    told = asyncio.Event()
    store.durable(told.set)
    async with asyncio.timeout(PATIENCE_S):
        while store.healthy:  # noqa: ASYNC110  # no event says it
            await asyncio.sleep(0.005)
    assert not told.is_set()
    store.owed(no, 1, OwedMessage(b"t", bytes(100_000), 1, retain=False, packet_id=3))
    store.owed(no, 2, None)
    store._database._connection.execute("PRAGMA max_page_count=1000000")
    async with asyncio.timeout(PATIENCE_S):
        await told.wait()
    await durable(store)
    assert store.healthy
    ((kept,), _) = reopened(path)
    assert kept.owed == {1: OwedMessage(b"t", bytes(100_000), 1, False, 3)}


async def test_who_fails_to_hear_of_a_group_holds_up_nobody_in_the_next(store: SessionStore) -> None:
    failed: list[BaseException | None] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failed.append(context.get("exception")))
    given_up = loop.create_future()
    given_up.cancel()
    store.opened(APP)
    store.durable(lambda: given_up.set_result(None))
    store._write()  # what is asked for from here on is of the next group
    await durable(store)
    assert [type(each) for each in failed] == [asyncio.InvalidStateError]


def count_pages(store: SessionStore) -> int:
    return int(next(iter(store._database._connection.execute("PRAGMA page_count")))[0])


async def test_running_time_goes_on_where_it_was(path: Path) -> None:
    first = SessionStore.open(path)
    first._since -= 100
    before = first.running()
    first.close()
    second = SessionStore.open(path)
    assert 100 <= before <= second.running() < before + 60
    second.close()


@pytest.mark.parametrize("principal", [APP, WATCH, Principal(role=Role.admin, client_id="root", users=None)])
def test_principals_are_kept_whole(principal: Principal) -> None:
    assert principal_of(principal_json(principal)) == principal


def test_a_file_of_another_program_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE x (y)")
    other.close()
    with pytest.raises(ConfigError, match="another program"):
        SessionStore.open(path)
    path.write_bytes(b"no database at all, whatever its name says" * 100)
    with pytest.raises(ConfigError, match="damaged"):
        SessionStore.open(path)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("open", "drop", "filter", "unfilter", "owe", "send", "done", "retain", "clear", "write")),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_file_says_what_was_said(tmp_path: Path, steps: list[tuple[str, int, int]]) -> None:
    """Against a model of dicts, whatever the order and the grouping."""

    async def play() -> None:
        path = tmp_path / "data" / "sessions.db"
        for name in ("sessions.db", "sessions.db-wal", "sessions.db-shm"):
            (tmp_path / "data" / name).unlink(missing_ok=True)
        store = SessionStore.open(path)
        model: dict[str, tuple[int, dict[str, Subscribed], dict[int, OwedMessage]]] = {}
        kept: dict[str, bytes] = {}
        for step, who, what in steps:
            client = f"c{who}"
            no, filters, owed = model.get(client, (0, {}, {}))
            match step:
                case "open" if not no:
                    principal = Principal(role=Role.subscriber, client_id=client)
                    model[client] = (store.opened(principal), {}, {})
                case "drop" if no:
                    store.dropped(no)
                    del model[client]
                case "filter" if no:
                    filters[f"f{what}"] = Subscribed(what % 3)
                    store.filter(no, f"f{what}", filters[f"f{what}"])
                case "unfilter" if no:
                    filters.pop(f"f{what}", None)
                    store.filter(no, f"f{what}", None)
                case "owe" if no:
                    number = max(owed, default=what) + 1
                    owed[number] = OwedMessage(b"t", bytes([what]), 1, retain=False)
                    store.owed(no, number, owed[number])
                case "send" if owed:
                    number = min(owed)
                    owed[number] = owed[number]._replace(packet_id=what + 1)
                    store.owed(no, number, owed[number])
                case "done" if owed:
                    number = min(owed)
                    del owed[number]
                    store.owed(no, number, None)
                case "retain":
                    kept[f"r{what}"] = bytes([who])
                    store.retain(f"r{what}", Retained(f"r{what}", bytes([who]), 1, 1))
                case "clear":
                    kept.pop(f"r{what}", None)
                    store.retain(f"r{what}", None)
                case "write":
                    await durable(store)
                case _:
                    pass
        store.close()
        again = SessionStore.open(path)
        found = {each.principal.client_id: (each.no, each.filters, each.owed) for each in again.sessions()}
        assert found == model
        assert {each.topic: each.payload for each in again.retained()} == kept
        assert count(again, "payloads") <= sum(len(owed) for _, _, owed in model.values())
        again.close()

    asyncio.run(play())
