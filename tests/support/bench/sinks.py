"""Rows of the benchmark for sinks: the encoder alone, the way back from an outage, and what a sink costs ingestion."""

import shutil
import statistics
import time
from collections.abc import Callable

from bridge.decode.delivery import decode
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.sinks.worker import assemble
from healthsync_mqtt.storage.opening import open_reader
from tests.support.bench.load import fill, flood_for
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.identities import logins
from tests.support.servers import VictoriaMetrics
from tests.support.service import Service, run_cli
from tests.support.workload import payloads

_EVENTS = 100_000
_AT_ONCE = 5_000
_OUTAGE_S, _RATE = 600, 5_000


class _Everyone:
    adopted: tuple[int, ...] = (0, 0)

    def admit(self, _source: SeriesSource) -> bool:
        return True


def _records() -> list[Record]:
    origin = Origin("alice", "watch", None, "users/alice/devices/watch/events")
    records: list[Record] = []
    for payload in payloads("encode", 0, _EVENTS // 500, 500):
        for event in decode(payload, origin, time.time_ns() // 1000).events:
            records.append(
                Record(len(records) + 1, "alice", "watch", None, event.id, event.type, event.start_us, event.end_us, 0,
                       event.version, event.op, event.body, len(records) + 1)
            )  # fmt: skip
    return records


def encoder(setting: Setting) -> list[Result]:
    """Rows of the log to request bodies, per second of processor time: single events, and series of 1,000 samples."""
    singles = _records()
    samples = b",".join(b"[%d.0,%d]" % (second, 60 + second % 90) for second in range(1000))
    body = b'{"value":{"samples":[%b]}}' % samples
    series = [singles[0]._replace(id=f"s{place}", type="heart_rate", body=body) for place in range(_EVENTS // 1000)]
    rows = []
    for name, records, at_once in (("single events", singles, _AT_ONCE), ("series of 1,000", series, 5)):
        mapper = Mapper(lambda _user: "5e" * 12, _Everyone())
        values = []
        for _ in range(setting.repeats):
            began, points = time.process_time(), 0
            for start in range(0, len(records), at_once):
                lines = [line for record in records[start : start + at_once] for line in mapper.lines(record)]
                points += len(lines)
                "\n".join([f"{series} {fields} {time_ns}" for series, fields, time_ns in lines]).encode()
            values.append(points / (time.process_time() - began))
        met = statistics.median(values) >= 300_000
        rows.append(
            Result(
                row="sink_encoder",
                work=f"line protocol, {name}",
                unit="points/s",
                values=values,
                target="≥ 300,000",
                met=met,
            )
        )
    return rows


def recovery(setting: Setting) -> list[Result]:
    """How long a sink needs for what came in during an outage of 10 minutes at 5,000 events/s."""
    if not _victoria():
        return []
    events = _OUTAGE_S * _RATE if setting.full else 300_000
    data = setting.data("sink_recovery")
    fill(data / "events.db", events)
    values = []
    for turn in range(setting.repeats if not setting.full else 1):
        with VictoriaMetrics(data.parent / f"victoria{turn}") as server:
            sinks = Sinks(data)
            sinks.put(made(name=f"s{turn}", url=server.url, dialect="victoria", deletes="mark", flush_s=0.0))
            ledger = SinkLedger.open(sinks.ledger(f"s{turn}"))
            with open_reader(data) as reader:
                shipper = assemble(
                    sinks, sinks.get(f"s{turn}"), reader=reader, ledger=ledger, cursor=0, keep=lambda _seq: None
                )
                began = time.perf_counter()
                while shipper.cursor < events:
                    shipper.step()
                values.append(events / (time.perf_counter() - began))
            ledger.close()
        progress(f"  {values[-1]:,.0f} events/s")
    back_s = _OUTAGE_S * _RATE / (statistics.median(values) - _RATE)
    note = f"{events:,} events; 10 minutes at 5,000 events/s are worked off in {back_s:.0f} s"
    work = "a sink after an outage, VictoriaMetrics on the same machine"
    return [Result(row="sink_recovery", work=work, unit="events/s", values=values, target="", met=None, note=note)]


def ingestion(setting: Setting) -> list[Result]:
    """Floods of batches of 50 without and with a sink that ships meanwhile."""
    if not _victoria():
        return []
    rows = []
    for name in ("off", "on"):
        data = setting.data(f"sink_{name}")
        who = logins(data, users=1, devices=10)
        with VictoriaMetrics(data.parent / "victoria") as server:
            if name == "on":
                run_cli(data, "sink", "add", "influxdb", server.url, "--dialect", "victoria")
            with Service(data) as service:
                values = [
                    flood_for(setting.seconds, service.mqtt, who, f"s{turn}", guess=400, events_per_message=50)[
                        "events_per_second"
                    ]
                    for turn in range(setting.repeats)
                ]
        progress(f"  sink {name}: {statistics.median(values):,.0f} events/s")
        work = f"batches of 50, sink {name}"
        rows.append(Result(row="sink_ingestion", work=work, unit="events/s", values=values, target="", met=None))
    return rows


def _victoria() -> bool:
    if shutil.which(VictoriaMetrics.program) is None:
        progress("  victoria-metrics is not installed")
        return False
    return True


ROWS: dict[str, Callable[[Setting], list[Result]]] = {
    "sink_encoder": encoder,
    "sink_recovery": recovery,
    "sink_ingestion": ingestion,
}
