"""The kinds of sinks: what opens each. A new kind is a folder with its ``Sink`` and a line here."""

from typing import TYPE_CHECKING, Any

from healthsync_mqtt.sinks.config import SinkConfig, Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Sink
from healthsync_mqtt.sinks.pseudonym import Pseudonyms, lost
from healthsync_mqtt.storage.port import LogReader

if TYPE_CHECKING:
    from healthsync_mqtt.sinks.influx.packing import Packer


def open_sink(sinks: Sinks, config: SinkConfig, *, reader: LogReader, ledger: SinkLedger) -> Sink[Any]:
    """The sink of this configuration. LostPseudonymError when its points would get other owners."""
    from healthsync_mqtt.sinks.influx.http import Influx
    from healthsync_mqtt.sinks.influx.sink import InfluxSink

    def connect() -> Influx:
        now = sinks.get(config.name)
        return Influx(now, now.token.read())

    return InfluxSink(config, packer=open_packer(sinks, config, reader, ledger), ledger=ledger, connect=connect)


def open_packer(sinks: Sinks, config: SinkConfig, reader: LogReader, ledger: SinkLedger) -> "Packer":
    """What makes the points of an InfluxDB sink."""
    from healthsync_mqtt.sinks.influx.mapping import Mapper
    from healthsync_mqtt.sinks.influx.packing import Packer

    mapper = Mapper(open_pseudonyms(sinks, ledger).of, ledger, marks=config.deletes == "mark")
    return Packer(reader, mapper, ledger, config.deletes)


def open_pseudonyms(sinks: Sinks, ledger: SinkLedger) -> Pseudonyms:
    """The pseudonyms that this ledger's points were written with; LostPseudonymError when they are not there."""
    pseudonyms = Pseudonyms.open(sinks.pseudonyms, known=ledger.knows)
    if not ledger.bind(pseudonyms.identity):
        raise lost(sinks.pseudonyms)
    return pseudonyms
