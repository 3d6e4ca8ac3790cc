"""What comes while reconcile is about to erase: a phone sends again what a restored log has lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sink_reconcile import Installation, pseudonym

from healthsync_mqtt.sinks.influx.point_time import slot, time_ns
from healthsync_mqtt.sinks.influx.reconciliation import Reconciliation
from tests.support.influx_double import InfluxDouble, Reply, Request
from tests.support.sink import pulses

LOST = 9
BPM = 69.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "data")
    yield installation
    installation.close()


@pytest.fixture
def double(home: Installation) -> Iterator[InfluxDouble]:
    """A bucket that has the points of the log, and one of an event that the log has lost."""
    with InfluxDouble("1.6.7") as double:
        home.add(double.url, "--dialect", "v1")
        home.store(*pulses(3))
        home.ship()
        (event,) = pulses(1, first=LOST)
        at_ns = time_ns(event.start_us, slot(event.id))
        double.store([f"heart_rate,device=watch,user={pseudonym(home, 'alice')} bpm={BPM} {at_ns}"])
        yield double


def again(home: Installation) -> None:
    """The phone comes, and the sink has its event at once."""
    home.store(*pulses(1, first=LOST))
    home.ship()


def deletions(double: InfluxDouble) -> list[Request]:
    return [request for request in double.requests if 'DELETE FROM "heart_rate"' in request.query.get("q", "")]


def test_what_comes_between_the_looks_is_not_erased_for_a_moment(
    home: Installation, double: InfluxDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    compare = Reconciliation.compare

    def look(*words: Any) -> Any:
        found = list(compare(*words))
        looks.append(len(found))
        if len(looks) == 1:
            again(home)
        return iter(found)

    monkeypatch.setattr(Reconciliation, "compare", look)
    assert home.differing() == [("heart_rate", 0, 0, 1, True)]
    assert deletions(double) == []
    assert double.values("heart_rate", "bpm") == [60.0, 61.0, 62.0, BPM]


def test_what_comes_after_the_last_look_is_written_again(home: Installation, double: InfluxDouble) -> None:
    came: list[Request] = []

    def meanwhile(request: Request) -> Reply:
        if 'DELETE FROM "heart_rate"' in request.query.get("q", "") and not came:
            came.append(request)
            again(home)
        return double.real(request)

    double.always = meanwhile
    assert home.differing() == [("heart_rate", 0, 0, 1, True)]
    assert len(deletions(double)) == 1
    assert double.values("heart_rate", "bpm") == [60.0, 61.0, 62.0, BPM]
    assert home.differing() == []


def test_what_nobody_sends_again_is_erased(home: Installation, double: InfluxDouble) -> None:
    assert home.differing() == [("heart_rate", 0, 0, 1, True)]
    assert double.values("heart_rate", "bpm") == [60.0, 61.0, 62.0]
