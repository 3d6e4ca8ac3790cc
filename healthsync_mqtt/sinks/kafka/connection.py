"""A sink's connection to Kafka: made when it is needed, given up when something failed."""

from collections.abc import Callable

from healthsync_mqtt.sinks.kafka.server import Kafka, KafkaTroubleError
from healthsync_mqtt.sinks.port import Next, SinkStep


class KafkaConnection:
    """``connect`` makes one that is not open yet, with the secret of that moment. Used from one thread."""

    def __init__(self, connect: Callable[[], Kafka]) -> None:
        self._connect = connect
        self._kafka: Kafka | None = None

    def opened(self) -> Kafka:
        """The open connection. KafkaTroubleError."""
        if self._kafka is None:
            kafka = self._connect()
            try:
                kafka.open()
            except KafkaTroubleError:
                kafka.close()
                raise
            self._kafka = kafka
        return self._kafka

    def failed(self, error: KafkaTroubleError) -> SinkStep:
        """Give it up, and say how the sink goes on."""
        self.close()
        return SinkStep(Next.PAUSE if error.lasting else Next.WAIT, error.reason, error.message, error.hint)

    def close(self) -> None:
        """Forget connection and secret; ``opened`` makes them anew. Idempotent."""
        if self._kafka is not None:
            self._kafka.close()
            self._kafka = None
