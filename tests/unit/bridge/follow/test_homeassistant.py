"""The follower of the newest values: what it publishes, how much of it, and what it knows after a kill."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.follow.homeassistant import HomeAssistant
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.homeassistant.file import LatestFile
from healthsync_mqtt.homeassistant.opt_ins import OptIns
from healthsync_mqtt.identity.consent.decisions import NOBODY, Purpose
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.topics.registry import TopicRegistry

NOW_US = 1_790_000_000_000_000
REGISTRY = TopicRegistry.load()


class Broker:
    """A shelf that keeps what is retained, and says when it was asked to."""

    remembers = False

    def __init__(self) -> None:
        self.ready = True
        self.run = 1
        self.births = 0
        self.lasting = True
        self.answers = True
        self.takes = True
        self.room = 1_000_000
        self.held: dict[str, bytes] = {}
        self.published: list[tuple[str, bytes]] = []

    def recall(self, topic: str) -> bytes:
        return self.held.get(topic, b"")

    def retain(self, topic: str, payload: bytes, done: Callable[[bool], None]) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.published.append((topic, payload))
        if self.takes and payload:
            self.held[topic] = payload
        elif self.takes:
            self.held.pop(topic, None)
        if self.answers:
            done(self.takes)
        return True

    def values(self) -> dict[str, Any]:
        """The states by user and type, as far as there is a discovery too."""
        states = {topic.split("/")[1] + "/" + topic.split("/")[3]: topic for topic in self.held if "latest" in topic}
        assert {f"homeassistant/device/{key}/config" for key in states} == {
            t for t in self.held if t not in states.values()
        }
        return {key: next(iter(json.loads(self.held[topic]).values())) for key, topic in states.items()}


class Scene:
    """A log, a registry, a broker, and the follower, which may be killed and started again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = MemoryEventLog()
        self.broker = Broker()
        self.gate = ConsentGate()
        self.now_us = NOW_US
        self.seconds = 0.0
        self.people = Registry.open(path / "registry.db")
        for user in ("alice", "bob"):
            self.people.add_user(user, "all", 1)
        self.agree()
        self.withheld = frozenset[str]()
        self.start()

    def start(self) -> None:
        self.opt_ins = OptIns(Registry.open(self.path / "registry.db"))
        self.file = LatestFile.open(self.path / "homeassistant.db")
        self.follower = HomeAssistant(
            reader=self.log.reader(),
            open_reader=self.log.reader,
            registry=REGISTRY,
            gate=self.gate,
            shelf=self.broker,
            opt_ins=self.opt_ins,
            file=self.file,
            withheld=self.withheld,
            clock_us=lambda: self.now_us,
            monotonic_s=lambda: self.seconds,
        )

    def kill(self) -> None:
        """Nothing more is written: what is on disk now is what the next one finds."""
        self.file.close()
        self.opt_ins.close()

    def close(self) -> None:
        self.kill()
        self.people.close()

    def enable(self, user: str, *types: str) -> None:
        self.people.dashboards.enable(user, types, self.now_us)

    def agree(self) -> None:
        self.gate.replace(self.people.consent.settled(self.people.consent.fetch()))

    def store(self, *events: tuple[str, float, dict[str, Any] | None], user: str = "alice", **more: Any) -> None:
        """Events as (id, second, value); None: the deletion of it."""
        type_name, version = more.get("type_name", "heart_rate"), more.get("version", 0)
        items = []
        for event_id, at_s, value in events:
            op = Op.DELETE if value is None else Op.UPSERT
            body = b"{}" if value is None else json.dumps({"value": value}).encode()
            event = Event(event_id, type_name, NOW_US + int(at_s * 1e6), None, version, op, body, 0)
            items.append(Item(Origin(user, "watch", None, f"users/{user}/devices/watch/events"), event))
        self.log.stage(items, [], self.now_us)
        self.log.commit()

    async def look(self, times: int = 6) -> None:
        """So many looks, and the searches that they begin."""
        for _ in range(times):
            await self.follower.look()
            if self.follower._search is not None:
                await self.follower._search


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


async def test_nothing_is_read_or_published_before_somebody_asks(scene: Scene) -> None:
    scene.store(("h", 1, {"bpm": 61}))
    await scene.look()
    assert scene.broker.published == []
    scene.enable("alice", "heart_rate")
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 61}


async def test_what_is_withdrawn_while_the_follower_writes_is_not_published_any_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.enable("alice", "heart_rate")
    await scene.look()
    write, withdrawn = scene.file.write, []

    def slow(*what: Any) -> None:
        if not withdrawn and None in {each and each.state for each in what[3].values()}:
            scene.gate.replace(NOBODY)
            withdrawn.append(len(scene.broker.published))
        write(*what)

    monkeypatch.setattr(scene.file, "write", slow)
    scene.store(("h", 1, {"bpm": 61}))
    await scene.look()
    assert withdrawn == [0]
    assert [payload for _, payload in scene.broker.published if payload] == []


async def test_a_backfill_is_a_few_messages_and_does_not_hold_up_others(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    scene.enable("bob", "heart_rate")
    await scene.look()
    for start in range(0, 100_000, 10_000):
        scene.store(*((f"h{n}", n / 1000, {"bpm": 50 + n % 100}) for n in range(start, start + 10_000)))
    scene.store(("b", 1, {"bpm": 61}), user="bob")
    looks = 0
    while scene.broker.values() != {"alice/heart_rate": 50 + 99_999 % 100, "bob/heart_rate": 61}:
        await scene.follower.look()
        looks += 1
    assert looks < 20
    assert len(scene.broker.published) <= 2 * looks + 2


async def test_one_look_publishes_no_more_than_its_bound(scene: Scene) -> None:
    for n in range(400):
        scene.people.add_user(f"u{n}", "all", 1)
        scene.enable(f"u{n}", "heart_rate")
    scene.agree()
    await scene.look(600)
    for n in range(400):
        scene.store((f"h{n}", 1, {"bpm": 61}), user=f"u{n}")
    most = 0
    while len(scene.broker.held) < 800:
        before = len(scene.broker.published)
        await scene.follower.look()
        most = max(most, len(scene.broker.published) - before)
    assert 0 < most <= 500


async def test_a_deletion_shows_what_was_newest_before(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    scene.store(*((f"h{n}", n, {"bpm": 60 + n}) for n in range(3000)))
    await scene.look(10)
    assert scene.broker.values() == {"alice/heart_rate": 60 + 2999}
    scene.store(*((f"h{n}", 0, None) for n in range(1000, 3000)), version=1)
    await scene.look(10)
    assert scene.broker.values() == {"alice/heart_rate": 60 + 999}


async def test_what_was_purged_is_not_shown(scene: Scene) -> None:
    scene.enable("alice", "heart_rate", "weight")
    scene.store(("h", 1, {"bpm": 61}))
    scene.store(("w", 1, {"kg": 70}), type_name="weight")
    await scene.look()
    scene.log.purge("heart_rate", NOW_US + 10_000_000, [1])
    scene.log.commit()
    scene.follower.purged()
    await scene.look()
    assert scene.broker.values() == {"alice/weight": 70}


async def test_guarded_types_are_shown_where_they_are_named_everywhere(scene: Scene) -> None:
    scene.people.consent.grant("alice", ["menstrual_flow"], 2)
    scene.agree()
    scene.enable("alice", "*")
    scene.store(("m", 1, {"flow": "heavy"}), type_name="menstrual_flow")
    await scene.look()
    assert scene.broker.held == {}
    scene.enable("alice", "menstrual_flow")
    await scene.look()
    assert scene.broker.values() == {"alice/menstrual_flow": "heavy"}
    scene.people.consent.withdraw("alice", ["menstrual_flow"], 3, purposes=(Purpose.share,))
    scene.agree()
    await scene.look()
    assert scene.broker.held == {}


async def test_a_broker_that_cannot_keep_them_apart_gets_no_guarded_type(scene: Scene) -> None:
    scene.kill()
    scene.withheld = GUARDED
    scene.start()
    scene.people.consent.grant("alice", ["menstrual_flow"], 2)
    scene.agree()
    scene.enable("alice", "menstrual_flow")
    scene.store(("m", 1, {"flow": "heavy"}), type_name="menstrual_flow")
    await scene.look()
    assert scene.broker.published == []


async def test_consent_that_ends_by_itself_is_noticed(scene: Scene) -> None:
    scene.people.consent.grant("alice", ["heart_rate"], 2, expires_us=NOW_US + 5_000_000)
    scene.agree()
    scene.enable("alice", "heart_rate")
    scene.store(("h", 1, {"bpm": 61}))
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 61}
    scene.now_us += 5_000_000
    await scene.look()
    assert scene.broker.held == {}


@pytest.mark.parametrize("lost", ["word", "message"])
async def test_after_a_kill_what_might_be_retained_is_cleared(scene: Scene, lost: str) -> None:
    scene.enable("alice", "heart_rate")
    scene.store(("h", 1, {"bpm": 61}))
    scene.broker.answers = False  # killed before the broker's word
    scene.broker.takes = lost == "word"
    await scene.look()
    assert len(scene.broker.published) == 2
    scene.kill()
    scene.broker.answers = scene.broker.takes = True
    scene.people.dashboards.disable("alice", "*", 3)
    scene.broker.run += 1
    scene.start()
    await scene.look()
    assert scene.broker.held == {}
    assert scene.broker.published[2:] == [(topic, b"") for topic, _ in scene.broker.published[:2]]
    assert scene.file.shown() == {}


async def test_a_restart_publishes_only_what_changed(scene: Scene) -> None:
    for user in ("alice", "bob"):
        scene.enable(user, "*")
        scene.store(("h", 1, {"bpm": 61}), user=user)
    await scene.look(10)
    scene.kill()
    scene.broker.run += 1
    scene.broker.published.clear()
    scene.store(("h2", 2, {"bpm": 62}), user="bob")
    scene.start()
    searches = scene.follower._latest.lost
    await scene.follower.look()
    assert not searches, "what was searched for is known"
    await scene.look()
    assert [topic for topic, _ in scene.broker.published] == ["users/bob/latest/heart_rate"]


async def test_a_kill_at_any_write_ends_in_the_same_values(scene: Scene) -> None:
    """Whatever was written last: values, place and what is shown come from one transaction."""
    scene.enable("alice", "heart_rate")
    for n in range(8):
        scene.store((f"h{n}", n, {"bpm": 60 + n}))
        if n % 3 == 2:
            scene.store((f"h{n}", n, None), version=1)
        await scene.look(1 + n % 3)
        scene.kill()
        scene.broker.run += 1
        scene.start()
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 67}


async def test_a_broker_that_lost_its_sessions_is_told_everything_again(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    scene.store(("h", 1, {"bpm": 61}))
    await scene.look()
    scene.broker.run, scene.broker.published = 2, []
    await scene.look()
    assert scene.broker.published == []
    scene.broker.run, scene.broker.lasting, scene.broker.held = 3, False, {}
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 61}


async def test_what_a_connection_left_open_goes_out_on_the_next(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    scene.store(("h", 1, {"bpm": 61}))
    scene.broker.ready = False
    await scene.look()
    assert scene.broker.published == []
    scene.broker.ready, scene.broker.answers, scene.broker.takes = True, False, False
    await scene.look()
    assert scene.broker.held == {}
    scene.broker.run, scene.broker.answers, scene.broker.takes = 2, True, True
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 61}


async def test_a_broker_without_room_or_rights_is_asked_again_later(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    scene.store(("h", 1, {"bpm": 61}))
    scene.broker.room = 1
    await scene.look()
    scene.broker.room, scene.broker.takes = 1_000_000, False
    await scene.look()
    refused = len(scene.broker.published)
    await scene.look(10)
    assert len(scene.broker.published) == refused, "not again and again"
    scene.broker.takes, scene.seconds = True, 31.0
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 61}


async def test_a_file_that_cannot_be_written_publishes_nothing_new(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    await scene.look()
    scene.store(("h", 1, {"bpm": 61}))
    scene.file._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        await scene.look()
    assert scene.broker.published == []
    scene.file._connection.execute("PRAGMA query_only = OFF")
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 61}


async def test_of_another_log_nothing_is_known(scene: Scene) -> None:
    scene.enable("alice", "heart_rate")
    scene.store(("h", 1, {"bpm": 61}))
    await scene.look()
    scene.kill()
    scene.log = MemoryEventLog()
    scene.store(("other", 0, {"bpm": 90}))
    scene.broker.run += 1
    scene.start()
    await scene.look()
    assert scene.broker.values() == {"alice/heart_rate": 90}


async def test_a_home_assistant_that_begins_is_told_everything_again_and_not_what_is_cleared(scene: Scene) -> None:
    """RabbitMQ gives what it retained to no filter with a wildcard, and Home Assistant's discovery has one."""
    scene.enable("alice", "heart_rate", "weight")
    scene.store(("h", 1, {"bpm": 61}))
    scene.store(("w", 1, {"kg": 70.5}), type_name="weight")
    await scene.look()
    scene.people.dashboards.disable("alice", ["weight"], scene.now_us)
    await scene.look()
    topics = ["homeassistant/device/alice/heart_rate/config", "users/alice/latest/heart_rate"]
    assert sorted(scene.broker.held) == topics
    scene.broker.published.clear()
    await scene.look()
    assert scene.broker.published == []
    scene.broker.births += 1
    await scene.look()
    assert [topic for topic, _ in scene.broker.published] == topics, "the sensor first, then its state"
    scene.broker.births += 1
    await scene.look()
    assert len(scene.broker.published) == 2, "whoever begins again and again is told so once in ten seconds"
    scene.seconds += 10
    await scene.look()
    assert len(scene.broker.published) == 4
    await scene.look()
    assert len(scene.broker.published) == 4
