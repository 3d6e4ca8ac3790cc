"""Kafka as a sink, against a real one that is killed."""

import json
import os
import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient  # type: ignore[attr-defined]  # not in its __all__

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.record import canonical_dict
from healthsync_mqtt.sinks.config import KafkaConfig
from healthsync_mqtt.sinks.kafka.days import KafkaDays
from healthsync_mqtt.sinks.kafka.server import Kafka
from healthsync_mqtt.sinks.kafka.sink import KafkaSink
from healthsync_mqtt.sinks.kafka.trial import reach_topics, try_topics
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep
from healthsync_mqtt.sinks.topic_comparison import TopicComparison
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.summaries.day import day_number
from healthsync_mqtt.testing.day_contract import DaySinkContract
from healthsync_mqtt.testing.log_items import NOW_US, item
from healthsync_mqtt.testing.sink_contract import SinkContract, row, ship
from tests.support.kafka import KafkaServer
from tests.support.pages import Typist, Walk
from tests.support.patience import wait_until
from tests.support.service import Service, run_cli

pytestmark = pytest.mark.real_server
#: Each is a start of Java: 20 were tried by hand, ``HEALTHSYNC_TEST_KILLS=20``.
KILLS = int(os.environ.get("HEALTHSYNC_TEST_KILLS", "3"))
_MANY = 2_000
_TRANSACTION_S = 0.05
_HANGS_S = 20.0
"""Longer than a transaction that is given up takes: a few calls of ``timeout_s``."""
"""About as long as one takes, so that most kills are within it."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka")).start()
    yield server
    server.end()


class Target:
    """The topics of one test."""

    def __init__(self, server: KafkaServer, path: Path, name: str, *, epoch: str = "e1", **values: Any) -> None:
        self.server = server
        self.epoch = epoch
        self.ledger = SinkLedger.open(path / f"{name}.db")
        self.events = server.make(f"{name}.events", **values)
        self.latest = server.make(f"{name}.latest", cleanup_policy="compact")
        self.config = KafkaConfig(
            name="main", servers=server.servers, topic=self.events, latest_topic=self.latest, plaintext=True,
            timeout_s=5.0,
        )  # fmt: skip
        self._away = False

    def open(self) -> KafkaSink:
        return KafkaSink(self.config, epoch=self.epoch, ledger=self.ledger, connect=self.connect, now_us=lambda: NOW_US)

    def connect(self) -> Kafka:
        gone = self.config.model_copy(update={"servers": "127.0.0.1:9", "timeout_s": 1.0})
        return Kafka(gone if self._away else self.config, None, epoch=self.epoch)

    def there(self) -> list[tuple[str, float]]:
        """Read as a table: the last value of each key, none where that is a null; in order of time."""
        table: dict[bytes, dict[str, Any] | None] = {}
        for message in self.server.messages(self.latest):
            table[message.key()] = None if message.value() is None else json.loads(message.value())
        events = [each for each in table.values() if each is not None]
        return [(each["start_time"], each["value"]["bpm"]) for each in sorted(events, key=lambda e: e["start_time"])]

    def away(self, *, away: bool) -> None:
        self._away = away

    def seqs(self) -> list[int]:
        return [int(dict(message.headers())["seq"]) for message in self.server.messages(self.events)]


@pytest.fixture
def target(kafka: KafkaServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Target]:
    name = f"{request.cls.__name__}.{request.node.name}" if request.cls else request.node.name
    made = Target(kafka, tmp_path, name.replace("test_", "").replace("[", ".").replace("]", ""))
    yield made
    made.ledger.close()


class TestKafka(SinkContract):
    """The promises of the port, on a real server."""

    @pytest.fixture
    def target(self, target: Target) -> Target:
        return target


class DayTopic:
    """A compacted topic of days, read as a table: the last value of each key."""

    def __init__(self, target: Target, name: str) -> None:
        self._target = target
        self.topic = target.server.make(f"{name}.days", cleanup_policy="compact")
        target.config = target.config.model_copy(update={"days_topic": self.topic})

    def open(self) -> KafkaDays:
        return KafkaDays(self.topic, ledger=self._target.ledger, connect=self._target.connect)

    def there(self) -> dict[tuple[str, int], float]:
        table = {message.key(): message.value() for message in self._target.server.messages(self.topic)}
        days = [json.loads(value) for value in table.values() if value is not None]
        return {(day["user_id"], day_number(day["day"])): day["figures"]["steps"] for day in days}

    def named(self, user: str) -> str:
        return user

    def away(self, *, away: bool) -> None:
        self._target.away(away=away)

    def erase(self, user: str) -> None:
        self._target.ledger.ask_erasure(user)
        sink = self._target.open()
        assert sink.mend(NOW_US).next is Next.GO_ON
        assert self._target.ledger.erasing() == {}
        sink.close()


class TestKafkaDays(DaySinkContract):
    """The promises of the port of days, on a real server."""

    @pytest.fixture
    def target(self, target: Target, request: pytest.FixtureRequest) -> DayTopic:
        return DayTopic(target, request.node.name)


def rows(first: int, last: int) -> Rows:
    return Rows([row(n, f"e{n}", at_s=n) for n in range(first, last + 1)], {}, last)


def test_a_message_is_the_canonical_event_under_its_user(target: Target) -> None:
    sink = target.open()
    first, gone = row(1, "a/ä", 61.0), row(2, "a/ä", version=1, op=Op.DELETE)
    assert ship(sink, Rows([first], {}, 1)) is Next.DONE
    assert ship(sink, Rows([gone], {2: [first]}, 2)) is Next.DONE
    sink.close()
    event, deleted = target.server.messages(target.events)
    assert (event.key(), deleted.key()) == (b"alice", b"alice")
    assert json.loads(event.value()) == canonical_dict(first)
    assert dict(event.headers()) == {
        "epoch": b"e1", "seq": b"1", "id": "a/ä".encode(), "type": b"heart_rate", "version": b"0", "op": b"upsert",
        "schema": b"https://healthsync.invalid/schemas/canonical/heart_rate.json",
    }  # fmt: skip
    assert (deleted.value(), dict(deleted.headers())["op"]) == (None, b"delete")
    assert [each.key() for each in target.server.messages(target.latest)] == ["alice/a/ä".encode()] * 2


def test_all_of_a_user_are_in_one_partition_in_order(target: Target) -> None:
    sink = target.open()
    records = [row(n, f"e{n}")._replace(user=f"u{n % 7}") for n in range(1, 200)]
    assert ship(sink, Rows(records, {}, 199)) is Next.DONE
    sink.close()
    places: dict[bytes, set[int]] = {}
    order: dict[bytes, list[int]] = {}
    for message in target.server.messages(target.events):
        places.setdefault(message.key(), set()).add(message.partition())
        order.setdefault(message.key(), []).append(int(dict(message.headers())["seq"]))
    assert all(len(each) == 1 for each in places.values())
    assert all(each == sorted(each) for each in order.values())
    assert len(set.union(*places.values())) > 1


@pytest.mark.parametrize("ends", ["before the answer", "after the answer"])
def test_who_begins_anew_repeats_nothing(target: Target, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    """The place is committed with the messages; whether the answer was heard is all the same."""
    sink = target.open()
    assert ship(sink, rows(1, 5)) is Next.DONE
    if ends == "before the answer":
        kafka = target.connect()
        kafka.open()
        kafka._producer.begin_transaction()  # type: ignore[union-attr]
        for message, _ in sink.begin(rows(6, 9)).messages:
            kafka._producer.produce(target.events, message.value, message.key)  # type: ignore[union-attr]
        kafka._producer.flush(5)  # type: ignore[union-attr]  # sent, and never committed
    else:
        assert ship(sink, rows(6, 9)) is Next.DONE
    again = target.open()
    assert ship(again, rows(1, 9)) is Next.DONE
    again.close()
    sink.close()
    assert sorted(target.seqs()) == list(range(1, 10))


def test_another_epoch_has_a_count_of_its_own(target: Target) -> None:
    sink = target.open()
    assert ship(sink, rows(1, 5)) is Next.DONE
    sink.close()
    target.epoch = "e2"
    restored = target.open()
    assert ship(restored, rows(3, 3)) is Next.DONE
    restored.close()
    assert sorted(target.seqs()) == [1, 2, 3, 3, 4, 5]


def test_what_is_too_large_is_kept_aside_and_the_rest_arrives(kafka: KafkaServer, tmp_path: Path) -> None:
    target = Target(kafka, tmp_path, "large", max_message_bytes="2000")
    sink = target.open()
    large = row(2, "big")._replace(body=b'{"value":{"bpm":1,"note":"%s"}}' % (b"x" * 3000))
    assert ship(sink, Rows([row(1, "a"), large, row(3, "c")], {}, 3)) is Next.DONE
    assert target.seqs() == [1, 3]
    assert [(each.seq, each.reason) for each in target.ledger.refused()] == [(2, "too_large")]
    assert sink.status()["refused_lines"] == 1
    sink.close()
    target.ledger.close()


def test_who_is_erased_leaves_the_table_and_others_stay(target: Target) -> None:
    sink = target.open()
    records = [row(n, f"e{n}", at_s=n)._replace(user=user) for n, user in enumerate(["al", "alice", "bob"], 1)]
    assert ship(sink, Rows(records, {}, 3)) is Next.DONE
    target.ledger.ask_erasure("al")
    assert sink.mend(NOW_US).next is Next.GO_ON
    assert target.ledger.erasing() == {}
    assert sink.mend(NOW_US).next is Next.DONE
    sink.close()
    last = {message.key(): message.value() for message in target.server.messages(target.latest)}
    assert [key for key, value in last.items() if value is None] == [b"al/e1"]
    assert len(last) == 3


def test_an_erasure_waits_for_a_server_that_is_away(target: Target) -> None:
    target.ledger.ask_erasure("alice")
    target.away(away=True)
    sink = target.open()
    step = sink.mend(NOW_US)
    assert (step.next, step.reason) == (Next.WAIT, "unreachable")
    assert "unreachable" in target.ledger.erasing()["alice"]
    target.away(away=False)
    assert sink.mend(NOW_US + 3_600_000_000).next is Next.GO_ON
    assert target.ledger.erasing() == {}
    sink.close()


def test_an_erasure_waits_for_what_a_transaction_hides(target: Target) -> None:
    """One that is open, as here, or that Kafka has answered, and whose mark it has still to write."""
    target.config = target.config.model_copy(update={"timeout_s": 1.0})
    other = Producer({"bootstrap.servers": target.server.servers, "transactional.id": target.latest})
    other.init_transactions(60)
    other.begin_transaction()
    for partition in range(3):
        other.produce(target.latest, b"{}", b"bob/x", partition=partition)
    other.flush(60)
    sink = target.open()
    assert ship(sink, rows(1, 9)) is Next.DONE
    target.ledger.ask_erasure("alice")
    step = sink.mend(NOW_US)
    assert (step.next, step.reason) == (Next.WAIT, "open_transaction")
    assert "open_transaction" in target.ledger.erasing()["alice"]
    other.abort_transaction(60)
    while sink.mend(NOW_US + 3_600_000_000).next is not Next.GO_ON:
        assert "alice" in target.ledger.erasing()
    sink.close()
    assert target.ledger.erasing() == {}
    assert target.there() == []


def test_a_topic_that_is_not_there_stops_it_until_somebody_makes_it(target: Target) -> None:
    target.config = target.config.model_copy(update={"topic": f"{target.events}.other"})
    sink = target.open()
    shipment = sink.begin(rows(1, 2))
    step = sink.step(shipment)
    assert (step.next, step.reason) == (Next.PAUSE, "no_topic")
    target.events = target.server.make(f"{target.events}.other")
    assert ship(sink, rows(1, 2)) is Next.DONE
    sink.close()
    assert sorted(target.seqs()) == [1, 2]


def test_a_trial_says_what_is_wrong_with_the_topics(kafka: KafkaServer, tmp_path: Path) -> None:
    target = Target(kafka, tmp_path, "trial", retention_ms="-1")
    found = {each.tried: each for each in try_topics(target.config)}
    assert {name: each.works for name, each in found.items()} == {
        "reach": True, "cleanup.policy": True, "retention.ms": False, "compaction": True, "transaction": True,
    }  # fmt: skip
    assert not found["retention.ms"].needed
    swapped = target.config.model_copy(update={"topic": target.latest, "latest_topic": target.events})
    wrong = {each.tried for each in try_topics(swapped) if not each.works and each.needed}
    assert wrong == {"cleanup.policy", "compaction"}
    missing = target.config.model_copy(update={"topic": "nosuch"})
    (only,) = try_topics(missing)
    assert (only.works, only.message.partition(":")[0]) == (False, "no_topic")
    assert reach_topics(target.config).works
    assert not reach_topics(missing).works
    target.ledger.close()


def log_of_seven(target: Target) -> LogReader:
    """Seven rows of alice, all of which the sink has passed."""
    log = MemoryEventLog()
    log.stage([item(f"e{n}", "alice") for n in range(1, 8)], [], NOW_US)
    log.set_cursor("sink:main", 7)
    log.commit()
    reader = log.reader()
    target.epoch = reader.epoch
    return reader


def test_reconcile_finds_what_is_missing_and_sends_it(target: Target) -> None:
    reader = log_of_seven(target)
    sink = target.open()
    records = reader.read(0, 99)
    assert ship(sink, Rows([records[0], *records[3:]], {}, 7)) is Next.DONE  # as if rows 2 and 3 had been lost
    sink.close()

    def comparison() -> TopicComparison:
        own = Kafka(target.config, None, epoch=f"{target.epoch}.reconcile")
        return TopicComparison(
            target.config, reader=reader, kafka=own, permits=lambda record: record.id != "e7", refused=frozenset({6})
        )

    found = comparison().run(lambda _: True, repairing=False)
    assert (found.expected, found.missing, found.doubled, found.expired) == (5, 2, 0, 0)
    assert not found.repaired
    assert comparison().run(lambda record: record.user == "bob", repairing=False).equal
    assert comparison().run(lambda _: True, repairing=True).repaired
    assert comparison().run(lambda _: True, repairing=False).equal


def test_what_went_with_its_retention_is_not_missing(target: Target) -> None:
    from confluent_kafka import TopicPartition

    reader = log_of_seven(target)
    sink = target.open()
    assert ship(sink, Rows(reader.read(0, 99), {}, 7)) is Next.DONE
    sink.close()
    partition = target.server.messages(target.events)[0].partition()
    place = TopicPartition(target.events, partition, 4)
    target.server.admin.delete_records([place])[place].result(30)
    own = Kafka(target.config, None, epoch=f"{target.epoch}.reconcile")
    comparison = TopicComparison(target.config, reader=reader, kafka=own, permits=lambda _: True, refused=frozenset())
    found = comparison.run(lambda _: True, repairing=False)
    assert (found.missing, found.expired) == (0, 4)
    assert found.expected == 3


def test_of_a_partition_that_has_lost_everything_nothing_is_missing(target: Target) -> None:
    """Nobody can tell then how old is too old, and what went with its age is not sent again."""
    from confluent_kafka import OFFSET_END, TopicPartition

    reader = log_of_seven(target)
    sink = target.open()
    assert ship(sink, Rows(reader.read(0, 99), {}, 7)) is Next.DONE
    sink.close()
    partition = target.server.messages(target.events)[0].partition()
    place = TopicPartition(target.events, partition, OFFSET_END)
    target.server.admin.delete_records([place])[place].result(30)
    own = Kafka(target.config, None, epoch=f"{target.epoch}.reconcile")
    comparison = TopicComparison(target.config, reader=reader, kafka=own, permits=lambda _: True, refused=frozenset())
    found = comparison.run(lambda _: True, repairing=True)
    assert (found.expected, found.missing, found.expired) == (0, 0, 7)
    assert target.seqs() == []


def test_a_question_that_is_never_answered_is_an_outage(
    kafka: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server went away between two questions, and the library's answer was not there when ours was due."""
    target = Target(kafka, tmp_path, "late")
    target.config = target.config.model_copy(update={"timeout_s": 0.05})
    sink = target.open()
    there = kafka.admin.list_topics(timeout=60)
    with monkeypatch.context() as patch:
        patch.setattr(AdminClient, "describe_configs", lambda _self, wanted, **_: {each: Future() for each in wanted})
        patch.setattr(AdminClient, "list_topics", lambda *_, **_more: there)
        step = sink.step(sink.begin(rows(1, 3)))
    assert (step.next, step.reason) == (Next.WAIT, "unreachable")
    sink.close()
    target.ledger.close()


class Steps:
    """A sink's steps, each in a thread that is given up when it hangs, as the service gives up the process of a sink.

    The library may wait for ever for a group coordinator that is gone (confluentinc/librdkafka#5456).
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._sink = target.open()

    def step(self, group: Rows) -> bool:
        """Whether all of it is there. Who hung is followed by another one, which fences it."""
        sink, answered = self._sink, Future[SinkStep]()

        def take() -> None:
            try:
                answered.set_result(sink.step(sink.begin(group)))
            except BaseException as error:  # noqa: BLE001  # raised where it is asked for
                answered.set_exception(error)

        threading.Thread(target=take, daemon=True).start()
        try:
            return answered.result(_HANGS_S).next is Next.DONE
        except TimeoutError:
            self._sink = self._target.open()
            return False

    def close(self) -> None:
        self._sink.close()


def test_killed_again_and_again_it_has_each_row_once(tmp_path: Path) -> None:
    """The server by SIGKILL at any moment of a transaction; the sink goes on where its place is."""
    server = KafkaServer(tmp_path).start()
    try:
        target = Target(server, tmp_path, "killed")
        target.config = target.config.model_copy(update={"timeout_s": 2.0})
        sink = Steps(target)
        done, kills, moments = 0, 0, random.Random(KILLS)
        while done < _MANY:
            group = rows(done + 1, done + 100)
            while True:
                if kills < KILLS and done >= kills * _MANY // KILLS:
                    kills += 1
                    moment = threading.Timer(moments.uniform(0, _TRANSACTION_S), server.end)
                    moment.start()
                    taken = sink.step(group)
                    moment.join()
                    server.start()
                    if taken:
                        break
                if sink.step(group):
                    break
            done += 100
        sink.close()
        assert kills == KILLS
        assert sorted(target.seqs()) == list(range(1, _MANY + 1))
        target.ledger.close()
    finally:
        server.end()


def test_the_page(kafka: KafkaServer, tmp_path: Path) -> None:
    """A service ships to it, the page's commands do what the page says, and an erased person leaves the table."""
    kafka.make("healthsync.events")
    kafka.make("healthsync.latest", cleanup_policy="compact")
    kafka.make("healthsync.days", cleanup_policy="compact")
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    event = {"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HEALTHSYNC_DATA": str(data)}
    typist = Typist(cwd=tmp_path, env=os.environ | environment, swaps={"localhost:9092": kafka.servers})
    walk = Walk("docs/howto/kafka.md", typist)
    with Service(data) as service:
        service.cli("publish", str(tmp_path / "event.json"), "--user", "alice", "--device", "scale")
        walk.go(1)
        wait_until(lambda: kafka.messages("healthsync.latest"), "the event arrives")
        wait_until(lambda: run_cli(data, "sink", "status", "kafka")[0]["lag"] == 0, "the place is kept")
        wait_until(lambda: kafka.messages("healthsync.days"), "what her day comes to follows")
        (day,) = kafka.messages("healthsync.days")
        assert day.key() == b"alice/weight/2026-11-23"
        assert json.loads(day.value()) == {
            "user_id": "alice", "type": "weight", "day": "2026-11-23", "op": "upsert", "utc_offset": None,
            "figures": {"kg": 70.5, "at": "2026-11-23T06:00:00.000000Z", "sources": ["scale"]},
        }  # fmt: skip
        walk.go(1)
        walk.done()
        service.cli("user", "erase", "alice", "--yes")
        wait_until(lambda: kafka.messages("healthsync.latest")[-1].value() is None, "alice leaves the table")
        wait_until(lambda: kafka.messages("healthsync.days")[-1].value() is None, "and that of days")
    typist.close()
