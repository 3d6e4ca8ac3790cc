"""A backfill beside the service: what is deleted or moved while it runs, in any of its passes, is not brought back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_sink_reconcile import Installation

from healthsync_mqtt.model.event import Op
from tests.support.influx_double import InfluxDouble, Reply, Request
from tests.support.sink import NOW_US, event, pulses


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "data")
    yield installation
    installation.close()


def test_what_changes_while_a_pass_is_under_way_stays_as_it_is(home: Installation) -> None:
    with InfluxDouble() as double:
        home.add(double.url)
        home.store(*pulses(4))
        home.ship()
        moved = event("e1", {"bpm": 99}, start_us=NOW_US + 100_000_000, version=1)
        changes = [
            [event("e0", op=Op.DELETE), moved],  # while all is sent again
            [event("e1", version=2, op=Op.DELETE)],  # while what came meanwhile is applied
            [event("e2", op=Op.DELETE)],
        ]

        def meanwhile(request: Request) -> Reply:
            """The service has shipped what changed before the server gets to this request."""
            if request.path in {"/api/v2/write", "/api/v2/delete"} and changes:
                double.always = None
                home.store(*changes.pop(0))
                home.ship()
                double.always = meanwhile
            return double.real(request)

        double.always = meanwhile
        home.run("backfill", "main")
        assert not changes
        assert double.values("heart_rate", "bpm") == [63.0]
        assert home.differing() == []
