"""The kinds of sinks: what opens each. A new kind is a folder with its ``Sink`` and a line here."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthsync_mqtt.sinks.config import FileConfig, InfluxConfig, KafkaConfig, SinkConfig, Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Sink
from healthsync_mqtt.sinks.pseudonym import Pseudonyms, lost
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    from healthsync_mqtt.sinks.days import DaysShipping
    from healthsync_mqtt.sinks.influx.packer import Packer
    from healthsync_mqtt.sinks.port import DaySink, TrialFinding


log = get_logger("sink")


def open_ledger(sinks: Sinks, config: SinkConfig, reader: LogReader) -> SinkLedger:
    """What this sink remembers, made new where there is none yet.

    The log knows how far a sink was, so a ledger that is gone is told: everything is shipped again then, and points
    that lie elsewhere stay. LostPseudonymError when the names that its points have are gone, too.
    """
    path = sinks.ledger(config.name)
    if not path.exists() and reader.cursor(config.cursor):
        refuse_lost_names(sinks, config)
        log.warning("sink.ledger_lost", sink=config.name, hint=f"healthsync sink reconcile {config.name}")
    return SinkLedger.open(path, budget=config.series_budget)


def refuse_lost_names(sinks: Sinks, config: SinkConfig) -> None:
    """LostPseudonymError for a sink that has shipped, where the file of the names is gone."""
    if isinstance(config, InfluxConfig) and not sinks.pseudonyms.exists():
        raise lost(sinks.pseudonyms)


def open_sink(sinks: Sinks, config: SinkConfig, *, reader: LogReader, ledger: SinkLedger) -> Sink[Any]:
    """The sink of this configuration. LostPseudonymError when its points would get other owners."""
    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.sink import FileSink

        return FileSink(config, epoch=reader.epoch, ledger=ledger)
    if isinstance(config, KafkaConfig):
        return _open_kafka(sinks, config, reader.epoch, ledger)
    if not isinstance(config, InfluxConfig):
        raise TypeError(config.kind)
    from healthsync_mqtt.sinks.influx.http import Influx
    from healthsync_mqtt.sinks.influx.sink import InfluxSink

    def connect() -> Influx:
        now = sinks.influx(config.name)
        return Influx(now, now.token.read())

    return InfluxSink(config, packer=open_packer(sinks, config, reader, ledger), ledger=ledger, connect=connect)


def _open_kafka(sinks: Sinks, config: KafkaConfig, epoch: str, ledger: SinkLedger) -> Sink[Any]:
    from healthsync_mqtt.sinks.kafka.server import Kafka
    from healthsync_mqtt.sinks.kafka.sink import KafkaSink

    def connect() -> Kafka:
        now = sinks.get(config.name)
        assert isinstance(now, KafkaConfig)
        # Events do not wait for a topic of days that is gone, nor the other way round.
        return Kafka(now.model_copy(update={"days_topic": None}), now.token.read(), epoch=epoch)

    return KafkaSink(config, epoch=epoch, ledger=ledger, connect=connect, now_us=lambda: time.time_ns() // 1000)


def open_days(
    sinks: Sinks,
    config: SinkConfig,
    *,
    epoch: str,
    summaries: Path,
    ledger: SinkLedger,
    covers: Callable[[str, str], bool],
    owns: Callable[[str], bool],
    asks: Callable[[str], None],
) -> "DaysShipping | None":
    """What ships users' days beside events; None for a sink that takes none."""
    sink = _open_day_sink(sinks, config, epoch, ledger)
    if sink is None:
        return None
    from healthsync_mqtt.sinks.days import DaysShipping
    from healthsync_mqtt.summaries.file import SummaryFile

    return DaysShipping(
        config,
        sink,
        open_days=lambda: SummaryFile.read(summaries),
        ledger=ledger,
        covers=covers,
        owns=owns,
        asks=asks,
    )


def _open_day_sink(sinks: Sinks, config: SinkConfig, epoch: str, ledger: SinkLedger) -> "DaySink | None":
    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.days import FileDays

        return FileDays(config, ledger=ledger)
    if isinstance(config, KafkaConfig):
        return _open_kafka_days(sinks, config, epoch, ledger)
    if not isinstance(config, InfluxConfig):
        return None
    from healthsync_mqtt.sinks.influx.days import InfluxDays
    from healthsync_mqtt.sinks.influx.http import Influx

    def connect() -> Influx:
        now = sinks.influx(config.name)
        return Influx(now, now.token.read())

    return InfluxDays(config, ledger=ledger, pseudonym=open_pseudonyms(sinks, ledger).of, connect=connect)


def _open_kafka_days(sinks: Sinks, config: KafkaConfig, epoch: str, ledger: SinkLedger) -> "DaySink | None":
    topic = config.days_topic
    if topic is None:
        return None
    from healthsync_mqtt.sinks.kafka.days import KafkaDays
    from healthsync_mqtt.sinks.kafka.server import Kafka

    def connect() -> Kafka:
        now = sinks.get(config.name)
        assert isinstance(now, KafkaConfig)
        alone = now.model_copy(update={"topic": topic, "latest_topic": None, "days_topic": None})
        return Kafka(alone, now.token.read(), epoch=f"{epoch}.days")

    return KafkaDays(topic, ledger=ledger, connect=connect)


def try_out(config: SinkConfig) -> "list[TrialFinding]":
    """Try whether this sink would work, before it is stored."""
    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.trial import try_folder

        return try_folder(config)
    if isinstance(config, KafkaConfig):
        from healthsync_mqtt.sinks.kafka.trial import try_topics

        return try_topics(config)
    if not isinstance(config, InfluxConfig):
        raise TypeError(config.kind)
    from healthsync_mqtt.sinks.influx.trial import try_server

    return try_server(config)


def reach(config: SinkConfig) -> "TrialFinding":
    """Whether this sink is reached, and its token is where it should be; nothing is sent or changed."""
    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.trial import see_folder

        return see_folder(config)
    if isinstance(config, KafkaConfig):
        from healthsync_mqtt.sinks.kafka.trial import reach_topics

        return reach_topics(config)
    if not isinstance(config, InfluxConfig):
        raise TypeError(config.kind)
    from healthsync_mqtt.sinks.influx.trial import reach_server

    return reach_server(config)


def open_packer(sinks: Sinks, config: InfluxConfig, reader: LogReader, ledger: SinkLedger) -> "Packer":
    """What makes the points of an InfluxDB sink."""
    from healthsync_mqtt.sinks.influx.mapping import Mapper
    from healthsync_mqtt.sinks.influx.packer import Packer

    mapper = Mapper(open_pseudonyms(sinks, ledger).of, ledger, marks=config.deletes == "mark")
    return Packer(reader, mapper, ledger, config.deletes)


def open_pseudonyms(sinks: Sinks, ledger: SinkLedger) -> Pseudonyms:
    """The pseudonyms that this ledger's points were written with; LostPseudonymError when they are not there."""
    pseudonyms = Pseudonyms.open(sinks.pseudonyms, known=ledger.knows)
    if not ledger.bind(pseudonyms.identity):
        raise lost(sinks.pseudonyms)
    return pseudonyms


def known_pseudonyms(sinks: Sinks) -> Pseudonyms:
    """The pseudonyms for a command: minted for a user whose points no sink has, and for nobody else."""
    ledgers = [SinkLedger.open(sinks.ledger(name)) for name in sinks.names() if sinks.ledger(name).exists()]
    known = {user for ledger in ledgers for user in ledger.users()}
    for ledger in ledgers:
        ledger.close()
    return Pseudonyms.open(sinks.pseudonyms, known=known.__contains__)
