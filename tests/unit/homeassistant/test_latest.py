"""The fold: the newest value of each user and type, whatever order its events came in."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.homeassistant.latest import LatestValue, LatestValues, ValueKey, newest, value_of
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.record import Record

RATE = ValueKey("alice", "heart_rate")
WEIGHT = ValueKey("alice", "weight")
WANTED = {RATE, WEIGHT}


def row(
    seq: int,
    event_id: str,
    at_s: float,
    value: dict[str, Any] | None = None,
    *,
    type_name: str = "heart_rate",
    user: str = "alice",
    end_s: float | None = None,
    version: int = 0,
) -> Record:
    op = Op.UPSERT if value is not None else Op.DELETE
    body = b"{}" if value is None else json.dumps({"value": value}).encode()
    end_us = None if end_s is None else int(end_s * 1e6)
    return Record(
        seq, user, "watch", None, event_id, type_name, int(at_s * 1e6), end_us, seq, version, op, body, seq
    )  # fmt: skip


def folded(*rows: Record, kept: Iterable[ValueKey] = WANTED) -> LatestValues:
    values = LatestValues(WANTED.__contains__, dict.fromkeys(kept))
    for each in rows:
        values.take(each)
    return values


def said(values: LatestValues, key: ValueKey = RATE) -> Any:
    value = values.values.get(key)
    return None if value is None else json.loads(value.state)[{"heart_rate": "bpm", "weight": "kg"}[key.type]]


def test_the_newest_stays_whatever_comes_late() -> None:
    values = folded(row(1, "b", 20, {"bpm": 62}), row(2, "a", 10, {"bpm": 61}))
    assert said(values) == 62
    assert values.changed == {RATE}
    values.changed.clear()
    values.take(row(3, "c", 15, {"bpm": 1}))
    assert not values.changed
    assert not values.lost


def test_of_one_time_the_greater_id_counts_in_any_order() -> None:
    one, other = row(1, "a", 10, {"bpm": 61}), row(2, "b", 10, {"bpm": 62})
    assert said(folded(one, other)) == said(folded(other, one)) == 62


def test_a_correction_of_the_newest_is_the_newest_and_costs_no_search() -> None:
    values = folded(row(1, "a", 10, {"bpm": 61}), row(2, "a", 10, {"bpm": 99}, version=1))
    assert (said(values), values.lost) == (99, set())


def test_what_was_deleted_moved_or_became_another_type_is_searched_for() -> None:
    first = row(1, "a", 10, {"bpm": 61})
    deleted = folded(first, row(2, "a", 0))
    moved = folded(first, row(2, "a", 5, {"bpm": 70}, version=1))
    other = folded(first, row(2, "a", 10, {"kg": 70}, type_name="weight", version=1))
    assert said(deleted) is None
    assert said(other) is None
    assert (said(other, WEIGHT), other.lost) == (70, {RATE})
    for values in (deleted, moved, other):
        assert values.lost == {RATE}
        assert RATE not in values.complete
    deleted.found(RATE, value_of(row(0, "z", 4, {"bpm": 44})))
    assert (said(deleted), deleted.lost) == (44, set())
    moved.found(RATE, value_of(row(0, "z", 4, {"bpm": 44})))
    assert said(moved) == 70


def test_the_deletion_of_any_other_event_changes_nothing() -> None:
    values = folded(row(1, "a", 10, {"bpm": 61}), row(2, "b", 20, {"bpm": 62}))
    values.changed.clear()
    values.take(row(3, "a", 0))
    values.take(row(4, "b", 0, user="bob"))
    assert (said(values), values.changed, values.lost) == (62, set(), set())


def test_nobody_elses_and_nothing_unwanted_is_kept() -> None:
    values = folded(
        row(1, "a", 10, {"bpm": 61}, user="bob"), row(2, "b", 10, {"kg_m2": 21}, type_name="bmi"), row(3, "c", 1)
    )
    assert values.values == {}
    values.drop(RATE)
    assert RATE not in values.complete


def test_a_purged_value_is_searched_for() -> None:
    values = folded(row(1, "a", 10, {"bpm": 61}))
    values.purged(RATE)
    assert (said(values), values.lost) == (None, {RATE})
    assert value_of(row(1, "a", 10, {"bpm": 61})._replace(body=b"")) is None


def test_of_a_series_the_last_sample_counts_and_of_an_interval_its_end() -> None:
    series = value_of(row(1, "a", 10, {"samples": [[0, 60], [30, 66]]}))
    assert series is not None
    assert (series.at_us, json.loads(series.state)["bpm"]) == (40_000_000, 66)
    assert json.loads(series.state)["start_time"] == "1970-01-01T00:00:40.000000Z"
    steps = value_of(row(1, "a", 10, {"steps": 412}, type_name="steps", end_s=910))
    assert steps is not None
    assert steps.at_us == 910_000_000
    assert json.loads(steps.state) == {
        "steps": 412,
        "start_time": "1970-01-01T00:00:10.000000Z",
        "end_time": "1970-01-01T00:15:10.000000Z",
        "device_id": "watch",
    }


def test_a_night_is_said_in_minutes() -> None:
    night = {"stages": [{"stage": "deep", "start_s": 0, "end_s": 3600}]}
    rows = row(1, "n", 0, {"deep_s": 3600, "light_s": 7200, "stages": []}, type_name="sleep", end_s=28_800)
    value = value_of(rows) or value_of(row(1, "n", 0, night, type_name="sleep", end_s=28_800))
    assert value is not None
    state = json.loads(value.state)
    assert (state["duration_min"], state["deep_min"]) == (480, 60)


KINDS = st.sampled_from(["a", "b", "c"])


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Rows as a log has them: of one id, each has a higher version than the one before."""
    versions: dict[str, int] = {}
    rows = []
    for seq in range(1, draw(st.integers(1, 12)) + 1):
        event_id = draw(KINDS)
        versions[event_id] = versions.get(event_id, -1) + 1
        kind, at_s = draw(st.sampled_from(["rate", "weight", "delete"])), draw(st.integers(0, 3))
        value = {"rate": {"bpm": seq}, "weight": {"kg": seq}, "delete": None}[kind]
        name = "weight" if kind == "weight" else "heart_rate"
        rows.append(row(seq, event_id, at_s, value, type_name=name, version=versions[event_id]))
    return rows


def live(rows: list[Record], key: ValueKey) -> LatestValue | None:
    """The newest by definition: of what nothing supersedes, what happened last."""
    last = {each.id: each for each in rows}
    return newest(each for each in last.values() if each.type == key.type)


@given(histories(), st.integers(0, 12))
def test_the_fold_and_its_searches_come_to_the_newest(rows: list[Record], searches: int) -> None:
    """A search may come at any time, or not before the end."""
    values = folded()
    for number, each in enumerate(rows, 1):
        values.take(each)
        if number == searches:
            for key in set(values.lost):
                values.found(key, live(rows[:number], key))
    for key in set(values.lost):
        values.found(key, live(rows, key))
    for key in WANTED:
        assert values.values.get(key) == live(rows, key)
    assert values.complete == WANTED


@given(histories())
def test_what_was_kept_goes_on_as_if_nothing_had_happened(rows: list[Record]) -> None:
    whole, part = folded(*rows), folded(*rows[:5])
    again = LatestValues(WANTED.__contains__, {key: part.values.get(key) for key in part.complete})
    for key in WANTED:
        again.want(key)
    for each in rows[5:]:
        again.take(each)
    for values in (whole, again):
        for key in set(values.lost):
            values.found(key, live(rows, key))
    assert whole.values == again.values
