"""Who has the data directory and not its keys reads nothing: 1,000 marks in every kind of field, and a look for each.

The marks are planted through the classes that write the files, into an open directory that is sealed afterwards and
into one that is sealed from its first row on.
"""

import asyncio
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.broker.embedded.sessions.port import KeptWill, OwedMessage
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.sealed_files import seal_files
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.config.data_files import AtRest, data_file
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import ConflictError, StoreError
from healthsync_mqtt.formats.port import Gone, Made
from healthsync_mqtt.homeassistant.file import Kept, LatestFile, Shown
from healthsync_mqtt.homeassistant.latest import LatestValue, ValueKey
from healthsync_mqtt.identity.login.enrolment import fits, handle_of, normal_code
from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.opening import ring_of
from healthsync_mqtt.model.declaration import NOTHING_DECLARED
from healthsync_mqtt.model.event import Event, Op, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import OwedPoint, RefusedLine, SinkLedger
from healthsync_mqtt.storage.opening import open_log, open_reader, seal_log
from healthsync_mqtt.storage.port import FormatMemory, Item, Quarantined
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.testing.log_items import NOW_US

USERS = [f"user{n}" for n in range(5)]
EACH = 60
MARKS = 1_000
EVERYBODY = Principal(role=Role.subscriber, client_id="reader", users=None, types=None)


class Marks:
    """Random words, each once; ``text`` and ``number`` are what fields take."""

    def __init__(self) -> None:
        self._numbers = count()
        self.made: list[str] = []

    def text(self) -> str:
        mark = f"mk{next(self._numbers):06}x{len(self.made) * 7919 % 999_983:06}"
        self.made.append(mark)
        return mark

    def bytes(self) -> bytes:
        return self.text().encode()


def weighed(marks: Marks) -> Event:
    body = b'{"note":"%b","value":{"kg":81.5},"source":{"app":"%b"}}' % (marks.bytes(), marks.bytes())
    return Event(marks.text(), "weight", NOW_US, None, 0, Op.UPSERT, body, 0)


def plant(data: Path, marks: Marks, *, sealed: bool) -> None:
    data.mkdir(mode=0o700)
    with open_log(data, seal_new=sealed) as log:
        for user in USERS:
            origin = Origin(user, "watch", None, f"users/{user}/devices/watch/events")
            items = [Item(origin, weighed(marks)) for _ in range(EACH)]
            bad = Rejection(0, marks.text(), Reason.OUT_OF_RANGE, "value", marks.text(), marks.bytes())
            log.stage(items, [Quarantined(origin, NOW_US, bad)], NOW_US)
            log.remember(FormatMemory(user, "watch", "json", marks.bytes(), [(marks.text(), marks.text())]))
        log.commit()
    plant_days(data)
    plant_insights(data, marks)
    plant_latest(data, marks)
    plant_sink(data, marks)
    asyncio.run(plant_sessions(data, marks))
    with LinkBook.open(data) as book:
        plant_links(book, marks)
    with NoticeInbox.open(data) as inbox:
        for _ in USERS:
            inbox.put("whoop", marks.bytes(), NOW_US)
    plant_registry(data, marks)


def plant_registry(data: Path, marks: Marks) -> None:
    """What people and apps prove themselves by, which the registry makes itself: each is a mark."""
    with DataDirectory(data).registry() as registry:
        for user in USERS:
            registry.add_user(user, "all", NOW_US)
            phone, password = registry.add_device(user, "phone", NOW_US), new_password()
            registry.apps.add(phone, ["fhir"], NOTHING_DECLARED, hashed_password(password), NOW_US)
            registry.add_device(user, "watch", NOW_US)
            code = registry.enrolments.create(user, "watch", NOW_US)
            normal = normal_code(code)
            assert normal is not None
            token = registry.refresh_tokens.begin(user, "watch", NOW_US).token
            invite = registry.sessions.invite(SessionRole.user, user, NOW_US, until_us=NOW_US + 60_000_000)
            marks.made += [password, code, normal, normal.removeprefix(handle_of(normal)), token, invite]
            enrolment = registry.enrolments.find(handle_of(normal))
            assert enrolment is not None
            assert fits(enrolment, normal)
            assert registry.apps.find(phone.client_id) is not None
            assert registry.refresh_tokens.holder(token) == (user, "watch")


def plant_days(data: Path) -> None:
    with open_reader(data) as reader, SummaryFile.open(data / "summaries.db") as file:
        for user in USERS:
            file.agree(user, "all", lambda _user, _type: 0)
        rows = reader.read(0, 10_000)
        file.take(reader.head(), rows, {})
        while file.work_out(100, lambda _user, _type: 0):
            pass
        file.show(dict.fromkeys(USERS, b"digest"))


def plant_links(book: LinkBook, marks: Marks, *, again: bool = False) -> None:
    for user in USERS:
        tokens = Tokens(marks.text(), marks.text(), NOW_US, account=marks.text())
        link = book.of(user, "whoop") if again else book.agree(user, "whoop", tokens, "read", NOW_US)
        for _ in range(4):
            named = Made({"id": marks.text(), "type": "sleep", "start_time": "2025-01-01T00:00:00Z"}, 0)
            book.note(link.id, [named._replace(name=f"sleep {marks.text()};{marks.text()}")])
            book.discover(link.id, f"/v2/{marks.text()}", marks.text())
            book.shelve(link, marks.text(), marks.bytes())
            redirect = "http://127.0.0.1:1/callback"
            book.expect(marks.text(), user, "oura", redirect=redirect, verifier=marks.text(), until_us=NOW_US)
        book.remember(link.id, marks.bytes())


def plant_insights(data: Path, marks: Marks) -> None:
    with InsightFile.open(data / "insights.db") as file:
        run = file._connection.execute
        add = (
            (Path(__file__).parents[3] / "healthsync_mqtt/insights/sql/file.sql").read_text().split("-- name: add\n")[1]
        )
        for user in USERS:
            for day in range(EACH // 4):
                run(add.split("\n\n")[0], (user, "kind", day, "", "[]", f'{{"said":"{marks.text()}"}}'))
        file.show({(user, "kind"): b"digest" for user in USERS})


def plant_latest(data: Path, marks: Marks) -> None:
    with closing(LatestFile.open(data / "homeassistant.db")) as file:
        for number, user in enumerate(USERS):
            key = ValueKey(user, "weight")
            value = LatestValue(number, marks.text(), NOW_US, NOW_US, marks.bytes())
            file.write("epoch", 9, {key: Kept(True, value)}, {key: Shown(b"digest-1", b"digest-2")})


def plant_sink(data: Path, marks: Marks) -> None:
    sinks = Sinks(data)
    sinks.prepare()
    with closing(SinkLedger.open(sinks.ledger("influx"))) as ledger:
        for number in range(EACH):
            ledger.refuse([RefusedLine(number, 0, "refused", 400, marks.text())], NOW_US)
            ledger.owe([OwedPoint("series", number, number, 0, "refused", marks.text())], NOW_US)
            ledger.displace(USERS[number % len(USERS)], marks.text(), number)
    (sinks.file("influx")).write_text('{"kind": "influxdb", "name": "influx", "url": "http://127.0.0.1:9"}')
    sinks.file("influx").chmod(0o600)


async def plant_sessions(data: Path, marks: Marks) -> None:
    store = SessionStore.open(data / "sessions.db")
    session = store.opened(EVERYBODY)
    for number in range(EACH):
        user = USERS[number % len(USERS)]
        topic = f"users/{user}/latest/weight"
        store.owed(session, number + 1, OwedMessage(topic.encode(), marks.bytes(), 1, False, about=marks.bytes()))
        store.retain(f"{topic}/{number}", Retained(f"{topic}/{number}", marks.bytes(), 1, about=marks.bytes()))
        store.will(number, KeptWill(EVERYBODY, 1e9, topic, marks.bytes(), 1, False, marks.bytes(), None))
    shared = marks.bytes()
    for number, topic in enumerate([b"users/user0/latest/x", b"users/user1/latest/x", b"bridge/b/status"]):
        store.owed(session, EACH + number + 1, OwedMessage(topic, shared, 1, False))
    done = asyncio.get_running_loop().create_future()
    store.durable(lambda: done.set_result(None))
    await done
    store.close()


def seen(data: Path, marks: Marks) -> list[str]:
    """Which marks are in which files, as they are or in base64 at any of its three places."""
    found = []
    words = {
        mark: [mark.encode(), *(b64encode(b"x" * by + mark.encode())[4 if by else 0 : -4] for by in range(3))]
        for mark in marks.made
    }
    for path in data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [
                f"{mark} in {path.name}" for mark, forms in words.items() if any(each in content for each in forms)
            ]
    return found


def sealed_later(data: Path, marks: Marks) -> None:
    plant(data, marks, sealed=False)
    assert len({line.split()[-1] for line in seen(data, marks)}) >= 5
    seal_log(data, 50, lambda _left: None)
    seal_files(data)


def sealed_at_once(data: Path, marks: Marks) -> None:
    plant(data, marks, sealed=True)


def sealed_while_open(data: Path, marks: Marks, *, by_another: bool = False) -> None:
    """Whoever has the files open hears of it, and seals what is there with the next thing; or another has done that."""
    plant(data, marks, sealed=False)
    with (
        SummaryFile.open(data / "summaries.db") as days,
        InsightFile.open(data / "insights.db") as findings,
        closing(LatestFile.open(data / "homeassistant.db")) as latest,
        closing(SinkLedger.open(data / "sinks" / "influx.db")) as ledger,
        LinkBook.open(data) as book,
    ):
        store = SessionStore.open(data / "sessions.db")
        seal_log(data, 50, lambda _left: None)
        if by_another:
            seal_files(data, running=True)
        days.show(dict.fromkeys(USERS, b"digest"))
        findings.show({(user, "kind"): b"digest" for user in USERS})
        latest.write("epoch", 9, {}, {ValueKey("user0", "weight"): Shown(b"digest-1", b"digest-2")})
        ledger.refuse([RefusedLine(EACH, 0, "refused", 400, marks.text())], NOW_US)
        plant_links(book, marks, again=True)
        asyncio.run(kept_once_more(store, marks))


async def kept_once_more(store: SessionStore, marks: Marks) -> None:
    """Of each kind one more, in the numbers that are free then; one that is owed is taken."""
    (session,) = store.sessions()
    topic = "users/user0/latest/steps"
    store.owed(session.no, 1, None)
    store.owed(session.no, EACH + 4, OwedMessage(topic.encode(), marks.bytes(), 1, False, about=marks.bytes()))
    store.retain(topic, Retained(topic, marks.bytes(), 1, about=marks.bytes()))
    done = asyncio.get_running_loop().create_future()
    store.durable(lambda: done.set_result(None))
    await done
    store.close()


def sealed_by_another(data: Path, marks: Marks) -> None:
    sealed_while_open(data, marks, by_another=True)


@pytest.fixture(scope="module", params=[sealed_at_once, sealed_later, sealed_while_open, sealed_by_another])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Marks]:
    data, marks = tmp_path_factory.mktemp("planted") / "data", Marks()
    make: Callable[[Path, Marks], None] = request.param
    make(data, marks)
    return data, marks


@pytest.fixture
def place(planted: tuple[Path, Marks], tmp_path: Path) -> tuple[Path, Marks]:
    """A copy for one test."""
    data, marks = planted
    shutil.copytree(data, tmp_path / "data")
    return tmp_path / "data", marks


def test_a_dump_without_the_keys_tells_nothing(place: tuple[Path, Marks], tmp_path: Path) -> None:
    data, marks = place
    assert len(marks.made) >= MARKS
    dump = tmp_path / "dump"
    shutil.copytree(data, dump)
    shutil.rmtree(dump / "keys")
    (dump / "keys.db").unlink()
    assert seen(dump, marks) == []
    assert b"81.5" not in b"".join(path.read_bytes() for path in dump.rglob("*") if path.is_file())
    with pytest.raises(StoreError), SummaryFile.open(dump / "summaries.db") as file:
        file.days("user0", -(2**40), 2**40)
    with pytest.raises(KeyUnavailableError):
        SessionStore.open(dump / "sessions.db")


def test_every_file_has_a_row(place: tuple[Path, Marks]) -> None:
    data, _ = place
    names = [str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()]
    assert [name for name in names if data_file(name) is None] == []
    assert {"sessions.db", "summaries.db", "insights.db", "homeassistant.db", "sinks/influx.db", "adapters.db"} <= {
        name for name in names if data_file(name).at_rest is AtRest.sealed
    }


def test_everything_is_read_again(place: tuple[Path, Marks]) -> None:
    data, marks = place
    known = set(marks.made)
    with InsightFile.open(data / "insights.db") as file:
        told = [each["said"] for user in USERS for each in file.between(user, 0, EACH)]
        assert set(told) <= known
        assert len(told) == len(USERS) * (EACH // 4)
        assert set(file.shown().values()) == {b"digest"}
    with closing(LatestFile.open(data / "homeassistant.db")) as latest:
        assert {each.id for each in latest.latest().values() if each} <= known
        assert set(latest.shown().values()) == {Shown(b"digest-1", b"digest-2")}
    with SummaryFile.open(data / "summaries.db") as days:
        for user in USERS:
            (found,) = days.days(user, -(2**40), 2**40).values()
            assert "81.5" in str(found["weight"].figures)
            assert {each.name.removeprefix("watch/") for each in days.sources(user)} <= known
            assert sum(each.events for each in days.sources(user)) == EACH
        assert days.shown() == dict.fromkeys(USERS, b"digest")
    with closing(SinkLedger.open(data / "sinks" / "influx.db")) as ledger:
        assert {each.message for each in [*ledger.refused(), *ledger.owed()]} <= known
        moved = ledger.places(lambda _user: True).displaced
        assert len(moved) == EACH
        assert all(ledger.shift(user, event) == by for user, event, by in moved)
    store = SessionStore.open(data / "sessions.db")
    (session,) = store.sessions()
    assert len(session.owed) == EACH + 3
    assert {each.payload.decode() for each in session.owed.values()} <= known
    assert {each.payload.decode() for each in store.retained()} <= known
    assert {each.payload.decode() for each in store.wills().values()} <= known
    asyncio.run(closed(store))


def test_what_links_know_is_found_again(place: tuple[Path, Marks]) -> None:
    """By an account, by what a record is called, by where a list found it, by the word of a link that is made."""
    data, marks = place
    at = {mark: number for number, mark in enumerate(marks.made)}
    with LinkBook.open(data) as book:
        for link in book.links():
            account = book.account(link.id)
            assert account in at
            assert [each.user for each in book.of_account("whoop", account)] == [link.user]
            assert book.memory(link.id).decode() in at
            found = book.found(link.id, Gone(""))
            assert len(found) in {4, 8}
            event = found[0][0]
            name, path, said, file, body = marks.made[at[event] + 1], *marks.made[at[event] + 3 : at[event] + 7]
            assert book.found(link.id, Gone(f"sleep {name};")) == [found[0]]
            assert book.discovered(link.id, f"/v2/{path}") == said
            assert book.shelved(link, file) == body.encode()
            state = marks.made[at[event] + 7]
            assert book.expected(state, NOW_US)[0] == link.user
            with pytest.raises(ConflictError):
                book.expected(state, NOW_US)
            book.forget(link.id, [event])
            assert event not in {each for each, *_ in book.found(link.id, Gone("sleep"))}
        assert book.of_account("whoop", "another") == []


def test_a_point_that_is_moved_again_has_one_place(place: tuple[Path, Marks]) -> None:
    """A sealed id is another one each time: the older row is found by what it opens to."""
    data, _ = place
    with closing(SinkLedger.open(data / "sinks" / "influx.db")) as ledger:
        user, event, by = ledger.places(lambda _user: True).displaced[0]
        ledger.displace(user, event, by + 1)
    with closing(SinkLedger.open(data / "sinks" / "influx.db")) as ledger:
        moved = ledger.places(lambda _user: True).displaced
        assert [shift for whose, name, shift in moved if (whose, name) == (user, event)] == [by + 1]
        assert len(moved) == EACH


async def closed(store: SessionStore) -> None:
    store.close()


def test_what_a_destroyed_key_sealed_is_gone_and_others_are_as_they_were(place: tuple[Path, Marks]) -> None:
    data, _ = place
    ring_of(data).destroy("user0")
    with SummaryFile.open(data / "summaries.db") as days:
        assert days.days("user0", -(2**40), 2**40) == {}
        assert days.days("user1", -(2**40), 2**40)
        assert days.shown()["user0"] is None
    with closing(LatestFile.open(data / "homeassistant.db")) as latest:
        assert [key.user for key, value in latest.latest().items() if value is None] == ["user0"]
    store = SessionStore.open(data / "sessions.db")
    (session,) = store.sessions()
    assert not any(each.topic.startswith(b"users/user0/") for each in session.owed.values())
    assert len(session.owed) == EACH + 3 - EACH // 5 - 1
    assert len(store.retained()) == len(store.wills()) == EACH - EACH // 5
    asyncio.run(closed(store))


CHANGES = [
    "UPDATE day SET figures = (SELECT figures FROM day AS it WHERE it.user != day.user ORDER BY it.user DESC LIMIT 1)",
    "UPDATE day SET figures = CAST('{\"kg\":70}' AS BLOB)",
]


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_changed_places_and_plain_ones_are_found_out(place: tuple[Path, Marks], change: str) -> None:
    data, _ = place
    with closing(sqlite3.connect(data / "summaries.db", isolation_level=None)) as connection:
        connection.execute(change)
    with SummaryFile.open(DataPaths(root=data).summaries_db) as days, pytest.raises(TamperedError):
        days.days("user1", -(2**40), 2**40)
