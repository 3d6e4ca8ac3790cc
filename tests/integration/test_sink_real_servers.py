"""A sink on real servers: every point is read back, after kills of the server and of the sink too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.sinks.shipper import SinkPhase
from tests.support.servers import Influxd, VictoriaMetrics
from tests.support.sink import NOW_US, Rig, event, pulses

pytestmark = pytest.mark.real_server


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    with VictoriaMetrics(tmp_path / "victoria") as server:
        yield server


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path / "influxd") as server:
        yield server


def until_idle(rig: Rig) -> None:
    for _ in range(100):
        if rig.later(100) is SinkPhase.IDLE:
            return
    raise AssertionError(rig.shipper.status())


def test_victoria_metrics_holds_every_point(victoria: VictoriaMetrics, tmp_path: Path) -> None:
    rig = Rig(tmp_path, victoria.url, deletes="mark")
    rig.store(*pulses(5000))
    rig.store(event("w", {"kg": 71.25}, "weight"), event("bp", {"systolic": 120, "diastolic": 80}, "blood_pressure"))
    rig.store(event("s", {"samples": [[second, 60 + second % 90] for second in range(1000)]}, "spo2"), user="bob")
    until_idle(rig)
    pulse = victoria.samples("heart_rate_bpm")
    assert pulse == {("s-alice", NOW_US // 1000 + place * 1000): 60 + place % 90 for place in range(5000)}
    assert list(victoria.samples("weight_kg").values()) == [71.25]
    assert list(victoria.samples("blood_pressure_systolic").values()) == [120]
    assert len(victoria.samples("spo2_percent")) == 1000
    rig.kept.clear()
    rig.restart()
    until_idle(rig)
    assert victoria.samples("heart_rate_bpm") == pulse
    rig.close()


def test_victoria_metrics_holds_every_point_after_kills_of_both_sides(
    victoria: VictoriaMetrics, tmp_path: Path
) -> None:
    """It acknowledges what is in memory, so what it may lose is sent again: ``settle_s``."""
    rig = Rig(tmp_path, victoria.url, deletes="mark", settle_s=1000.0)
    total = 0
    for round_ in range(5):
        rig.store(*pulses(1000, first=total))
        total += 1000
        rig.ship()
        victoria.kill()
        if round_ % 2:
            rig.restart()
        rig.store(*pulses(500, first=total))
        total += 500
        assert rig.later(1) in {SinkPhase.WAITING, SinkPhase.IDLE}
        victoria.start()
        rig.later(60)
    until_idle(rig)
    assert len(victoria.samples("heart_rate_bpm")) == total
    assert rig.shipper.status()["lag"] == 0
    rig.close()


def test_influxdb_holds_every_point_once(influxd: Influxd, tmp_path: Path) -> None:
    rig = Rig(tmp_path, influxd.url, dialect="v1", deletes="delete")
    rig.store(*pulses(5000))
    rig.store(*[event(f"same-{place}", {"bpm": 60 + place}) for place in range(50)], device="other")
    for _ in range(2):
        until_idle(rig)
        assert influxd.rows("SELECT count(bpm) FROM heart_rate")[0][1] == 5050
        rig.kept.clear()
        rig.restart()
    got = influxd.rows("SELECT bpm FROM heart_rate WHERE device = 'watch' ORDER BY time")
    assert [value for _, value in got] == [60 + place % 90 for place in range(5000)]
    rig.close()


def test_influxdb_overwrites_moves_and_deletes(influxd: Influxd, tmp_path: Path) -> None:
    rig = Rig(tmp_path, influxd.url, dialect="v1", deletes="delete")
    rig.store(event("a", {"bpm": 60}), event("b", {"bpm": 61}), event("c", {"bpm": 62}), event("d", {"bpm": 63}))
    rig.store(event("p", {"systolic": 120, "diastolic": 80, "pulse": 60}, "blood_pressure"))
    until_idle(rig)
    rig.store(
        event("a", {"bpm": 70}, version=1),
        event("b", {"bpm": 71}, version=1, start_us=NOW_US + 5_000_000),
        event("c", op=Op.DELETE),
        event("p", {"systolic": 121, "diastolic": 81}, "blood_pressure", version=1),
    )
    until_idle(rig)
    assert sorted(value for _, value in influxd.rows("SELECT bpm FROM heart_rate")) == [63, 70, 71]
    rows = influxd.rows("SELECT systolic, diastolic, pulse FROM blood_pressure")
    assert [row[1:] for row in rows] in ([[121, 81]], [[121, 81, None]])
    rig.close()


def test_influxdb_keeps_what_it_acknowledged_when_it_is_killed(influxd: Influxd, tmp_path: Path) -> None:
    rig = Rig(tmp_path, influxd.url, dialect="v1")
    for round_ in range(4):
        rig.store(*pulses(1000, first=round_ * 1000))
        rig.ship()
        influxd.kill()
        influxd.start()
        if round_ % 2:
            rig.restart()
    until_idle(rig)
    assert influxd.rows("SELECT count(bpm) FROM heart_rate")[0][1] == 4000
    rig.close()


def test_influxdb_refuses_a_changed_type_and_only_those_lines_are_kept_aside(influxd: Influxd, tmp_path: Path) -> None:
    influxd._post("CREATE DATABASE healthsync")
    rig = Rig(tmp_path, influxd.url, dialect="v1")
    influx = rig._connect()
    assert influx.write([f"weight,user=x kg=71i {NOW_US * 1000}"]).status == 204
    rig.store(*pulses(20), event("w", {"kg": 71.5}, "weight"), *pulses(20, first=20))
    until_idle(rig)
    assert influxd.rows("SELECT count(bpm) FROM heart_rate")[0][1] == 40
    assert [(refusal.seq, refusal.reason) for refusal in rig.ledger.refused()] == [(21, "type_conflict")]
    rig.close()


def test_a_database_that_does_not_exist_pauses(influxd: Influxd, tmp_path: Path) -> None:
    rig = Rig(tmp_path, influxd.url, dialect="v1", bucket="nowhere")
    rig.store(*pulses(2))
    assert rig.ship() is SinkPhase.PAUSED
    assert rig.shipper.status()["reason"] == "not_found"
    rig.close()
