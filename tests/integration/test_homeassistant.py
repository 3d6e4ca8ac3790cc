"""Home Assistant at the embedded broker: it sees the newest values that it may, and nothing that was taken back."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.registry import Registry
from tests.support.dashboard import PREFIX, STATUS, dashboard
from tests.support.inprocess import Bystander, House, opened
from tests.support.looks import registry_looked, whole_look
from tests.support.peer import Identity


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
