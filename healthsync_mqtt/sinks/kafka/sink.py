"""Kafka as a sink: canonical events keyed by user, in the order of the log, each row once; deletions have no value.

A second topic, where one is named, is meant to be compacted: it has the latest version of each event under
``USER/ID``. A piece of the log is one transaction. What a topic does not take, because it is too large, is kept aside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from healthsync_mqtt.sinks.config import KafkaConfig
from healthsync_mqtt.sinks.kafka.connection import KafkaConnection
from healthsync_mqtt.sinks.kafka.message import TopicMessage, event_message, latest_message, owned_by
from healthsync_mqtt.sinks.kafka.server import Kafka, KafkaTroubleError
from healthsync_mqtt.sinks.ledger import RefusedLine, SinkLedger
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")

_DONE = SinkStep(Next.DONE)
_GO_ON = SinkStep(Next.GO_ON)
_AGAIN_US = 60_000_000
_AT_ONCE = 5_000


@dataclass(slots=True)
class KafkaShipment:
    """The messages of some rows, with the ids of their events."""

    messages: list[tuple[TopicMessage, str]]
    through: int
    events: int


class KafkaSink:
    """See ``port.Sink``. ``connect`` makes a connection that is not open yet, with the secret of that moment."""

    generation = 0

    def __init__(
        self,
        config: KafkaConfig,
        *,
        epoch: str,
        ledger: SinkLedger,
        connect: Callable[[], Kafka],
        now_us: Callable[[], int],
    ) -> None:
        self._config = config
        self._epoch = epoch
        self._ledger = ledger
        self._connection = KafkaConnection(connect)
        self._now_us = now_us
        self._written = self._refused = 0

    def warm_up(self, cursor: int) -> None:
        """See ``port.Sink``: nothing is to be remembered that the place does not say."""

    def begin(self, rows: Rows) -> KafkaShipment:
        """See ``port.Sink``."""
        messages = [
            (event_message(record, self._epoch), record.id)
            for record in rows.records
            if record.seq not in rows.withheld
        ]
        return KafkaShipment(messages, rows.through, len(rows.records))

    def step(self, shipment: KafkaShipment) -> SinkStep:
        """See ``port.Sink``: all of it as one transaction."""
        try:
            kafka = self._connection.opened()
            assert kafka.place is not None
            if shipment.through > kafka.place:
                self._send(kafka, [each for each in shipment.messages if each[0].seq > kafka.place], shipment.through)
        except KafkaTroubleError as error:
            return self._connection.failed(error)
        return _DONE

    def mend(self, now_us: int) -> SinkStep:
        """See ``port.Sink``: whoever is erased leaves the topics of latest versions and of days.

        The topic of events cannot lose single messages: what it has of the person goes with its retention.
        """
        leaving = self._ledger.erasing_due(now_us)
        if leaving is None:
            return _DONE
        user, _ = leaving
        try:
            kafka = self._connection.opened()
            for topic in (self._config.latest_topic, self._config.days_topic):
                if topic is not None:
                    self._take_away(kafka, topic, user)
            kept_ms = kafka.facts(self._config.topic).retention_ms
        except KafkaTroubleError as error:
            self._ledger.erase_later(user, now_us + _AGAIN_US, f"{error.reason}: {error.message}")
            return self._connection.failed(error)
        log.info("sink.erased", sink=self._config.name, topic=self._config.topic, kept_for_s=max(-1, kept_ms // 1000))
        self._ledger.forget_days(user)
        self._ledger.erased(user)
        return _GO_ON

    def probe(self) -> SinkStep:
        """See ``port.Sink``."""
        try:
            self._connection.opened().facts(self._config.topic)
        except KafkaTroubleError as error:
            return self._connection.failed(error)
        return _GO_ON

    def disconnect(self) -> None:
        """See ``port.Sink``."""
        self._connection.close()

    def status(self) -> dict[str, Any]:
        """See ``port.Sink``."""
        counts = {"points": self._written, "refused": self._refused}
        return {"refused_lines": self._ledger.refused_count(), "since_start": counts}

    def close(self) -> None:
        """See ``port.Sink``."""
        self.disconnect()

    def _send(self, kafka: Kafka, messages: list[tuple[TopicMessage, str]], through: int) -> None:
        taken: list[tuple[TopicMessage, str]] = []
        refused: list[TopicMessage] = []
        for message, event_id in messages:
            if self._fits(kafka, message, event_id):
                taken.append((message, event_id))
            else:
                refused.append(message)
        if refused:
            said = f"more than the {kafka.most_bytes} bytes that the topic takes (max.message.bytes)"
            self._ledger.refuse((RefusedLine(one.seq, 0, "too_large", 0, said) for one in refused), self._now_us())
        batches = [(self._config.topic, [message for message, _ in taken])]
        if self._config.latest_topic is not None:
            batches.append((self._config.latest_topic, [latest_message(*each) for each in taken]))
        kafka.send(batches, place=through)
        self._written += len(taken)
        self._refused += len(refused)

    def _fits(self, kafka: Kafka, message: TopicMessage, event_id: str) -> bool:
        largest = message if self._config.latest_topic is None else latest_message(message, event_id)
        return largest.bytes <= kafka.most_bytes

    def _take_away(self, kafka: Kafka, topic: str, user: str) -> None:
        """A message without a value for each key of a user: compaction takes what was there."""
        there: dict[bytes, bool] = {}
        for span in kafka.partitions(topic):
            for message in kafka.read(topic, span):
                key = message.key() or b""
                if owned_by(key, user):
                    there[key] = message.value() is not None
        keys = [key for key, has_value in there.items() if has_value]
        for first in range(0, len(keys), _AT_ONCE):
            kafka.send([(topic, [TopicMessage(0, key, None, ()) for key in keys[first : first + _AT_ONCE]])])
