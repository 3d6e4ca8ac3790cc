"""A real Kafka in a test: one node of KRaft from Maven Central, on free ports of loopback, without TLS."""

import functools
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its __all__

from tests.support import child
from tests.support.java_brokers import JAVA, class_path
from tests.support.mosquitto import wait_listening
from tests.support.patience import wait_until
from tests.support.ports import free_port

_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=200
"""
_CLUSTER = "AAAAAAAAAAAAAAAAAAAAAA"
#: Java starts in seconds, and in minutes where ten others want the processor.
_WITHIN_S = 300.0


class KafkaServer:
    """Started by ``start``, ended by ``end`` (SIGKILL at once); what it stored stays in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._jars = class_path("kafka")
        self._settings = root / "server.properties"
        text = _SETTINGS.format(port=self.port, controller=free_port(), logs=root / "logs")
        self._settings.write_text(text)
        self._run("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._settings))

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @functools.cached_property
    def admin(self) -> Any:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})  # it goes on to ask when we have ended

    def start(self) -> Self:
        with (self.root / "kafka.log").open("ab") as log:
            command = [*JAVA, "-cp", self._jars, "kafka.Kafka", str(self._settings)]
            self.process = child.lasting(child.start(command, stdout=log, stderr=log))
        wait_listening(self.port, self.process, _WITHIN_S)
        return self

    def end(self, number: int = signal.SIGKILL) -> None:
        child.end(self.process, number, _WITHIN_S)
        self.process = None

    def make(self, name: str, partitions: int = 3, **settings: str) -> str:
        """A topic; a setting's dots are underscores here."""
        config = {key.replace("_", "."): value for key, value in settings.items()}
        made = self.admin.create_topics([NewTopic(name, partitions, 1, config=config)])
        made[name].result(_WITHIN_S)
        # A broker says that a topic is made before it knows all of its partitions.
        wait_until(lambda: self._is_known(name, partitions), "the topic is there")
        return name

    def _is_known(self, name: str, partitions: int) -> bool:
        found = self.admin.list_topics(name, timeout=_WITHIN_S).topics[name]
        return found.error is None and len(found.partitions) == partitions

    def messages(self, topic: str) -> list[Any]:
        """What whoever reads with ``read_committed`` sees, partition by partition; no transaction may be open."""
        asked = {"bootstrap.servers": self.servers, "group.id": "test"}
        # Who reads what is committed is told of no end behind a transaction whose mark is still to be written.
        consumer, everything = Consumer(asked), Consumer(asked | {"isolation.level": "read_uncommitted"})
        found = []
        try:
            for number in consumer.list_topics(topic, timeout=_WITHIN_S).topics[topic].partitions:
                partition = TopicPartition(topic, number)
                low, high = everything.get_watermark_offsets(partition, timeout=_WITHIN_S)
                consumer.assign([TopicPartition(topic, number, low)])
                until = time.monotonic() + _WITHIN_S
                # A mark is no message.
                while low < high:
                    message = consumer.poll(0.05)
                    if message is not None and message.error() is None:
                        found.append(message)
                    low = max(low, consumer.position([partition])[0].offset)
                    assert time.monotonic() < until, "Kafka does not answer"
        finally:
            consumer.close()
            everything.close()
        return found

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [*JAVA, "-cp", self._jars, *command], capture_output=True, text=True, check=False, timeout=_WITHIN_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
