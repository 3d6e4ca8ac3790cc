"""Erasing a person: nothing is left in any file, whatever step it is killed at, and others are as they were."""

import asyncio
import os
import signal
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import pytest

from bridge.embedded import EmbeddedEdge
from bridge.jobs import erasures
from bridge.service import Service
from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import FetchCursor, LinkBook
from healthsync_mqtt.broker.embedded.sessions.port import KeptWill, OwedMessage
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.broker.external.remembered_logins import Note, RememberedLogins
from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.client.carriage import Mark
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.formats.port import Gone, Made
from healthsync_mqtt.homeassistant.file import Kept, LatestFile, Shown
from healthsync_mqtt.homeassistant.latest import LatestValue, ValueKey
from healthsync_mqtt.identity import erasure_ledger
from healthsync_mqtt.identity.erasure_recall import recall
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.erasure import NEXT, ErasureStep
from healthsync_mqtt.model.event import Event, Op, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.sinks.config import InfluxConfig, Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.pseudonym import Pseudonyms
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.sql_files import statements as insight_statements
from healthsync_mqtt.storage.opening import encryption, open_log, open_reader
from healthsync_mqtt.storage.port import FormatMemory, Item, Quarantined
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.testing.log_items import NOW_US, item

WHO = "marker-zoe"
DEVICE = "marker-watch"
MARKS = [WHO, DEVICE, "marker-id", "marker-value", "marker-refused", "marker-app", "marker-record", "marker-source"]
MARKS += [
    "marker-account",
    "marker-memory",
    "marker-night",
    "marker-owed",
    "marker-will",
    "marker-finding",
    "marker-import",
]
FORMS = {
    mark: [mark.encode(), *(b64encode(b"x" * by + mark.encode())[4 if by else 0 : -4] for by in range(3))]
    for mark in MARKS
}
"""As they are, and in base64 at any of its three places."""


def planted(number: int) -> Item:
    origin = Origin(WHO, DEVICE, None, f"users/{WHO}/devices/{DEVICE}/events")
    body = b'{"value":{"bpm":%d},"source":{"app":"marker-app"},"note":"marker-value-%d"}' % (60 + number, number)
    return Item(origin, Event(f"marker-id-{number}", "heart_rate", NOW_US + number, None, 0, Op.UPSERT, body, 0))


def refused() -> Quarantined:
    rejection = Rejection(0, "marker-id-bad", Reason.OUT_OF_RANGE, "value", "marker-refused", b'{"marker-value":1}')
    return Quarantined(Origin(WHO, DEVICE, None, f"users/{WHO}/devices/{DEVICE}/events"), NOW_US, rejection)


@pytest.fixture
def data(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a person in every kind of file, and somebody else beside; its log is plain unless asked."""
    monkeypatch.setattr(erasures, "_LATE_S", 0.0)
    place = DataDirectory(tmp_path / "data")
    with place.changing() as change:
        registry = change.registry
        for user, device in ((WHO, DEVICE), ("bob", "bob-watch")):
            registry.add_user(user, "*", NOW_US)
            registry.add_device(user, device, NOW_US)
        registry.add_subscriber("app", [WHO, "bob"], "*", NOW_US)
        registry.dashboards.enable(WHO, "*", NOW_US)
        registry.sources.prefer(WHO, ["marker-source"], NOW_US)
        change.note("user.added", user=WHO)
    data = place.path
    plant_logins(data)
    with open_log(data, seal_new=getattr(request, "param", False)) as log:
        log.stage([*(planted(n) for n in range(40)), item("b1", "bob")], [refused()], NOW_US)
        log.remember(FormatMemory(WHO, DEVICE, "json", b'{"marker-value":2}', [("marker-record", "marker-id-1")]))
        log.commit()
        log.purge("heart_rate", NOW_US + 5, [1, 2, 3])
        log.commit()
    with closing(LatestFile.open(data / "homeassistant.db")) as file:
        key = ValueKey(WHO, "heart_rate")
        value = LatestValue(9, "marker-id-9", NOW_US, NOW_US, b"marker-value")
        with open_reader(data) as reader:
            file.write(reader.epoch, 10, {key: Kept(True, value)}, {key: Shown(b"x", b"y")})
    sinks = Sinks(data)
    sinks.put(InfluxConfig(name="influx", url="http://127.0.0.1:9"))
    with closing(SinkLedger.open(sinks.ledger("influx"))) as ledger:
        ledger.admit(SeriesSource(user=WHO, type="heart_rate", device=DEVICE, provider=None, recording=None))
        ledger.displace(WHO, "marker-id-3", 1)
    with closing(Pseudonyms.open(sinks.pseudonyms)) as names:
        names.of(WHO)
    with LinkBook.open(data) as book:
        for user in (WHO, "bob"):
            tokens = Tokens(f"access-{user}", f"refresh-{user}", NOW_US, account="marker-account")
            link = book.agree(user, "whoop", tokens, "read", NOW_US) if user == WHO else None
            link = link or book.agree(user, "whoop", tokens._replace(account=""), "read", NOW_US)
            book.advance(link, "sleep", FetchCursor(2, 1), b"marker-memory" if user == WHO else b"")
            name = "marker-night" if user == WHO else "bob-night"
            book.note(link.id, [Made({"id": f"{user}-n", "type": "sleep"}, 0, name=name)])
    plant_days(data)
    for user, word in ((WHO, b"marker-import"), ("bob", b"bob's")):
        state = ImportState(data, user, f"{user}-watch" if user == "bob" else DEVICE)
        state.remember({"fit": word})
        state.mark("a digest", Declared(), {"fit": word}).write(
            Mark(events=7, examples={"x": [{"place": word.decode()}]})
        )
    asyncio.run(plant_sessions(data))
    return data


def plant_days(data: Path) -> None:
    with open_reader(data) as reader, SummaryFile.open(data / "summaries.db") as days:
        days.agree(WHO, "all", lambda _user, _type: 0)
        days.take(reader.head(), reader.read(0, 10_000), {})
        while days.work_out(100, lambda _user, _type: 0):
            pass
    with InsightFile.open(data / "insights.db") as findings:
        findings._connection.execute(
            insight_statements("healthsync_mqtt.insights", "sql", "file.sql")["add"],
            (WHO, "kind", 1, "", "[]", '{"said":"marker-finding"}'),
        )


def plant_logins(data: Path) -> None:
    """Passwords and logins at other brokers, and what writers of these files left that were killed."""
    clients = (f"{WHO}-{DEVICE}", "bob-bob-watch")
    for client in clients:
        CredentialStore(data / "credentials").rotate(client)
    logins = data / "hook-logins.jsonl"
    RememberedLogins(logins).add([], {client: Note(client, "r", 9e9, None, None) for client in clients})
    for unfinished in (logins, *(data / "credentials" / f"{mark}{clients[0]}" for mark in ("", ".untold."))):
        unfinished.with_name(f".{unfinished.name}.0a1b2c3d").write_bytes(logins.read_bytes())


async def plant_sessions(data: Path) -> None:
    """A reader who was away, what is retained of the person, and a will."""
    store = SessionStore.open(data / "sessions.db")
    session = store.opened(Principal(role=Role.subscriber, client_id="app", users=None, types=None))
    topic = f"users/{WHO}/canonical/heart_rate"
    store.owed(session, 1, OwedMessage(topic.encode(), b"marker-owed", 1, False))
    store.retain(topic, Retained(topic, b"marker-owed", 1))
    who = Principal(role=Role.device, client_id=f"{WHO}-{DEVICE}", user=WHO, device=DEVICE)
    store.will(
        store.opened(who),
        KeptWill(who, 1e9, f"users/{WHO}/devices/{DEVICE}/status", b"marker-will", 1, False, b"", None),
    )
    done = asyncio.get_running_loop().create_future()
    store.durable(lambda: done.set_result(None))
    await done
    store.close()


def begin(data: Path) -> str:
    with DataDirectory(data).changing() as change:
        erasure = change.registry.erase(WHO, NOW_US + 10_000_000)
        change.note("user.erased", user=WHO)
    return erasure.id


def run(data: Path) -> None:
    """The service's steps; sinks have no process here."""

    async def work() -> None:
        settings = load_settings(data)
        async with Service.open(settings, EmbeddedEdge.open) as service:
            assert service.erasures is not None
            await service.erasures.finish()

    asyncio.run(work())


def found(data: Path) -> list[str]:
    """Which marks are in which file: ``grep -a``."""
    files = [path for path in data.rglob("*") if path.is_file()]
    named = [f"{path}" for path in files if any(mark in path.name for mark in MARKS)]
    contents = {path: path.read_bytes() for path in files}
    return named + [
        f"{mark} in {path.name}"
        for path, raw in contents.items()
        for mark, forms in FORMS.items()
        if any(each in raw for each in forms)
    ]


def test_the_marks_are_everywhere_before(data: Path) -> None:
    files = {line.rpartition(" ")[2] for line in found(data)}
    names = {"events.db", "registry.db", "homeassistant.db", "influx.db", "pseudonyms.db", "sessions.db", "insights.db"}
    assert names | {"summaries.db", "adapters.db", "hook-logins.jsonl"} <= files
    assert sum(name.startswith(("device-", "mark-")) for name in files) == 2
    assert {line.partition(" ")[0] for line in found(data) if " in " in line} == set(MARKS) - {"marker-app"} | {
        "marker-app"
    }


def test_nothing_is_left_and_others_are_as_they_were(data: Path) -> None:
    erasure = begin(data)
    run(data)
    assert "\n".join(found(data)) == ""
    place = DataDirectory(data)
    with place.registry() as registry:
        assert [each.id for each in registry.users()] == ["bob"]
        assert registry.erasures.get(erasure).step is ErasureStep.done  # type: ignore[union-attr]
        assert registry.erasures.pending(erasure) == ["link:whoop", "sink:influx"], "nobody was there to be told"
        assert registry.subscriber("app").users == frozenset({"bob"})
        assert registry.consent.history("bob")
        with pytest.raises(NotFoundError):
            registry.user_once(WHO)
    with open_reader(data) as reader:
        assert [row.user for row in reader.read(0, 99, history=True)] == ["bob"]
        assert (reader.head(), reader.users()) == (41, ["bob"])
    with open_log(data) as log:  # its anchor knows it, and it goes on
        assert log.head() == 41
    with LinkBook.open(data) as links:
        assert [each.user for each in links.links()] == ["bob"]
        assert links.tokens(links.of("bob", "whoop")) is not None
        assert links.found(links.links()[0].id, Gone("bob")) != []
    assert ImportState(data, "bob", "bob-watch").memory() == {"fit": b"bob's"}
    assert len(list((data / "imports").glob("mark-*"))) == 1
    assert CredentialStore(data / "credentials").names() == ["bob-bob-watch"]
    assert list(RememberedLogins(data / "hook-logins.jsonl").read(0)) == ["bob-bob-watch"]
    with PartingBook.open(data) as partings:
        (parting,) = partings.partings(erasure=erasure)
        partings.over(parting)
    run(data)
    with place.registry() as registry:
        assert registry.erasures.pending(erasure) == ["sink:influx"], "the provider was told"
    audit = place.audit_log()
    entries = audit.rows(subject=audit.pseudonym("user", WHO))
    assert [each.action for each in entries] == ["user.added", "user.erased"]
    assert audit.verify().first_bad is None


@pytest.mark.parametrize("data", [False, True], ids=["plain", "sealed"], indirect=True)
@pytest.mark.parametrize("step", list(NEXT), ids=str)
def test_killed_at_each_step_it_ends_complete_after_a_restart(
    data: Path, step: ErasureStep, request: pytest.FixtureRequest
) -> None:
    """kill -9 when the work of the step is done and the next one is not written down yet."""
    erasure = begin(data)
    child = os.fork()
    if not child:
        _die_after(step)
        run(data)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert encryption(data).mode == ("rows" if "sealed" in request.node.callspec.id else "none")
    run(data)
    assert found(data) == []
    with open_reader(data) as reader:
        assert [(row.user, row.id) for row in reader.read(0, 99, history=True)] == [("bob", "b1")]
    with DataDirectory(data).registry() as registry:
        assert registry.erasures.get(erasure).step is ErasureStep.done  # type: ignore[union-attr]


def _die_after(step: ErasureStep) -> None:
    real = erasures.Erasures._through

    async def through(self, erasure):
        do = self._steps[step]

        async def dying(each) -> None:
            await do(each)
            os.kill(os.getpid(), signal.SIGKILL)

        self._steps = {**self._steps, step: dying}
        await real(self, erasure)

    erasures.Erasures._through = through  # type: ignore[method-assign]


def test_a_name_that_comes_back_is_another_life_and_old_tokens_are_void(data: Path) -> None:
    place = DataDirectory(data)
    with place.registry() as registry:
        before = registry.device(WHO, DEVICE)
    begin(data)
    run(data)
    with place.registry() as registry:
        registry.add_user(WHO, "*", NOW_US + 20_000_000)
        again = registry.add_device(WHO, DEVICE, NOW_US + 20_000_000)
        assert again.client_id == before.client_id
        assert registry.token_epoch(again.client_id) > before.token_epoch
    run(data)  # the ledger is read again, and knows that this is somebody else's time
    with place.registry() as registry:
        assert registry.user(WHO).id == WHO


def test_decisions_of_others_are_seen_after_an_erasure(data: Path) -> None:
    """Followers read decisions behind a number: the numbers of those that went are not given again."""
    place = DataDirectory(data)
    with place.registry() as registry:
        newest = registry.consent.fetch().newest
    begin(data)
    run(data)
    with place.registry() as registry:
        registry.consent.grant("bob", "*", NOW_US + 30_000_000, recorded_by="test")
        assert registry.consent.fetch().newest > newest
        roster = registry.roster()
        assert registry.since(roster.change, roster.consents) is not None


def test_history_of_consent_is_not_deleted_without_an_erasure(data: Path) -> None:
    import sqlite3

    with closing(sqlite3.connect(data / "registry.db")) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM consent_decisions WHERE user_id = 'bob'")


def test_an_older_copy_that_is_put_back_is_erased_by_the_ledger(data: Path, tmp_path: Path) -> None:
    import shutil

    older = tmp_path / "older"
    shutil.copytree(data, older)
    begin(data)
    run(data)
    entries = erasure_ledger.read(data / "erasures.jsonl")
    assert [each.means(WHO) for each in entries] == [True]
    assert not any(each.means("bob") for each in entries)
    erasure_ledger.add(older / "erasures.jsonl", entries)
    run(older)
    assert found(older) == []
    with DataDirectory(older).registry() as registry:
        assert registry.erasures.done() == (entries[0].id,)
        assert recall(registry, [], entries, NOW_US) == 0


def test_an_older_log_under_a_newer_registry_is_erased_too(data: Path, tmp_path: Path) -> None:
    import shutil

    from healthsync_mqtt.cli.storage import accept_restored

    copy = tmp_path / "events.db"
    shutil.copy(data / "events.db", copy)
    begin(data)
    run(data)
    for ending in ("-wal", "-shm"):
        (data / f"events.db{ending}").unlink(missing_ok=True)
    shutil.copy(copy, data / "events.db")
    accept_restored(DataDirectory(data))
    run(data)
    assert found(data) == []


def test_a_ledger_whose_last_line_was_cut_is_read_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "erasures.jsonl"
    first = erasure_ledger.entry("a1", "alice", NOW_US)
    erasure_ledger.add(file, [first])
    whole = file.read_bytes()
    erasure_ledger.add(file, [erasure_ledger.entry("b2", "bob", NOW_US)])
    file.write_bytes(file.read_bytes()[: len(whole) + 20])
    assert erasure_ledger.read(file) == [first]
    erasure_ledger.add(file, [erasure_ledger.entry("b2", "bob", NOW_US), first])
    assert [each.id for each in erasure_ledger.read(file)] == ["a1", "b2"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"alice" not in file.read_bytes()


def test_what_followers_copy_of_the_registry_goes_first(data: Path) -> None:
    """A follower that looks between the steps would write the name into its file again."""
    begin(data)
    with DataDirectory(data).registry() as registry:
        assert registry.sources.all() == {}


def test_an_erasure_is_begun_once(data: Path) -> None:
    assert begin(data) == begin(data)
    with DataDirectory(data).registry() as registry, pytest.raises(NotFoundError):
        registry.erase("nobody", NOW_US)
