"""Users' days in a topic of their own, which is compacted: under ``USER/TYPE/DAY`` what the day comes to, or a null.

The connection is another one than that of events, with a transactional id of its own.
"""

from collections.abc import Callable, Sequence

from healthsync_mqtt.sinks.day_record import DayRecords, day_record
from healthsync_mqtt.sinks.kafka.connection import KafkaConnection
from healthsync_mqtt.sinks.kafka.message import TopicMessage
from healthsync_mqtt.sinks.kafka.server import Kafka, KafkaTroubleError
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, SinkStep, UserDay
from healthsync_mqtt.summaries.day import date_text

_DONE = SinkStep(Next.DONE)


def day_message(day: UserDay) -> TopicMessage:
    """The day under its key; a deletion has no value."""
    key = f"{day.user}/{day.type}/{date_text(day.day)}".encode()
    return TopicMessage(0, key, None if day.figures is None else day_record(day), (("type", day.type.encode()),))


class KafkaDays:
    """See ``port.DaySink``. ``connect`` makes a connection that is not open yet, with the secret of that moment."""

    generation = 0

    def __init__(self, topic: str, *, ledger: SinkLedger, connect: Callable[[], Kafka]) -> None:
        self._topic = topic
        self._records = DayRecords(ledger)
        self._connection = KafkaConnection(connect)

    def send(self, days: Sequence[UserDay]) -> SinkStep:
        """See ``port.DaySink``: all of them as one transaction."""
        sent = self._records.begin(days)
        if not sent:
            return _DONE
        try:
            self._connection.opened().send([(self._topic, [day_message(day) for day in sent])])
        except KafkaTroubleError as error:
            return self._connection.failed(error)
        self._records.arrived(sent)
        return _DONE

    def disconnect(self) -> None:
        """See ``port.DaySink``."""
        self._connection.close()
