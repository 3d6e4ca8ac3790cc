"""The connection to Kafka: transactions that carry messages and the place in the log that they reach, as one.

The place is an offset that is committed for a group of the sink's own (``healthsync.NAME.EPOCH``, the topic of events,
partition 0) within the transaction of the messages. Either both are there or none; whoever opens the connection anew
reads it and repeats nothing. Who reads with ``isolation.level=read_committed``, the default of librdkafka, sees each
row once; KIP-98 describes what that rests on.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # it is not in its __all__

from healthsync_mqtt.sinks.config import KafkaConfig
from healthsync_mqtt.sinks.kafka.message import TopicMessage

_QUIET = logging.getLogger("healthsync.kafka")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

_DEFAULT_BYTES: Final = 1_048_588
"""Kafka's own ``max.message.bytes``, where we may not ask."""


class TopicFacts(NamedTuple):
    """What a topic is set to: the most bytes of a message, ``cleanup.policy``, ``retention.ms`` and its replicas.

    ``known`` is False where we may not ask; all but ``partitions`` and ``replicas`` are Kafka's defaults then.
    """

    partitions: int
    replicas: int
    most_bytes: int = _DEFAULT_BYTES
    cleanup: frozenset[str] = frozenset({"delete"})
    retention_ms: int = 604_800_000
    in_sync: int = 1
    known: bool = False


class PartitionSpan(NamedTuple):
    """What a partition has: from ``low`` to before ``high``. What was before ``low`` is gone, because of its age."""

    number: int
    low: int
    high: int


class KafkaTroubleError(Exception):
    """Kafka did not do it. ``reason`` is one of FAULTS, or Kafka's own word; ``message`` is Kafka's, free of values."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def lasting(self) -> bool:
        """Whether somebody has to change something."""
        return self.reason in FAULTS and FAULTS[self.reason][0]

    @property
    def hint(self) -> str:
        """What to do, where that is known."""
        return FAULTS[self.reason][1] if self.reason in FAULTS else ""


FAULTS: Final[dict[str, tuple[bool, str]]] = {
    "unauthorized": (True, "are the user and the password right? healthsync sink set NAME --token-file FILE"),
    "forbidden": (
        True,
        "let this user write and describe the topics, and use transactional ids and groups that begin with healthsync.",
    ),
    "no_topic": (True, "make the topic, then it goes on by itself: kafka-topics.sh --create --topic TOPIC"),
    "certificate": (True, "is it the CA of the server's certificate? healthsync sink set NAME --ca-file FILE"),
    "unreachable": (False, "does the server run, and do its advertised.listeners lead to it from here?"),
    "open_transaction": (False, "it ends by itself, at the latest when its producer's transaction.timeout.ms is over"),
    "fenced": (False, "another process ships for this sink; only one may"),
}
"""By reason: whether it lasts until somebody changes something, and what to do."""

#: by the names that librdkafka gives to errors, its own with a leading underscore
_REASONS: Final = {
    "_AUTHENTICATION": "unauthorized",
    "SASL_AUTHENTICATION_FAILED": "unauthorized",
    "TOPIC_AUTHORIZATION_FAILED": "forbidden",
    "GROUP_AUTHORIZATION_FAILED": "forbidden",
    "CLUSTER_AUTHORIZATION_FAILED": "forbidden",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "forbidden",
    "UNKNOWN_TOPIC_OR_PART": "no_topic",
    "_UNKNOWN_TOPIC": "no_topic",
    "_UNKNOWN_PARTITION": "no_topic",
    "_SSL": "certificate",
    "_TRANSPORT": "unreachable",
    "_ALL_BROKERS_DOWN": "unreachable",
    "_RESOLVE": "unreachable",
    "_TIMED_OUT": "unreachable",
    "_MSG_TIMED_OUT": "unreachable",
    "_FENCED": "fenced",
    "INVALID_PRODUCER_EPOCH": "fenced",
}


def fault(error: KafkaError) -> KafkaTroubleError:
    """What an error of the library means here."""
    return KafkaTroubleError(_REASONS.get(error.name(), error.name().lower().lstrip("_")), error.str())


def _held_open(topic: str) -> KafkaTroubleError:
    return KafkaTroubleError("open_transaction", f"a transaction that is open in {topic} hides what came after it")


class Kafka:
    """One connection of a sink, used from one thread. A call takes about ``timeout_s`` at most; KafkaTroubleError.

    But for ``send``: the library may wait for ever for a coordinator that went away (confluentinc/librdkafka#5456).
    The service ends the process of a sink that says nothing, and the next one's ``open`` fences what that one began.
    """

    def __init__(self, config: KafkaConfig, password: str | None, *, epoch: str) -> None:
        """Touches no server: ``open`` does."""
        self._config = config
        self._name = f"healthsync.{config.name}.{epoch}"
        self._why: KafkaError | None = None
        self._common: dict[str, Any] = {
            "bootstrap.servers": config.servers,
            "client.id": f"healthsync-{config.name}",
            "error_cb": self._failed,
            "socket.timeout.ms": _ms(config.timeout_s),
            "socket.connection.setup.timeout.ms": _ms(config.timeout_s),
            "security.protocol": f"{'sasl_' if config.user else ''}{'plaintext' if config.plaintext else 'ssl'}",
            "allow.auto.create.topics": False,
        }
        if config.user:
            self._common |= {
                "sasl.mechanisms": config.mechanism.upper(),
                "sasl.username": config.user,
                "sasl.password": password or "",
            }
        if config.ca_file is not None:
            self._common["ssl.ca.location"] = str(config.ca_file)
        self._producer: Producer | None = None
        self._reader: Consumer | None = None
        self._refused: KafkaError | None = None
        #: The place in the log through which everything is there; None before ``open``.
        self.place: int | None = None
        #: The most bytes of a message that both topics take.
        self.most_bytes = _DEFAULT_BYTES

    def open(self) -> None:
        """Connect, end what an earlier process left under way, and read the place."""
        self.most_bytes = min(self.facts(topic).most_bytes for topic in self._config.topics)
        self._producer = Producer(
            self._common
            | {
                "transactional.id": self._name,
                "transaction.timeout.ms": max(60_000, _ms(4 * self._config.timeout_s)),
                "compression.type": "zstd",
                "linger.ms": 5,
                "partitioner": "murmur2_random",
                "message.max.bytes": max(1_000, min(self.most_bytes, 1_000_000_000)),
            },
            logger=_QUIET,
        )
        self._reader = self._consumer(self._name)
        try:
            self._producer.init_transactions(self._config.timeout_s)
            (kept,) = self._reader.committed([TopicPartition(self._config.topic, 0)], timeout=self._config.timeout_s)
        except KafkaException as error:
            raise self._fault(error) from None
        if kept.error is not None:
            raise fault(kept.error)
        self.place = max(0, kept.offset)

    def send(self, batches: Sequence[tuple[str, Sequence[TopicMessage]]], *, place: int | None = None) -> None:
        """Write these messages, by topic, and the place that they reach: all of it or nothing.

        After a KafkaTroubleError nobody knows which of the two: ``open`` says it.
        """
        assert self._producer is not None
        assert self._reader is not None
        producer, self._refused = self._producer, None
        try:
            producer.begin_transaction()
            for topic, messages in batches:
                for _, key, value, headers in messages:
                    producer.produce(topic, value, key, headers=list(headers), on_delivery=self._delivered)
                    producer.poll(0)
            if place is not None:
                at = TopicPartition(self._config.topic, 0, place)
                group = self._reader.consumer_group_metadata()
                producer.send_offsets_to_transaction([at], group, self._config.timeout_s)
            producer.commit_transaction(self._config.timeout_s)
        except (KafkaException, BufferError) as error:
            self._give_up(producer)
            raise self._fault(error) from None
        if place is not None:
            self.place = place

    def facts(self, topic: str) -> TopicFacts:
        """What a topic is set to. KafkaTroubleError ``no_topic``."""
        admin = AdminClient(self._common, logger=_QUIET)
        try:
            found = admin.list_topics(topic, timeout=self._config.timeout_s).topics[topic]
            if found.error is not None:
                raise fault(found.error)
            replicas = min((len(each.replicas) for each in found.partitions.values()), default=1)
            wanted = ConfigResource(ConfigResource.Type.TOPIC, topic)
            asked = admin.describe_configs([wanted], request_timeout=self._config.timeout_s)[wanted]
        except KafkaException as error:
            raise self._fault(error) from None
        facts = TopicFacts(len(found.partitions), replicas)
        try:
            said = asked.result(self._config.timeout_s)
        except KafkaException as error:
            if _REASONS.get(error.args[0].name()) == "forbidden":
                return facts
            raise self._fault(error) from None
        except TimeoutError:  # the library's own is no earlier than this one
            raise self._late() from None
        return facts._replace(
            most_bytes=int(said["max.message.bytes"].value),
            cleanup=frozenset(said["cleanup.policy"].value.split(",")),
            retention_ms=int(said["retention.ms"].value),
            in_sync=int(said["min.insync.replicas"].value),
            known=True,
        )

    def partitions(self, topic: str) -> list[PartitionSpan]:
        """What is there now, by partition; also what is committed, and whose mark Kafka has still to write.

        To who reads with ``read_committed`` a partition ends at the first transaction without its mark (KIP-98), so
        this is asked as one who reads all.
        """
        with self._reading(isolation="read_uncommitted") as consumer:
            found = consumer.list_topics(topic, timeout=self._config.timeout_s).topics[topic].partitions
            spans = []
            for number in found:
                at = TopicPartition(topic, number)
                spans.append(PartitionSpan(number, *consumer.get_watermark_offsets(at, timeout=self._config.timeout_s)))
            return spans

    def read(self, topic: str, span: PartitionSpan) -> Iterator[Any]:
        """Every message of a span that is committed, the oldest first.

        The marks of transactions that were open when the span was asked for are waited for, each about ``timeout_s``.
        """
        low, answered = span.low, False
        with self._reading() as consumer:
            consumer.assign([TopicPartition(topic, span.number, low)])
            while low < span.high:
                message = consumer.poll(self._config.timeout_s)
                if message is None:
                    raise _held_open(topic) if answered else self._late()
                answered = True
                if (error := message.error()) is None:
                    low = (message.offset() or 0) + 1
                    yield message
                elif error.name() == "_PARTITION_EOF":  # a mark is no message: it counts up to here
                    low = message.offset() or 0
                else:
                    raise fault(error)

    def close(self) -> None:
        """Forget the connection. Idempotent."""
        producer, reader = self._producer, self._reader
        self._producer = self._reader = self.place = None
        if producer is not None:
            producer.purge()
        if reader is not None:
            reader.close()

    @contextmanager
    def _reading(self, isolation: str = "read_committed") -> Iterator[Consumer]:
        consumer = self._consumer(f"{self._name}.read", isolation)
        try:
            yield consumer
        except KafkaException as error:
            raise self._fault(error) from None
        finally:
            consumer.close()

    def _consumer(self, group: str, isolation: str = "read_committed") -> Consumer:
        return Consumer(
            self._common
            | {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": True,
               "auto.offset.reset": "error", "isolation.level": isolation},
            logger=_QUIET,
        )  # fmt: skip

    def _give_up(self, producer: Producer) -> None:
        """End the transaction, so that readers need not wait for its end. Where this fails the next ``open`` does."""
        producer.purge()
        with suppress(KafkaException):
            producer.abort_transaction(min(2.0, self._config.timeout_s))

    def _failed(self, error: KafkaError) -> None:
        """What the library tells beside the calls: why it cannot connect."""
        if error.name() != "_ALL_BROKERS_DOWN" or self._why is None:
            self._why = error

    def _delivered(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None and error.name() not in {"_PURGE_QUEUE", "_PURGE_INFLIGHT"}:
            self._refused = self._refused or error

    def _fault(self, raised: KafkaException | BufferError) -> KafkaTroubleError:
        error = raised.args[0] if isinstance(raised, KafkaException) else None
        if self._refused is not None:
            return fault(self._refused)
        if error is None:
            return KafkaTroubleError("busy", "Kafka takes no more at the moment")
        if error.name() == "_TIMED_OUT":
            return self._late()
        return fault(error)

    def _late(self) -> KafkaTroubleError:
        """It took too long: because of what the library told beside, where it did."""
        if self._why is not None:
            return fault(self._why)
        return KafkaTroubleError(
            "unreachable", f"{self._config.servers} did not answer within {self._config.timeout_s:g} s"
        )


def _ms(seconds: float) -> int:
    return max(1_000, int(seconds * 1_000))
