"""Home Assistant at the embedded broker: it sees the newest values that it may, and nothing that was taken back."""

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.registry import Registry
from tests.support.dashboard import PREFIX, STATUS, Dashboard, dashboard
from tests.support.inprocess import Bystander, House, opened
from tests.support.looks import registry_looked, whole_look
from tests.support.peer import Identity, Peer
from tests.support.service import Service, run_cli


def now_us() -> int:
    return time.time_ns() // 1000


def rate(event_id: str, bpm: float, at: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {"id": event_id, "type": "heart_rate", "start_time": at, "value": {"bpm": bpm}} | more


async def sent(house: House, device: Identity, *events: dict[str, Any]) -> None:
    """Publish and return when all is stored."""
    peer = await house.connect(device)
    for each in events:
        await peer.publish(device.events, json.dumps(each).encode())
    await peer.leave()


async def looked(house: House) -> None:
    """The follower has looked once, from its beginning to its end."""
    await whole_look(house, house.service._dashboards, "_read_opt_ins")


def enable(house: House, user: str, *types: str) -> None:
    house.registry.dashboards.enable(user, types, now_us())


async def test_it_sees_discovery_and_the_newest_value(house: House, bob: Bystander) -> None:
    watch = house.device("alice")
    await sent(house, watch, rate("h1", 61, "2026-01-01T00:00:10Z"), rate("h0", 55, "2026-01-01T00:00:00Z"))
    enable(house, "alice", "heart_rate")
    ha = await dashboard(house, house.subscriber("ha", ["alice"]))
    await ha.until(lambda: ha.value("alice", "heart_rate"))
    assert ha.shown() == {"alice/heart_rate"}
    assert ha.value("alice", "heart_rate") == {"bpm": 61}
    config = ha.configs[f"{PREFIX}alice/heart_rate/config"]
    assert config["state_topic"] == "users/alice/latest/heart_rate"
    assert config["components"]["heart_rate_bpm"]["unit_of_measurement"] == "bpm"

    await sent(house, watch, rate("h2", 72, "2026-01-01T00:00:20Z"))
    await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 72})
    ha.messages.clear()
    await sent(house, watch, rate("late", 50, "2026-01-01T00:00:15Z"))  # an older one changes nothing
    await sent(house, watch, rate("h3", 73, "2026-01-01T00:00:30Z"))
    await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 73})
    assert [json.loads(payload)["bpm"] for _, payload in ha.messages] == [73]
    await house.still_serves(bob)


async def test_a_correction_and_a_deletion_bring_back_what_is_newest_then(house: House) -> None:
    watch = house.device("alice")
    enable(house, "alice", "heart_rate")
    await sent(house, watch, *(rate(f"h{n}", 60 + n, f"2026-01-01T00:00:0{n}Z") for n in range(5)))
    ha = await dashboard(house, house.subscriber("ha", ["alice"]))
    await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 64})
    await sent(house, watch, rate("h4", 99, "2026-01-01T00:00:04Z", version=1))
    await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 99})
    await sent(house, watch, {"id": "h4", "type": "heart_rate", "op": "delete", "version": 2})
    await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 63})
    # The newest moves into the past.
    await sent(house, watch, rate("h3", 77, "2025-01-01T00:00:00Z", version=1))
    await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 62})
    gone = ({"id": f"h{n}", "type": "heart_rate", "op": "delete", "version": 5} for n in range(5))
    await sent(house, watch, *gone)
    await ha.until(lambda: not ha.states and not ha.configs)


async def test_it_sees_only_the_users_and_types_it_was_granted(house: House) -> None:
    devices = {user: house.device(user) for user in ("alice", "carol")}
    for user in devices:
        house.registry.consent.grant(user, ["menstrual_flow"], now_us())
    await registry_looked(house)
    for user, device in devices.items():
        await sent(
            house,
            device,
            rate("h", 60),
            {"id": "w", "type": "weight", "start_time": "2026-01-01T00:00:00Z", "value": {"kg": 70}},
            {"id": "m", "type": "menstrual_flow", "start_time": "2026-01-01T00:00:00Z", "value": {"flow": "heavy"}},
        )
        enable(house, user, "*", "menstrual_flow")
    every = await dashboard(house, house.subscriber("every", None, ["*", "menstrual_flow"]))
    await every.until(lambda: len(every.configs) == 6 and len(every.states) == 6)
    assert {each.split("/")[0] for each in every.shown()} == {"alice", "carol"}

    expected = {"alices": {"alice/heart_rate", "alice/weight"}, "heart": {"alice/heart_rate"}}
    for name, types in (("alices", None), ("heart", ["heart_rate"])):
        ha = await dashboard(house, house.subscriber(name, ["alice"], types))
        await ha.until(lambda ha=ha, name=name: len(ha.states) == len(expected[name]))
        assert ha.shown() == expected[name]
        assert await ha.peer.subscribe(
            ("users/alice/latest/+", 1), ("users/carol/latest/heart_rate", 1), ("users/alice/latest/menstrual_flow", 1)
        ) == (1 if types is None else 128, 128, 128)
        await sent(house, devices["alice"], rate(f"more-{name}", 61, "2026-01-01T00:01:00Z"))
        await ha.until(lambda ha=ha: ha.value("alice", "heart_rate") == {"bpm": 61})
        came = {topic for topic, _ in ha.messages} | {each.topic.decode() for each in await ha.peer.settle()}
        assert not [topic for topic in came if "carol" in topic or "menstrual" in topic or topic == STATUS]
    assert not [topic for topic, _ in every.messages if topic == STATUS]


async def test_its_status_is_taken_and_given_to_admins_alone(house: House) -> None:
    admin = await house.connect(house.admin())
    assert await admin.subscribe(("homeassistant/#", 1)) == (1,)
    other = await dashboard(house, house.subscriber("other", None))
    ha = await dashboard(house, house.subscriber("ha", ["alice"]))
    await ha.peer.publish(STATUS, b"online", 1, retain=True)
    ha.peer.writer.transport.abort()
    payloads = [(await admin.message()).payload for _ in range(4)]
    assert payloads == [b"online", b"online", b"online", b"offline"]
    assert await other.peer.settle() == []
    watch = await house.connect(house.device("alice"))
    assert await watch.subscribe(("homeassistant/#", 1), (STATUS, 1)) == (128, 128)
    for topic in (f"{PREFIX}alice/heart_rate/config", "users/alice/latest/heart_rate", "homeassistant/sensor/x/config"):
        await other.peer.publish(topic, b"{}", 1)
        assert house.edge.sessions.retained.get(topic) is None
    assert house.counters.publishes_refused == 3


@pytest.mark.parametrize("how", ["opt_out", "one_type", "consent", "user_removed", "expired"])
async def test_what_is_taken_back_is_cleared(house: House, how: str) -> None:
    watch = house.device("alice")
    enable(house, "alice", "heart_rate", "weight")
    await sent(house, watch, rate("h", 60))
    if how == "expired":
        house.registry.consent.grant(
            "alice", ["heart_rate"], now_us(), purposes=(Purpose.share,), expires_us=now_us() + 2_000_000
        )
    ha = await dashboard(house, house.subscriber("ha", ["alice"]))
    await ha.until(lambda: ha.states)
    if how == "opt_out":
        house.registry.dashboards.disable("alice", "*", now_us())
    elif how == "one_type":
        house.registry.dashboards.disable("alice", ["heart_rate"], now_us())
    elif how == "consent":
        house.registry.consent.withdraw("alice", ["heart_rate"], now_us(), purposes=(Purpose.share,))
    elif how == "user_removed":
        house.registry.remove_user("alice", now_us())
    await ha.until(lambda: not ha.states and not ha.configs)
    retained = house.edge.sessions.retained
    assert retained.match("homeassistant/#") == []
    assert retained.match("users/+/latest/+") == []


async def test_a_restart_publishes_what_changed_and_clears_what_was_taken_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with opened(data) as house:
        for user in ("alice", "carol"):
            await sent(house, house.device(user), rate("h", 60))
            enable(house, user, "heart_rate")
        ha = await dashboard(house, house.subscriber("ha", None))
        await ha.until(lambda: len(ha.states) == 2)
    async with opened(data) as house:
        await looked(house)
        assert house.service._dashboards is not None
        assert house.service._dashboards._display._sent == {}
    with Registry.open(data / "registry.db") as registry:
        registry.dashboards.disable("alice", "*", now_us())
    async with opened(data) as house:
        ha = await dashboard(house, as_before(house, "ha"))
        await ha.until(
            lambda: ha.states.keys() == {"users/carol/latest/heart_rate"} and ha.shown() == {"carol/heart_rate"}
        )
        retained = {each.topic for each in house.edge.sessions.retained.match("#")}
        assert {topic for topic in retained if "alice" in topic} == set()


def as_before(house: House, name: str) -> Identity:
    """A subscriber of an earlier run."""
    return Identity(client_id=name, token=house.token(house.registry.subscriber(name).principal, 600))


@pytest.mark.parametrize(("changes", "granted"), [({}, 300), ({"limits.subscriber_filters": 50}, 50)])
async def test_a_dashboard_of_many_sensors_has_all_of_them(house: House, granted: int) -> None:
    """Home Assistant sends its state topics in one SUBSCRIBE, beside the wildcards of all that it knows."""
    names = [f"users/u{n}/latest/heart_rate" for n in range(300)]
    ha = await dashboard(house, house.subscriber("ha", None))
    assert (await ha.peer.subscribe(*((name, 0) for name in names))).count(0) == granted
    watch = house.device("alice")
    peer = await house.connect(watch)
    codes = await peer.subscribe(*[(watch.receipts, 1)] * 40)
    assert codes.count(128) == 8, "a device has its own limit"


async def test_what_waits_for_one_that_is_away_is_not_given_after_consent_ended(house: House) -> None:
    watch = house.device("alice")
    enable(house, "alice", "heart_rate")
    app = house.subscriber("app", ["alice"])
    topic = "users/alice/latest/heart_rate"
    peer = await house.connect(app, clean=False)
    assert await peer.subscribe((topic, 1)) == (1,)
    await peer.leave()
    await sent(house, watch, rate("h", 60))
    retained = house.edge.sessions.retained
    await house.until(lambda: retained.get(topic), "it is shown")
    house.registry.consent.withdraw("alice", "all", now_us(), purposes=(Purpose.share,))
    await house.until(lambda: not retained.get(topic), "it is cleared")
    await registry_looked(house)
    peer = await house.connect(app, clean=False)
    assert (await peer.message()).payload == b""
    assert await peer.settle() == []


async def send(service: Service, login: dict[str, Any], user: str, turn: int) -> None:
    """One event over a connection of its own."""
    peer = await Peer.open(f"127.0.0.1:{service.mqtt[1]}")
    assert (await peer.connect(Identity(client_id=login["client_id"], token=login["token"]))).code == 0
    body = json.dumps(rate(f"h{turn}", 60 + turn, f"2026-01-01T00:00:{turn:02}Z")).encode()
    await peer.publish(f"users/{user}/devices/watch/events", body)
    await peer.leave()


def test_the_login_says_where_the_service_listens(tmp_path: Path) -> None:
    """It said what is set, where ``up`` was told another port."""
    data = tmp_path / "data"
    run_cli(data, "subscriber", "add", "ha", "--users", "*")
    assert run_cli(data, "homeassistant", "login", "ha")[0]["port"] == 8883
    with Service(data) as service:
        assert run_cli(data, "homeassistant", "login", "ha")[0]["port"] == service.mqtts[1] != 8883


async def test_a_kill_at_any_moment_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """Ten kills while values change and are taken back; what is shown in the end is what is newest then."""
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    run_cli(data, "user", "add", "carol", "--consent", "all")
    logins = {user: run_cli(data, "device", "add", user, "watch")[0] for user in ("alice", "carol")}
    run_cli(data, "subscriber", "add", "ha", "--users", "*")
    account = run_cli(data, "homeassistant", "login", "ha")[0]
    for user in logins:
        run_cli(data, "homeassistant", "enable", user, "heart_rate")
    chance = random.Random(7)
    for turn in range(10):
        with Service(data) as service:
            for user, login in logins.items():
                await send(service, login, user, turn)
            if turn == 7:
                service.cli("homeassistant", "disable", "carol")
            await asyncio.sleep(chance.uniform(0, 0.6))
            service.kill()
    with Service(data) as service:
        peer = await Peer.open(f"127.0.0.1:{service.mqtt[1]}")
        ha = Dashboard(peer)
        assert (await peer.connect(Identity(client_id="ha", token=account["password"]))).code == 0
        await ha.begin()
        await ha.until(lambda: ha.value("alice", "heart_rate") == {"bpm": 69} and ha.shown() == {"alice/heart_rate"})
        assert "users/carol/latest/heart_rate" not in ha.states
        await peer.leave()
