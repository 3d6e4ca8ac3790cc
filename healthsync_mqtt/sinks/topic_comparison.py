"""Reconcile with Kafka: the log against what the topic of events has, by the place in the log that messages name."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.config import KafkaConfig
from healthsync_mqtt.sinks.kafka.message import event_message, latest_message
from healthsync_mqtt.sinks.kafka.server import Kafka, KafkaTroubleError
from healthsync_mqtt.sinks.opened_sink import OpenedSink
from healthsync_mqtt.storage.port import LogReader

_PAGE: Final = 1_000


class Seen:
    """The rows of one log that a topic has, a bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()
        #: messages whose row was seen before
        self.doubled = 0
        self.messages = 0

    def add(self, seq: int) -> None:
        """A message of this row."""
        byte, bit = seq >> 3, 1 << (seq & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 65_536 - len(self._bits)))
        self.doubled += bool(self._bits[byte] & bit)
        self._bits[byte] |= bit
        self.messages += 1

    def __contains__(self, seq: int) -> bool:
        return seq >> 3 < len(self._bits) and bool(self._bits[seq >> 3] & 1 << (seq & 7))


@dataclass(frozen=True, slots=True)
class TopicCompared:
    """``expected`` rows of the log that the topic should have, and how many of them are ``missing`` there.

    Rows through ``expired`` are not compared: in some partition what is as old as they are went with its retention.
    ``doubled`` messages repeat a row; ``repaired`` says whether what was missing has been sent.
    """

    expected: int
    missing: int
    doubled: int
    expired: int
    repaired: bool

    @property
    def equal(self) -> bool:
        """Whether each row is there once."""
        return not self.missing and not self.doubled

    def shown(self) -> dict[str, Any]:
        """As ``reconcile --json`` prints it."""
        names = ("expected", "missing", "doubled", "expired", "repaired")
        return {name: getattr(self, name) for name in names} | {"equal": self.equal}


class TopicComparison:
    """Log, ledger and topic of one sink, open."""

    def __init__(
        self, config: KafkaConfig, *, reader: LogReader, kafka: Kafka, permits: Callable[[Record], bool],
        refused: frozenset[int],
    ) -> None:  # fmt: skip
        self._config = config
        self._reader = reader
        self._kafka = kafka
        self._permits = permits
        self._refused = refused

    @classmethod
    @contextmanager
    def open(cls, data: Path, config: KafkaConfig) -> Iterator[Self]:
        """Everything that a comparison needs. UnavailableError without a log, ConfigError without a password."""
        with OpenedSink.open(data, config) as opened:
            reader = opened.reader
            # A connection of its own name: the sink's own goes on meanwhile.
            with closing(Kafka(config, config.token.read(), epoch=f"{reader.epoch}.reconcile")) as kafka:
                refused = frozenset(opened.ledger.refused_events())
                yield cls(config, reader=reader, kafka=kafka, permits=opened.permits, refused=refused)

    def run(self, wanted: Callable[[Record], bool], *, repairing: bool) -> TopicCompared:
        """Compare, and send what is missing where asked. UnavailableError when Kafka does not answer."""
        through = self._reader.cursor(self._config.cursor) or 0
        try:
            seen, expired = self._seen(through)
            rows = [each for each in self._rows(expired, through) if wanted(each)]
            missing = [record for record in rows if record.seq not in seen]
            if missing and repairing:
                self._send(missing)
        except KafkaTroubleError as error:
            raise UnavailableError(f"{error.reason}: {error.message}", hint=error.hint) from None
        return TopicCompared(len(rows), len(missing), seen.doubled, expired, repairing or not missing)

    def _seen(self, through: int) -> tuple[Seen, int]:
        seen, expired, topic = Seen(), 0, self._config.topic
        epoch = self._reader.epoch.encode()
        for span in self._kafka.partitions(topic):
            lost = span.low > 0
            for message in self._kafka.read(topic, span):
                headers = dict(message.headers() or ())
                if headers.get("epoch") != epoch:
                    continue
                seq = int(headers["seq"])
                if lost:
                    lost, expired = False, max(expired, seq - 1)
                seen.add(seq)
            if lost:  # with all that it had of this log: how old is too old cannot be told
                expired = through
        return seen, expired

    def _rows(self, after: int, through: int) -> Iterator[Record]:
        """Rows that the sink has passed, and that are still what they were."""
        while page := self._reader.read(after, _PAGE):
            for record in page:
                after = record.seq
                if after > through:
                    return
                if after not in self._refused and (record.op or self._permits(record)):
                    yield record

    def _send(self, records: list[Record]) -> None:
        self._kafka.open()
        for first in range(0, len(records), _PAGE):
            page = [(event_message(each, self._reader.epoch), each.id) for each in records[first : first + _PAGE]]
            batches = [(self._config.topic, [message for message, _ in page])]
            if self._config.latest_topic is not None:
                batches.append((self._config.latest_topic, [latest_message(*each) for each in page]))
            self._kafka.send(batches)
