"""How sinks are told: the service and the server of the log are asked once, however many sinks there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.descriptions import outlets
from healthsync_mqtt.errors import NotFoundError, UnavailableError
from healthsync_mqtt.sinks.config import InfluxConfig, Sinks
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog

NAMES = ["third", "first", "second"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three sinks, one of them paused, and a log."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    sinks = Sinks(data)
    for name in NAMES:
        sinks.put(InfluxConfig(name=name, url="http://127.0.0.1:9", paused=name == "first"))
    SqliteEventLog.open(data / "events.db").close()
    return data


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of others, in its order; who is asked for sinks is away, and would be waited for."""
    found: list[str] = []

    def counted(name: str, known: Callable[..., Any]) -> None:
        def ask(*words: Any, **more: Any) -> Any:
            found.append(name)
            return known(*words, **more)

        monkeypatch.setattr(outlets, name, ask)

    def away(*_: Any, **__: Any) -> None:
        raise UnavailableError("it does not answer", hint="wait")

    counted("call", away)
    counted("open_reader", open_reader)
    counted("_elsewhere", outlets._elsewhere)
    return found


def test_each_is_asked_once_for_all_sinks_and_their_order_is_kept(data: Path, asked: list[str]) -> None:
    shown = outlets.sink_statuses(data, Sinks(data), NAMES)
    assert asked == ["call", "open_reader", "_elsewhere"]
    assert [(one["sink"], one["state"], one["lag"]) for one in shown] == [
        ("third", "not started", 0), ("first", "paused", 0), ("second", "not started", 0),
    ]  # fmt: skip
    assert {one["where"] for one in shown} == {"http://127.0.0.1:9"}


def test_what_the_service_says_of_each_is_told_of_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [{"sink": name, "state": "shipping", "cursor": number} for number, name in enumerate(NAMES)]
    monkeypatch.setattr(outlets, "call", lambda *_: {"sinks": said})
    shown = outlets.sink_statuses(data, Sinks(data), sorted(NAMES))
    assert [(one["sink"], one["state"]) for one in shown] == [
        ("first", "paused"), ("second", "shipping"), ("third", "shipping"),
    ]  # fmt: skip


def test_of_none_nobody_is_asked(data: Path, asked: list[str]) -> None:
    assert outlets.sink_statuses(data, Sinks(data), []) == []
    with pytest.raises(NotFoundError):
        outlets.sink_status(data, Sinks(data), "fourth")
    assert asked == []
