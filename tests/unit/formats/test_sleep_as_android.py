"""Sleep as Android: nights made of events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared, Format, Told, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import NOW_US, Shelf, app_message, recorded
from tests.support.foreign_json import JSON

EVENTS = [
    "sleep_tracking_started", "sleep_tracking_stopped", "light_sleep", "deep_sleep", "rem", "awake", "not_awake",
    "sleep_tracking_paused", "sleep_tracking_resumed", "alarm_alert_start", "telepathy",
]  # fmt: skip


class TestContract(FormatContract):
    """Of the end of a night, and of the beginning of a second one without an end."""

    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["sleep_as_android"]

    @pytest.fixture
    def told(self) -> Told:
        began = folded(FORMATS["sleep_as_android"], sent("sleep_tracking_started", -480)).state
        return Told(folded(FORMATS["sleep_as_android"], sent("deep_sleep", -400), began).state)

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {b'{"event": "sleep_tracking_stopped"}': 1}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {b'{"event": "sleep_tracking_started"}': ["sleep_tracking_stopped"]}


def sent(event: str, minute: float, **said: Any) -> AppMessage:
    return app_message({"event": event, "value1": "1777782600000"}, at_us=NOW_US + round(minute * 60_000_000), **said)


def stages(shelf: Shelf) -> list[list[tuple[str, str, str]]]:
    return [
        [(each["stage"], each["start_time"][11:19], each["end_time"][11:19]) for each in night.value.get("stages", [])]
        for night in shelf.told
    ]


@given(st.lists(st.tuples(st.sampled_from(EVENTS) | JSON, st.integers(0, 600), st.booleans()), max_size=12))
def test_nothing_raises_and_the_same_is_the_same(events: list[tuple[Any, int, bool]]) -> None:
    state, minute = b"", 0
    for event, waits, retained in events:
        minute += waits
        message = app_message({"event": event}, at_us=NOW_US + minute * 60_000_000, retained=retained)
        try:
            first = folded(FORMATS["sleep_as_android"], message, state)
        except RefusedError:
            continue
        assert first == folded(FORMATS["sleep_as_android"], message, state)
        state = first.state


def test_what_is_remembered_of_a_night_is_bounded() -> None:
    state = folded(FORMATS["sleep_as_android"], sent("sleep_tracking_started", 0)).state
    for each in range(4000):
        event = "light_sleep" if each % 2 else "deep_sleep"
        state = folded(FORMATS["sleep_as_android"], sent(event, each / 10), state).state
    assert len(state) < 65_536


def test_each_stage_lasts_until_the_next() -> None:
    names = [
        "sleep_tracking_started",
        "light_sleep",
        "light_sleep",
        "alarm_alert_start",
        "rem",
        "sleep_tracking_stopped",
    ]
    found = Shelf("sleep_as_android").take(sent(name, 10 * place) for place, name in enumerate(names))
    (night,) = found.told
    assert [each["stage"] for each in night.value["stages"]] == ["light", "rem"]
    assert found.refused == []


def test_a_night_without_stages_is_a_night() -> None:
    (night,) = (
        Shelf("sleep_as_android").take([sent("sleep_tracking_started", 0), sent("sleep_tracking_stopped", 480)]).told
    )
    assert (night.type, night.value, night.end) == ("sleep", {}, "2026-11-23T18:33:20")


def test_a_stop_without_a_start_and_a_night_of_three_days_are_none() -> None:
    found = Shelf("sleep_as_android").take([sent("sleep_tracking_stopped", 0)])
    assert (found.told, found.refused) == ([], [])
    found.take([sent("sleep_tracking_started", 1), sent("sleep_tracking_stopped", 3 * 1440)])
    assert (found.told, found.refused) == ([], [("", "bad_interval")])


# -- recordings


def of(shared_data: Path, name: str) -> Shelf:
    messages = recorded(
        shared_data / "phone" / "sleep_as_android" / name, "SleepAsAndroid", declared=Declared("Europe/Berlin")
    )
    return Shelf("sleep_as_android").take(messages)


@pytest.mark.shared_data
def test_recorded_night(shared_data: Path) -> None:
    found = of(shared_data, "night.txt")
    assert [(each.start, each.end) for each in found.told] == [("2026-05-02T21:38", "2026-05-03T04:31:05")]
    assert stages(found) == [
        [
            ("awake", "21:38:01", "21:52:00"), ("unknown", "21:52:00", "21:52:01"), ("light", "21:52:01", "23:10:00"),
            ("deep", "23:10:00", "01:00:00"), ("rem", "01:00:00", "01:30:00"), ("light", "01:30:00", "04:31:05"),
        ]
    ]  # fmt: skip
    assert found.refused == []


@pytest.mark.shared_data
def test_recorded_pause_and_end_that_never_came(shared_data: Path) -> None:
    found = of(shared_data, "paused_and_retained.txt")
    assert stages(found) == [
        [("light", "21:50:00", "01:00:00"), ("unknown", "01:00:00", "01:20:00"), ("deep", "01:20:00", "04:00:00")]
    ]
    never = of(shared_data, "never_stopped.txt")
    assert [(each.start, each.end) for each in never.told] == [("2026-05-05T21:40", "2026-05-06T04:00")]
    assert stages(never) == [[("deep", "22:00:00", "04:00:00")]]
    assert never.refused == [("sleep_tracking_stopped", "missing_field"), ("", "malformed")]
