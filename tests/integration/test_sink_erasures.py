"""Servers of sinks delete a person: all points of one pseudonym and no others; one that is away is asked again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.sinks.shipper import SinkPhase
from tests.support.influx_double import InfluxDouble, Reply
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.servers import Influxd, VictoriaMetrics
from tests.support.sink import Rig, event, pulses


def filled(rig: Rig) -> None:
    """Two people, several measurements."""
    for user in ("alice", "bob"):
        rig.store(*pulses(3), event("w", {"kg": 71.25}, "weight"), user=user)
    assert rig.later(100) is SinkPhase.IDLE


def test_influxdb_2_deletes_one_person_and_is_asked_until_it_has(rig: Rig, server: InfluxDouble) -> None:
    filled(rig)
    rig.ledger.ask_erasure("s-alice")
    server.script = [Reply(503), Reply(500, "{}"), Reply(401, "{}")]
    for _ in range(3):
        rig.later(50_000)
        assert list(rig.ledger.erasing()) == ["s-alice"], "pending"
        assert rig.shipper.status()["erasures_owed"] == 1
        rig.shipper.wake(rig.config)
    rig.later(50_000)
    assert (rig.ledger.erasing(), rig.shipper.status()["erasures_owed"]) == ({}, 0)
    assert {dict(tags)["user"] for _, tags, _ in server.points} == {"s-bob"}
    assert len(server.points) == 4


def test_influxdb_3_deletes_nothing_and_that_is_told(rigs: Callable[..., Rig], server: InfluxDouble) -> None:
    server.version = "3.6.0"
    rig = rigs(dialect="v3")
    filled(rig)
    rig.ledger.ask_erasure("s-alice")
    rig.later(100)
    assert rig.ledger.erasing() == {"s-alice": "this server deletes nothing: drop its database"}


@pytest.mark.real_server
def test_influxdb_1_deletes_one_person_and_is_asked_when_it_is_back(tmp_path: Path) -> None:
    with Influxd(tmp_path / "influxd") as server:
        rig = Rig(tmp_path, server.url, dialect="v1", deletes="delete")
        filled(rig)
        server.kill()
        rig.ledger.ask_erasure("s-alice")
        assert rig.later(10) is SinkPhase.WAITING
        assert list(rig.ledger.erasing()) == ["s-alice"]
        server.start()
        rig.later(1_000)
        rig.later(1_000)
        assert rig.ledger.erasing() == {}
        for measurement in ("heart_rate", "weight"):
            rows = server.rows(f'SHOW TAG VALUES FROM {measurement} WITH KEY = "user"')
            assert rows == [["user", "s-bob"]]
        assert server.rows("SELECT count(bpm) FROM heart_rate")[0][1] == 3
        rig.close()


@pytest.mark.real_server
def test_victoria_metrics_deletes_one_person_and_is_asked_when_it_is_back(tmp_path: Path) -> None:
    with VictoriaMetrics(tmp_path / "victoria") as server:
        rig = Rig(tmp_path, server.url, dialect="victoria", deletes="mark")
        filled(rig)
        wait_until(lambda: len(server.samples("heart_rate_bpm")) == 6, "both can be read")
        assert server.process is not None
        server.process.terminate()  # killed, it would lose what it has in memory
        server.process.wait(PATIENCE_S)
        rig.ledger.ask_erasure("s-alice")
        assert rig.later(10) is SinkPhase.WAITING
        assert list(rig.ledger.erasing()) == ["s-alice"]
        server.start()
        rig.later(1_000)
        rig.later(1_000)
        assert rig.ledger.erasing() == {}
        for name, left in (("heart_rate_bpm", 3), ("weight_kg", 1)):
            found = server.samples(name)
            assert ({subject for subject, _ in found}, len(found)) == ({"s-bob"}, left)
        rig.close()
