"""Every format through the pipeline into the log: a message, the same again, and the same record with another value."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import yaml

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.fit_sample import sample_activity
from healthsync_mqtt.formats.mapping import read_mapping
from healthsync_mqtt.formats.port import Declared
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from tests.support.consent import agreeing_to_all
from tests.unit.bridge.bench import NOW_US, Bench, delivery

BERLIN = Declared("Europe/Berlin", "metric", 3600)
MAPPED = {"type": "weight", "time": {"path": "t"}, "value": {"kg": {"path": "w", "unit": "kg"}}}
AT = "2026-05-03T07:41:00+02:00"


class Case(NamedTuple):
    """A message, of what type it comes to an event, and the same record with another value; None: there can be none."""

    type: str
    first: Any
    changed: Any
    topic: str = ""
    topic_of_change: str | None = None
    declared: Declared = BERLIN
    before: tuple[Any, ...] = ()


def steps(amount: float) -> dict[str, Any]:
    day = {"date": "2026-05-03 09:00:00 +0200", "qty": amount, "source": "Phone"}
    return {"data": {"metrics": [{"name": "step_count", "units": "count", "data": [day]}]}}


def walked(count: int) -> dict[str, Any]:
    return {"steps": [{"count": count, "start_time": "2026-05-03T12:00:00Z", "end_time": "2026-05-03T12:15:00Z"}]}


def weighed(kilograms: float) -> dict[str, Any]:
    return {"weight": [{"kilograms": kilograms, "time": "2026-05-03T05:41:00Z", "uuid": "u1", "source": "app"}]}


def scaled(kilograms: float) -> dict[str, Any]:
    return {"id": 17, "userId": 1, "date": "2026-05-03T07:41+0200", "weight": kilograms}


def heart_rate(bpm: int) -> dict[str, Any]:
    schema = {"namespace": "omh", "name": "heart-rate", "version": "2.0"}
    body = {"heart_rate": {"value": bpm, "unit": "beats/min"}, "effective_time_frame": {"date_time": AT}}
    return {"header": {"id": "h1", "creation_date_time": AT, "schema_id": schema}, "body": body}


def observed(kilograms: float) -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    quantity = {"value": kilograms, "unit": "kg"}
    about = {"resourceType": "Observation", "status": "final", "id": "w1", "effectiveDateTime": AT}
    return about | {"code": code, "valueQuantity": quantity}


def measured(grams: int, modified: int) -> list[dict[str, Any]]:
    measures = [{"value": grams, "type": 1, "unit": -3}]
    return [{"grpid": 1, "date": 1777786860, "modified": modified, "category": 1, "measures": measures}]


def counted(number: int, modified: int) -> dict[str, Any]:
    point = {
        "startTimeNanos": "1777786860000000000", "endTimeNanos": "1777786920000000000", "value": [{"intVal": number}],
        "dataTypeName": "com.google.step_count.delta", "originDataSourceId": "raw:x:app:y",
        "modifiedTimeMillis": str(modified),
    }  # fmt: skip
    return {"dataSourceId": "raw:x:app:y", "point": [point]}


CASES: dict[str, Case] = {
    "fit": Case("heart_rate", sample_activity(), None),
    "health_auto_export": Case("steps", steps(512), steps(901.25)),
    "health_connect": Case("steps", walked(412), walked(420)),
    "life_dashboard": Case("weight", weighed(71.35), weighed(72)),
    "openscale": Case(
        "weight", scaled(71.35), scaled(69.2), "1/measurements/insert", "1/measurements/update", Declared(slot="1")
    ),
    "xiaomi_scale": Case("weight", {"weight": 71.35, "weight_unit": "kg", "timestamp": AT}, None, "Ann/weight"),
    "theengs": Case("weight", {"id": "AA", "type": "SCALE", "unit": "kg", "weight": 71.35}, None, "x/BTtoMQTT/AA"),
    "nightscout": Case(
        "glucose",
        {"type": "sgv", "sgv": 112, "date": 1777786860000},
        {"type": "sgv", "sgv": 113, "date": 1777786860000},
    ),
    "sleep_as_android": Case(
        "sleep", {"event": "sleep_tracking_stopped"}, None, before=({"event": "sleep_tracking_started"},)
    ),
    "open_mhealth": Case("heart_rate", heart_rate(64), heart_rate(65)),
    "fhir": Case("weight", observed(71.35), observed(72)),
    "withings": Case("weight", measured(71350, 1777786900), measured(72000, 1777786901)),
    "googlefit": Case("steps", counted(17, 1777786999000), counted(18, 1777787000000)),
    "fitbit": Case(
        "weight",
        {"weight": [{"date": "2026-05-03", "time": "07:41:00", "logId": 1, "weight": 71.35}]},
        {"weight": [{"date": "2026-05-03", "time": "07:41:00", "logId": 1, "weight": 72}]},
    ),
    "zepp": Case(
        "daily_steps",
        {"record_time": "00:01", "steps": {"current": 1}},
        {"record_time": "00:02", "steps": {"current": 2}},
    ),
    "mine": Case("weight", {"t": AT, "w": 71.35}, {"t": AT, "w": 72}),
}
"""What is changed where a source has no record that it could correct is ``None``: another value is another event."""


@pytest.fixture(autouse=True)
def formats(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = read_mapping("mine", yaml.safe_dump({"summary": "mine", "rules": [MAPPED]}))
    monkeypatch.setattr("bridge.pipeline.FORMATS", {**FORMATS, "mine": mine})


def test_every_format_is_here() -> None:
    """But our own JSON, which goes no such way; what the installation declares is ``mine``."""
    assert CASES.keys() == FORMATS.keys() - {"json"} | {"mine"}


class Sender:
    """A device of alice that sends messages of one format."""

    def __init__(self, name: str, case: Case) -> None:
        self._name, self._case, self._sent = name, case, 0
        gate = agreeing_to_all("alice")
        self.bench = Bench(gate=gate, declared=lambda *_: case.declared, clock_us=self._now_us)

    def _now_us(self) -> int:
        """A minute later with each message."""
        return NOW_US + self._sent * 60_000_000

    async def send(self, content: Any, topic: str | None = None) -> None:
        self._sent += 1
        topic = f"users/alice/devices/watch/formats/{self._name}/{self._case.topic if topic is None else topic}"
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        made: Delivery = delivery(self.bench.source(), 1, payload)
        origin = Origin("alice", "watch", None, topic.rstrip("/"))
        self.bench.pipeline.submit([made._replace(origin=origin, form=self._name)])
        await self.bench.settle()

    def rows(self) -> list[Record]:
        return list(self.bench.log.committed.log)

    def counts(self) -> Mapping[str, int]:
        return self.bench.counters.snapshot()


@pytest.mark.parametrize("name", CASES)
async def test_a_message_the_same_again_and_another_value(name: str) -> None:
    case = CASES[name]
    sender = Sender(name, case)
    for each in case.before:
        await sender.send(each)
    await sender.send(case.first)
    stored = sender.rows()
    assert {row.type for row in stored} >= {case.type}
    assert sender.bench.log.reader().rejected() == []
    await sender.send(case.first)
    assert [row.id for row in sender.rows()] == [row.id for row in stored]
    known = 0 if name == "sleep_as_android" else len(stored)  # a night that has ended does not end again
    assert sender.counts()["duplicate"] == known
    if case.changed is not None:
        await sender.send(case.changed, case.topic_of_change)
        *before, newest = sender.rows()
        assert len(before) == len(stored)
        (older,) = [row for row in before if row.id == newest.id]
        assert (newest.type, newest.version > older.version) == (case.type, True)
        assert json.loads(newest.body)["value"] != json.loads(older.body)["value"]
    assert sender.bench.balanced()
    sender.bench.close()
