"""A person is erased over a running service: no file of the data directory has a value, an id or a name of it."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.mqtt.codec.packets import NO_PROPERTIES, Properties, Property, Will
from healthsync_mqtt.storage.opening import open_reader
from tests.support.influx_double import InfluxDouble, Reply
from tests.support.patience import wait_until
from tests.support.peer import Identity, event
from tests.support.peer5 import Peer5
from tests.support.service import Service

WHO, WATCH, PHONE = "marker-zoe", "marker-watch", "marker-phone"
LASTING: Properties = {Property.SESSION_EXPIRY: 100_000}


def held(event_id: str) -> bytes:
    """An event of next week: it waits in the quarantine until then."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7 * 86_400))
    return json.dumps({**json.loads(event(event_id)), "start_time": at}).encode()


def told() -> list[bytes]:
    """A marker in every kind of field, and in whatever is refused."""
    span = {"start_time": "2026-01-05T06:00:00Z", "end_time": "2026-01-05T07:00:00Z"}
    workout = {"activity": "running", "laps": [span | {"name": "marker-lap"}], "name": "marker-run"}
    source = {"provider": "marker-provider", "app": "marker-app", "record_id": "marker-record", "more": "marker-more"}
    return [
        event("marker-id-1", source=source, device={"model": "marker-model", "type": "watch", "note": "marker-note"}),
        json.dumps(
            {"id": "marker-id-2", "type": "food", **span, "value": {"items": [{"name": "marker-food"}]}}
        ).encode(),
        json.dumps({"id": "marker-id-3", "type": "workout", **span, "value": workout}).encode(),
        json.dumps({"id": "marker-id-4", "type": "steps", **span, "value": {"steps": 9}, "utc_offset": 3600}).encode(),
        event("marker-id-1", 99, version=1),
        json.dumps({"batch": "marker-batch", "events": [json.loads(event("marker-id-5"))]}).encode(),
        event("marker-id-bad", 9000, source={"app": "marker-refused"}),
        b'{"marker-bytes": ',
        held("marker-id-held"),
    ]


def traces(*places: Path) -> list[str]:
    """Lines of ``grep -a marker``, by file, of every file; a file may go meanwhile."""
    found = []
    for path in sorted(each for place in places for each in place.rglob("*")):
        if "marker" in path.name:
            found.append(str(path))
        try:
            raw = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        at = raw.find(b"marker")
        if at >= 0:
            found.append(f"{path.name}: {raw[max(0, at - 60) : at + 60]!r}")
    return found


def subjects(server: InfluxDouble) -> set[str]:
    """Whose points there are, by pseudonym."""
    return {dict(tags)["user"] for _, tags, _ in list(server.points)}


@pytest.fixture
async def peers() -> AsyncIterator[list[Peer5]]:
    opened: list[Peer5] = []
    yield opened
    for peer in opened:
        await peer.leave()


@pytest.mark.parametrize("encryption", ["none", "rows"])
async def test_nothing_is_left_of_a_person_who_is_erased(
    tmp_path: Path, encryption: str, peers: list[Peer5], server: InfluxDouble
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    service = Service(data, env={"HEALTHSYNC_STORAGE__ENCRYPTION": encryption})

    async def connect(who: Identity, about: Properties = NO_PROPERTIES, will: Will | None = None) -> Peer5:
        peer = await Peer5.open(service.ready["mqtt"])
        peers.append(peer)
        assert (await peer.connect(who, clean=about is NO_PROPERTIES, will=will, about=about)).code == 0
        return peer

    with service:
        for user, device in ((WHO, WATCH), ("bob", "watch")):
            typed(data, "user", "add", user, "--consent", "all")
            typed(data, "device", "add", user, f"{device}-2")
        watch, bob = (_device(data, *each) for each in ((WHO, WATCH), ("bob", "watch")))
        (made,) = typed(data, "subscriber", "add", "reader", "--users", f"{WHO},bob")
        reader = Identity(client_id=made["client_id"], token=made["token"])
        (app,) = typed(
            data, "app", "add", WHO, PHONE, "--format", "openscale", "--slot", "1", "--zone", "Europe/Berlin"
        )
        typed(data, "sink", "add", "file", str(out), "--name", "file")
        typed(data, "sink", "add", "influxdb", server.url, "--name", "influx", "--no-test")
        listener = await connect(reader, LASTING)
        about = ("canonical/+", "devices/+/status", "insights/daily")
        wanted = [f"users/{user}/{each}" for user in (WHO, "bob") for each in about]
        assert await listener.subscribe(*((each, 1) for each in wanted)) == (1,) * 6
        await listener.leave()

        will = Will(watch.status, b"marker-will", 1, True, {Property.WILL_DELAY: 100_000})
        sender = await connect(watch, LASTING, will)
        await sender.subscribe((watch.receipts, 1))
        await sender.put(watch.status, b"marker-status", retain=True)
        for payload in told():
            await sender.put(watch.events, payload)
        phone = await Peer5.open(service.ready["mqtt"])
        peers.append(phone)
        name, secret = app["username"], app["password"]
        await phone.connect(Identity(client_id=name, token=secret))
        weighed = {"id": 17, "userId": 1, "date": "2026-05-03T07:41+0200", "weight": 71.35}
        topic = app["topics"][0].replace("#", "").rstrip("/")
        await phone.put(
            f"{topic}/1/measurements/insert" if not topic.endswith("insert") else topic, json.dumps(weighed).encode()
        )
        other = await connect(bob)
        for number in range(5):
            await other.put(bob.events, event(f"b-{number}", 60 + number))
        typed(data, "client", "kick", watch.client_id, "--yes")
        second = await connect(_device(data, WHO, "marker-ring"), LASTING)
        typed(data, "trace", watch.client_id, "--for", "1s")
        with open_reader(data) as log:
            assert log.users() == ["bob", WHO]
            assert [each.reason for each in log.rejected()] == [
                "unknown_field",
                "out_of_range",
                "malformed",
                "future_time",
            ]
        for files in ("events-", "days-"):
            wait_until(lambda files=files: any(files in each for each in traces(out)), "the file has it")
        wait_until(lambda: len(subjects(server)) == 2, "the server has both")
        before = {each.partition(":")[0] for each in traces(data)}
        assert {"events.db-wal", "registry.db", "summaries.db", "influx.db", "pseudonyms.db"} <= before, before
        server.always = lambda request: Reply(503) if request.path.endswith("/delete") else server.real(request)

        (said,) = typed(data, "user", "erase", WHO, "--yes", "--reason", "asked for")
        assert said == {"user_id": WHO, "erased": True, "pending": ["sink:influx"]}
        assert traces(data, out) == []
        (open_,) = typed(data, "status")[0]["erasures"]
        assert (open_["step"], open_["pending"]) == ("done", ["sink:influx"])
        server.always = None
        wait_until(lambda: not typed(data, "status")[0]["erasures"], "it is asked again")
        assert len(subjects(server)) == 1, "bob's are whole"
        await second.closed()
        late = await Peer5.open(service.ready["mqtt"])
        peers.append(late)
        assert (await late.connect(watch)).code != 0
        listener = await connect(reader, LASTING)
        assert not [each for each in await listener.settle() if b"marker" in repr(each).encode()]
        await other.put(bob.events, event("b-5"))
        assert traces(data, out) == []
    assert traces(data, out) == []
    with open_reader(data) as log:
        assert [(row.user, row.id) for row in log.read(0, 99, history=True)] == [("bob", f"b-{n}") for n in range(6)]
    said_by_service = service.log_path.read_text()
    assert not any(each in said_by_service for each in ("marker-id", "marker-app", "marker-refused", "marker-will"))


async def test_erased_while_events_come_a_sink_is_away_and_a_backup_is_made(
    tmp_path: Path, peers: list[Peer5], server: InfluxDouble
) -> None:
    """T57. Each of them at once; then the set is put back with its keys, and the person is in none of its files."""
    data, sets, keys, again = (tmp_path / name for name in ("data", "sets", "keys.tar", "again"))
    with Service(data) as service:
        for user in (WHO, "bob"):
            typed(data, "user", "add", user, "--consent", "all")
        watch, bob = _device(data, WHO, WATCH), _device(data, "bob", "watch")
        typed(data, "sink", "add", "influxdb", server.url, "--name", "influx", "--no-test")
        senders = []
        for who in (watch, bob):
            senders.append(peer := await Peer5.open(service.ready["mqtt"]))
            peers.append(peer)
            assert (await peer.connect(who)).code == 0
            for number in range(3):
                await peer.put(who.events, event(f"{who.user}-{number}"))
        wait_until(lambda: len(subjects(server)) == 2, "the server has both")
        server.always = lambda _: Reply(503)
        service.cli("backup", "create", str(sets), "--keys", str(keys))

        begun = asyncio.Event()

        async def send() -> None:
            """Until the service ends the connection."""
            with contextlib.suppress(OSError, EOFError):
                for number in itertools.count():
                    await senders[0].put(watch.events, event(f"marker-late-{number}"))
                    begun.set()

        sending = asyncio.create_task(send())
        kept = asyncio.create_task(asyncio.to_thread(service.cli, "backup", "create", str(sets)))
        await begun.wait()
        (said,) = await asyncio.to_thread(service.cli, "user", "erase", WHO, "--yes")
        assert said == {"user_id": WHO, "erased": True, "pending": ["sink:influx"]}
        await kept
        await sending
        assert traces(data) == []
        late = await Peer5.open(service.ready["mqtt"])
        peers.append(late)
        assert (await late.connect(watch)).code != 0, "what the device still has is refused"
        await senders[1].put(bob.events, event("bob-3"))
    # No settings say where the sets are, so the ledger is not beside them yet.
    with_it = ("--keys", str(keys), "--erasures", str(data / "erasures.jsonl"))
    (put_back,) = typed(again, "restore", str(sets), *with_it)
    assert put_back["to_erase"] in {0, 1}, "0 where the set was begun so late that the person is not in it"
    with Service(again):
        with open_reader(again) as log:  # it is ready: nobody was served before this
            assert [(row.user, row.id) for row in log.read(0, 99)] == [("bob", f"bob-{n}") for n in range(3)]
            assert log.users() == ["bob"]
        wait_until(lambda: traces(again) == [], "its files are overwritten")


def typed(data: Path, *words: str) -> list[Any]:
    """What a command prints. In this process, which is a fifth of the time; the service has its own."""
    done = CliRunner().invoke(program(needed(words)), [*words, "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def _device(data: Path, user: str, name: str) -> Identity:
    (made,) = typed(data, "device", "add", user, name)
    return Identity(client_id=made["client_id"], token=made["token"], user=user, device=name)
