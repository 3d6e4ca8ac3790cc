"""Two gateways and two bridges of one installation on a real PostgreSQL and Mosquitto: any request at any of them."""

import asyncio
import json
import random
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.people.opening import turn_at_webhooks
from healthsync_mqtt.identity.registry import Registry
from tests.integration.test_external_gateway import event
from tests.support import child
from tests.support.external_bridge import BridgeProcess
from tests.support.external_gateway import GatewayRun
from tests.support.loopback import served
from tests.support.mosquitto import Mosquitto
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED, Postgres
from tests.support.service import run_cli
from tests.support.web import Web

pytestmark = NEEDED

USERS = ("alice", "bob")
BRIDGES = ("main", "second")


@dataclass
class Installation:
    """Where commands are said, what runs, and what devices of the users log in with."""

    home: Path
    bridges: dict[str, BridgeProcess]
    gateways: list[GatewayRun]
    tokens: dict[str, str]

    def by(self, user: str, number: int) -> Web:
        """The user's device, or the reader, at one of the gateways."""
        return Web(self.gateways[number].url, self.home / "certs" / "ca.crt").as_(self.tokens[user])

    def stored(self, user: str) -> list[str]:
        return [each["id"] for each in run_cli(self.home, "events", "list", "--user", user, "--limit", "10000")]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Each of the four has a data directory of its own; the gateways' have no service."""
    root = tmp_path_factory.mktemp("gateways")
    with Postgres() as server, ExitStack() as running:
        broker = Mosquitto(root, share="all")
        server.directory(root / "server")
        storage = (root / "server" / "healthsync.toml").read_text()
        settings = (broker.data / "healthsync.toml").read_text() + storage + "shared = true\n"
        settings += storage.replace("[storage]", "[registry]")
        (broker.data / "healthsync.toml").write_text(f'{settings}[gateway]\nwebhook_hosts = "127.0.0.1"\n')
        made = {user: _device(broker.data, user) for user in USERS}
        reader = run_cli(broker.data, "subscriber", "add", "reader", "--users", ",".join(USERS), "--types", "*")
        admin = run_cli(broker.data, "admin", "add", "root")
        running.enter_context(broker)
        run_cli(
            broker.data, "broker", "provision", "mosquitto", "--bridges", ",".join(BRIDGES), "--gateways", "east,west"
        )
        for name in ("second", "east", "west"):
            shutil.copytree(broker.data, root / name)
            kind = "bridge" if name in BRIDGES else "gateway"
            (root / name / "healthsync.toml").write_text(f'{settings}home = false\n[{kind}]\nid = "{name}"\n')
        tokens = made | {"reader": reader[0]["token"], "admin": admin[0]["token"]}
        bridges = {"main": BridgeProcess(broker.data, by_command=True), "second": BridgeProcess(root / "second")}
        for each in bridges.values():
            running.enter_context(each)
        gateways = [GatewayRun(root / name, answer_s=2, webhook_hosts="127.0.0.1") for name in ("east", "west")]
        for gateway in gateways:
            running.callback(gateway.end)
            gateway.start()
        yield Installation(broker.data, bridges, gateways, tokens)


def _device(data: Path, user: str) -> str:
    run_cli(data, "user", "add", user, "--consent", "all")
    token: str = run_cli(data, "device", "add", user, "watch")[0]["token"]
    return token


def again(killed: BridgeProcess | GatewayRun) -> None:
    """Start it once more; the fixture ends it."""
    killed.start()
    assert killed.process
    child.lasting(killed.process)


def taken(web: Web, body: Any) -> dict[str, Any]:
    """What became of it, once it was taken: whoever is told 503 asks again."""
    said: dict[str, Any] = web.taken("/v1/events", body, {503}).json()
    return said


def test_neither_puts_the_other_off_the_broker(here: Installation) -> None:
    for number in range(20):
        assert taken(here.by("alice", number % 2), event(f"turn-{number}"))["stored"] == 1
    assert [each.log_path.read_text().count("gateway.broker_connected") for each in here.gateways] == [1, 1]


def test_the_status_of_any_of_them_shows_the_installation(here: Installation) -> None:
    assert taken(here.by("alice", 0), event("seen"))["stored"] == 1

    def found() -> dict[tuple[str, str], dict[str, Any]]:
        listed = run_cli(here.gateways[1].data, "status")[0]["processes"]
        return {(each["kind"], each["name"]): each for each in listed if each["state"] == "running"}

    names = {("bridge", name) for name in BRIDGES} | {("gateway", f"healthsync-gateway-{n}") for n in ("east", "west")}
    wait_until(lambda: set(found()) == names, "each has said that it is there")
    wait_until(lambda: sum(each["stored"] for (kind, _), each in found().items() if kind == "bridge") > 0)
    wait_until(lambda: found()["gateway", "healthsync-gateway-east"]["requests"] > 0)
    assert [name for (_, name), each in found().items() if "insights" in each["does"]] == ["main"]
    over_http = here.by("admin", 0).get("/v1/status").json()["processes"]
    assert {(each["kind"], each["name"]) for each in over_http} >= names


def test_what_one_took_is_read_at_the_other_and_known_there(here: Installation) -> None:
    batch = {"batch": "b1", "events": [event("both-1"), event("both-2", 9000)]}
    first = taken(here.by("alice", 0), batch)
    again = taken(here.by("alice", 1), batch)
    assert (first["stored"], len(first["rejected"])) == (1, 1)
    assert (again["stored"], again["duplicate"]) == (0, 1)
    for number in (0, 1):
        page = here.by("reader", number).get("/v1/users/alice/events?type=heart_rate").json()
        assert [each["id"] for each in page["events"] if each["id"].startswith("both")] == ["both-1"]
        assert here.by("bob", number).get("/v1/users/alice/events").status == 404


def test_streams_and_changes_at_either_follow_the_log(here: Installation) -> None:
    place = here.by("reader", 1).get("/v1/changes").json()["since"]
    with here.by("reader", 1).stream("user=bob&from=earliest") as told:
        assert taken(here.by("bob", 0), event("live"))["stored"] == 1
        assert any(each["id"] == "live" for each in told), "the stream ended"
    found = here.by("reader", 0).get(f"/v1/changes?since={place}").json()
    assert "live" in [each["id"] for each in found["events"]]


def test_a_revocation_is_known_to_both(here: Installation) -> None:
    token = _device(here.home, "carol")
    carol = [Web(each.url, here.home / "certs" / "ca.crt").as_(token) for each in here.gateways]
    for number, web in enumerate(carol):
        wait_until(lambda web=web: web.get("/v1/users/carol/events").status == 200, "she is known")  # type: ignore[misc]
        assert taken(web, event(f"c-{number}"))["stored"] == 1
    run_cli(here.home, "token", "revoke", "--user", "carol", "--device", "watch", "--yes")
    for web in carol:
        wait_until(lambda web=web: web.get("/v1/users/carol/events").status == 401, "it has looked")  # type: ignore[misc]
    assert [web.post("/v1/events", event("late")).status for web in carol] == [401, 401]


def test_bridges_and_gateways_are_killed_and_each_2xx_is_in_the_log_once(here: Installation) -> None:
    seed = secrets.randbelow(1 << 32)
    rng, over, told = random.Random(seed), threading.Event(), dict[tuple[str, int], list[str]]()

    def send(user: str, number: int) -> None:
        mine, count = told.setdefault((user, number), []), 0
        while not over.is_set():
            name = f"k-{number}-{count}"
            try:
                answer = here.by(user, number).post("/v1/events", event(name))
            except OSError:
                continue  # no gateway
            if answer.status == 200:
                said = answer.json()
                assert said["stored"] + said["duplicate"] == 1, answer.body
                mine.append(name)
                count += 1
            else:
                assert answer.status == 503, answer.body

    def reached(more: int) -> None:
        keys = [(user, number) for user in USERS for number in (0, 1)]
        start = {key: len(told.get(key, ())) for key in keys}
        wait_until(lambda: all(len(told.get(key, ())) >= start[key] + more for key in keys), "events go through")

    with ThreadPoolExecutor() as senders:
        sending = [senders.submit(send, user, number) for user in USERS for number in (0, 1)]
        try:
            for turn in range(6):
                reached(rng.randrange(1, 6))
                if turn % 3 == 2:
                    gateway = here.gateways[rng.randrange(2)]
                    gateway.end(signal.SIGKILL)
                    again(gateway)
                else:
                    bridge = here.bridges[rng.choice(BRIDGES)]
                    bridge.kill()
                    reached(1)  # the other one takes what it had
                    again(bridge)
            reached(3)
        finally:
            over.set()
        for each in sending:
            each.result()
    for user in USERS:
        stored = [name for name in here.stored(user) if name.startswith("k-")]
        assert len(stored) == len(set(stored)), f"an event is there twice, SEED={seed}"
        assert {name for (who, _), names in told.items() if who == user for name in names} <= set(stored), f"{seed=}"


async def test_a_bridge_that_hangs_with_calls_in_hand_and_dies_loses_none(here: Installation) -> None:
    """SIGSTOP keeps what it was given there until SIGKILL; then the broker gives it to the other one."""
    second = here.bridges["second"]
    second.send(signal.SIGSTOP)
    names = [f"held-{number}" for number in range(8)]
    answers = await asyncio.gather(
        *(asyncio.to_thread(here.by("bob", place % 2).post, "/v1/events", event(name))
          for place, name in enumerate(names))
    )  # fmt: skip
    assert {each.status for each in answers} <= {200, 503}
    await asyncio.to_thread(second.kill)
    for place, name in enumerate(names):
        said = await asyncio.to_thread(taken, here.by("bob", (place + 1) % 2), event(name))
        assert said["stored"] + said["duplicate"] == 1
    await asyncio.to_thread(again, second)
    stored = await asyncio.to_thread(here.stored, "bob")
    assert sorted(name for name in stored if name.startswith("held")) == sorted(names)


def test_what_is_kept_at_home_is_not_said_to_be_nothing(here: Installation) -> None:
    admin = here.by("admin", 0)
    for path in ("users/alice/summary", "users/alice/insights", "users/alice/imports", "users/alice/export", "sinks"):
        answer = admin.get(f"/v1/{path}")
        assert (path, answer.status) == (path, 503), answer.body
        assert "registry.home" in answer.json()["hint"]


def test_of_the_machines_of_a_registry_one_has_the_turn_at_webhooks(tmp_path: Path) -> None:
    with Postgres() as server:
        first = server.directory(tmp_path / "first")
        text = (first / "healthsync.toml").read_text()
        (first / "healthsync.toml").write_text(f"{text}shared = true\n{text.replace('[storage]', '[registry]')}")
        second = tmp_path / "second"
        shutil.copytree(first, second)
        with Registry.open(first / "registry.db"):
            one, other = (turn_at_webhooks(each / "registry.db") for each in (first, second))
            assert one
            assert other
            try:
                assert [one.take(), other.take(), one.take()] == [True, False, True]
                server.cut()
                for each in (one, other):
                    with pytest.raises(StoreError):
                        each.take()
                assert [other.take(), one.take()] == [True, False], "two would post at once"
                other.leave()
                wait_until(one.take, "the other one left")
            finally:
                one.leave()
                other.leave()


def test_of_two_gateways_one_posts_and_where_it_dies_the_other(here: Installation) -> None:
    taken(here.by("alice", 0), event("hooked-0"))
    posted: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the standard library's name
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            posted.extend(each["id"] for each in body["data"]["events"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with served(Receiver) as url:
        run_cli(here.home, "webhook", "add", "board", "reader", url)
        try:
            names = [f"hooked-{number}" for number in range(1, 7)]
            for place, name in enumerate(names):
                taken(here.by("alice", place % 2), event(name))
            wait_until(lambda: set(names) <= set(posted), "they are posted")
            assert sorted(posted) == names, "each by one of them"
            for gateway in here.gateways:
                gateway.end(signal.SIGKILL)
                name = f"hooked-after-{gateway.data.name}"
                taken(here.by("alice", 1 - here.gateways.index(gateway)), event(name))
                wait_until(lambda name=name: name in posted, "the other one posts")  # type: ignore[misc]
                again(gateway)
        finally:
            run_cli(here.home, "webhook", "remove", "board", "--yes")
