"""The gateway beside a bridge on a real Mosquitto: 2xx for what is in the log, and for nothing else."""

import asyncio
import json
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.mqtt.gateway_calls import GatewayCall, encode_call
from healthsync_mqtt.mqtt.links.port import ClientLogin
from healthsync_mqtt.mqtt.links.probe import talk
from tests.support.external_bridge import BridgeProcess
from tests.support.external_gateway import Beside, beside
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.rabbitmq import RabbitMq, installed
from tests.support.service import run_cli
from tests.support.web import HttpAnswer, Web, basic

pytestmark = pytest.mark.real_server

REQUESTS, ANSWERS = "gateway/healthsync-gateway/request", "gateway/healthsync-gateway/answer"


def event(name: str, bpm: float = 70, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": bpm},
    } | more  # fmt: skip


def provision(broker: Mosquitto) -> None:
    asyncio.run(broker.provision())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    broker = Mosquitto(tmp_path_factory.mktemp("beside"), canary=True, provisioned=True)
    with beside(broker, provision) as made:
        yield made


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Beside]:
    """One whose gateway waits a second for an answer, for tests in which none comes."""
    with beside(Mosquitto(tmp_path), provision, answer_s=1) as made:
        yield made


def test_a_batch_is_answered_with_what_became_of_each_event(scene: Beside) -> None:
    batch = {"batch": "b1", "events": [event("a-1"), event("a-2", 9000)]}
    first = scene.by("alice").post("/v1/events", batch)
    assert first.status == 200, first.body
    said = first.json()
    assert (said["stored"], said["duplicate"]) == (1, 0)
    assert [(each["index"], each["code"]) for each in said["rejected"]] == [(1, "out_of_range")]
    again = scene.by("alice").post("/v1/events", batch).json()
    assert (again["stored"], again["duplicate"]) == (0, 1)
    listed = scene.cli("events", "list", "--user", "alice")
    assert [(each["id"], each["device_id"]) for each in listed if each["id"].startswith("a-")] == [("a-1", "watch")]


def test_when_all_are_refused_the_answer_is_a_problem_with_the_reasons(scene: Beside) -> None:
    answer = scene.by("alice").post("/v1/events", [event("bad-1", 9000), event("bad-2", -4)])
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [each["index"] for each in answer.json()["rejected"]] == [0, 1]
    assert answer.json()["reason"] == "out_of_range"


def test_an_app_sends_in_its_format(scene: Beside) -> None:
    made = scene.cli("app", "add", "alice", "nightscout", "--format", "nightscout")[0]
    app = scene.web.as_(basic(made["username"], made["password"]))
    entry = [{"type": "sgv", "sgv": 120, "date": 1795413600000, "_id": "n1"}]
    assert app.taken("/v1/formats/nightscout", entry).json()["stored"] == 1
    assert app.post("/v1/formats/openscale", entry).status == 403


def test_what_is_stored_is_read_and_comes_on_the_stream(scene: Beside) -> None:
    reader = scene.by("reader")
    with reader.stream("user=bob&from=earliest") as told:
        assert scene.by("bob").post("/v1/events", event("live")).json()["stored"] == 1
        assert any(each["id"] == "live" for each in told), "the stream ended"
    page = reader.get("/v1/users/bob/events?type=heart_rate&limit=100").json()
    assert "live" in [each["id"] for each in page["events"]]
    assert scene.by("alice").get("/v1/users/bob/events").status == 404


def test_who_withdraws_consent_is_heard_by_the_bridge(scene: Beside) -> None:
    scene.cli("user", "add", "carol", "--consent", "all")
    carol = scene.web.as_(scene.cli("device", "add", "carol", "watch")[0]["token"])
    assert carol.post("/v1/events", event("c-1")).json()["stored"] == 1
    scene.cli("consent", "withdraw", "carol", "--types", "heart_rate")
    refused = carol.post("/v1/events", event("c-2"))
    assert (refused.status, refused.json()["reason"]) == (422, "no_consent"), refused.body


def test_nobody_is_answered_with_what_became_of_anothers_events(scene: Beside) -> None:
    """Two devices at once, each with another number of good events: each answer has its own."""

    def rounds(user: str, good: int) -> set[tuple[int, int, int]]:
        web, found = scene.by(user), set()
        for number in range(30):
            body = [event(f"x-{number}-{place}") for place in range(good)] + [event(f"x-{number}-bad", 9000)]
            answer = web.post("/v1/events", body)
            assert answer.status == 200, answer.body
            said = answer.json()
            found.add((said["stored"], said["duplicate"], len(said["rejected"])))
        return found

    with ThreadPoolExecutor() as both:
        alice, bob = both.submit(rounds, "alice", 1), both.submit(rounds, "bob", 3)
        assert (alice.result(), bob.result()) == ({(1, 0, 1)}, {(3, 0, 1)})


def test_another_name_in_an_event_changes_nothing_of_anybody(scene: Beside) -> None:
    forged = scene.by("bob").post("/v1/events", event("forged", user_id="alice"))
    assert (forged.status, forged.json()["reason"]) == (422, "identity_mismatch")
    assert "forged" not in scene.stored("alice") + scene.stored("bob")


@pytest.mark.parametrize("topic", [REQUESTS, "gateway/bob-watch/request", "gateway/x/request"])
async def test_a_device_calls_no_bridge_and_hears_no_answer(scene: Beside, topic: str) -> None:
    """The broker keeps it from the gateway's topics; what the gateway alone may say would be believed."""
    carried = encode_call(
        GatewayCall("stolen", "users/alice/devices/watch/events", json.dumps(event("stolen")).encode())
    )
    async with talk(scene.broker.address) as thief:
        await thief.login(scene.broker.account("bob-watch"))
        assert thief.code == 0
        assert (await thief.subscribe(topic))[0] >= 128
        assert (await thief.subscribe(topic.replace("request", "answer")))[0] >= 128
        await thief.publish(topic, carried)
    assert (await asyncio.to_thread(scene.by("alice").post, "/v1/events", event("behind"))).status == 200
    assert "stolen" not in scene.stored("alice")


async def test_who_enrols_over_http_gets_its_login_at_the_broker(scene: Beside) -> None:
    code = scene.cli("device", "enroll", "alice", "phone")[0]["code"]
    answer = await asyncio.to_thread(scene.web.post, "/v1/enroll", {"code": code})
    assert answer.status == 200, answer.body
    made = answer.json()
    assert made["mqtt"]["port"] == scene.broker.port
    phone = scene.web.as_(made["token"])
    assert (await asyncio.to_thread(phone.post, "/v1/events", event("p-1"))).json()["stored"] == 1
    await scene.broker.provision()  # what `broker provision --watch` does when somebody enrols
    login = Credentials(
        user_id="alice", device_id="phone", client_id=made["client_id"], username=made["username"],
        token=made["mqtt"]["password"],
    )  # fmt: skip
    ca_file = scene.broker.certificates.ca_cert
    async with DeviceClient("localhost", scene.broker.port, credentials=login, ca_file=ca_file) as client:
        results = await client.publish([event("p-2"), event("p-1")], within_s=PATIENCE_S)
    assert (results.stored, results.duplicate) == (1, 1)


def test_with_a_port_in_its_settings_the_bridge_keeps_a_gateway_running(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        run_cli(broker.data, "user", "add", "alice", "--consent", "all")
        token = run_cli(broker.data, "device", "add", "alice", "watch")[0]["token"]
        provision(broker)
        with BridgeProcess(broker.data, env={"HEALTHSYNC_GATEWAY__PORT": "0"}, by_command=True) as bridge:
            web = Web(ServiceFile.read(broker.data).http, broker.certificates.ca_cert).as_(token)
            assert web.post("/v1/events", event("one")).json()["stored"] == 1
            shown = run_cli(broker.data, "status")[0]
            assert shown["gateway"]["state"] == "running"
            assert shown["listeners"]["http"] == web.url
            assert bridge.end() == 0
        with pytest.raises(OSError, match="refused"):
            web.post("/v1/events", event("two"))


def test_on_rabbitmq_it_is_the_same_and_a_token_is_the_password(tmp_path: Path) -> None:
    if not installed():
        pytest.skip("rabbitmq-server is not installed (Debian: apt install rabbitmq-server)")
    with beside(RabbitMq(tmp_path), lambda _: None) as scene:
        batch = {"batch": "b1", "events": [event("a-1"), event("a-2", 9000)]}
        first, again = (scene.by("alice").post("/v1/events", batch) for _ in range(2))
        assert (first.status, first.json()["stored"], len(first.json()["rejected"])) == (200, 1, 1), first.body
        assert (again.json()["stored"], again.json()["duplicate"]) == (0, 1)
        code = scene.cli("device", "enroll", "bob", "phone")[0]["code"]
        made = scene.web.post("/v1/enroll", {"code": code}).json()
        assert "password" not in made["mqtt"]
        login = ClientLogin(client_id=made["client_id"], username=made["username"], password=made["token"])

        async def let_in() -> bool:
            async with talk(scene.broker.address) as phone:
                await phone.login(login, version=4)
                return phone.code == 0

        wait_until(lambda: asyncio.run(let_in()), "the access hooks hear of the new device")
        thief = ClientLogin(client_id="healthsync-gateway", username="healthsync-gateway", password=made["token"])

        async def refused() -> int:
            async with talk(scene.broker.address) as stranger:
                await stranger.login(thief, version=4)
                return stranger.code

        assert asyncio.run(refused()) != 0


async def test_without_its_bridge_nothing_is_said_to_be_stored_and_a_retry_is_stored_once(hasty: Beside) -> None:
    bridge, alice = hasty.bridge, hasty.by("alice")
    assert (await asyncio.to_thread(alice.post, "/v1/events", event("before"))).status == 200
    await asyncio.to_thread(bridge.kill)
    away = await asyncio.to_thread(alice.post, "/v1/events", event("away"))
    assert (away.status, away.json()["reason"]) == (503, "unavailable")
    assert int(away.headers["retry-after"]) >= 1
    await asyncio.to_thread(bridge.start)
    again = await asyncio.to_thread(alice.post, "/v1/events", event("away"))
    assert again.status == 200, again.body
    # The broker had kept what the first request brought; the bridge stored that before.
    assert (again.json()["stored"], again.json()["duplicate"]) == (0, 1)
    assert hasty.stored("alice").count("away") == 1


async def test_a_bridge_that_is_killed_with_a_call_in_hand_stores_it_once(hasty: Beside) -> None:
    """It has the call and does not answer: SIGSTOP keeps it there until SIGKILL."""
    bridge, bob = hasty.bridge, hasty.by("bob")
    assert (await asyncio.to_thread(bob.post, "/v1/events", event("first"))).status == 200
    bridge.send(signal.SIGSTOP)
    held = await asyncio.to_thread(bob.post, "/v1/events", event("held"))
    assert held.status == 503
    await asyncio.to_thread(bridge.kill)
    assert "held" not in hasty.stored("bob")
    await asyncio.to_thread(bridge.start)
    again = await asyncio.to_thread(bob.post, "/v1/events", event("held"))
    assert (again.status, again.json()["stored"] + again.json()["duplicate"]) == (200, 1)
    assert hasty.stored("bob").count("held") == 1


def test_under_kills_of_bridge_and_gateway_each_2xx_is_in_the_log_once(hasty: Beside) -> None:
    rng, over, told = random.Random(161), threading.Event(), dict[str, list[str]]()

    def send(user: str) -> None:
        mine, number = told.setdefault(user, []), 0
        while not over.is_set():
            try:
                answer = hasty.by(user).post("/v1/events", event(f"k-{number}"))
            except OSError:
                continue  # no gateway
            if answer.status == 200:
                mine.append(f"k-{number}")
                number += 1
            else:
                assert answer.status == 503, answer.body

    def reached(count: int) -> None:
        start = {user: len(told.get(user, ())) for user in ("alice", "bob")}
        wait_until(lambda: all(len(told.get(user, ())) >= start[user] + count for user in start), "events go through")

    with ThreadPoolExecutor() as senders:
        sending = [senders.submit(send, user) for user in ("alice", "bob")]
        try:
            for turn in range(6):
                reached(rng.randrange(1, 6))
                if turn % 3 == 2:
                    hasty.gateway.end(signal.SIGKILL)
                    hasty.gateway.start()
                else:
                    hasty.bridge.kill()
                    hasty.bridge.start()
            reached(3)
        finally:
            over.set()
        for each in sending:
            each.result()
    for user, mine in told.items():
        stored = [name for name in hasty.stored(user) if name.startswith("k-")]
        assert len(stored) == len(set(stored)), "an event is there twice"
        assert set(mine) <= set(stored)


async def test_while_the_broker_is_away_the_answer_is_503_and_then_all_is_well_again(hasty: Beside) -> None:
    """Whoever has not the gateway's password does not get its name there meanwhile."""
    account = hasty.broker.account("healthsync-gateway")
    async with talk(hasty.broker.address) as stranger:
        await stranger.login(ClientLogin(client_id=account.client_id, username=account.username, password="guessed"))
        assert stranger.code != 0
    hasty.broker.end()
    away = await asyncio.to_thread(hasty.by("alice").post, "/v1/events", event("nowhere"))
    assert (away.status, away.json()["reason"]) == (503, "unavailable")
    hasty.broker.start()
    again: list[HttpAnswer] = []

    def taken() -> bool:
        again.append(hasty.by("alice").post("/v1/events", event("nowhere")))
        return again[-1].status == 200

    await asyncio.to_thread(wait_until, taken, "the broker is back")
    assert hasty.stored("alice").count("nowhere") == 1
