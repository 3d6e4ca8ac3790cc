"""Random histories: what the file comes to, in any order of arrival, is what the slow rules say."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.memory import MemoryEventLog, MemoryLogReader
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.summaries.file import SummaryFile
from tests.unit.summaries.reference import DAY_MINUTES, MINUTE_US, figures_of

FIRST = 20_779  # 2026-11-22
NOW_US = (FIRST + 12) * 86_400_000_000
HISTORIES = int(os.environ.get("HEALTHSYNC_HISTORIES", "120"))
DEVICES = {"watch": "watch", "phone": "phone", "scale": None, "ring": "ring"}
FIELDS = {
    "steps": "steps", "hydration": "ml", "caffeine": "mg", "heart_rate": "bpm", "weight": "kg", "daily_steps": "steps",
    "sleep": None,
}  # fmt: skip
LASTING = {"steps", "hydration", "sleep"}
BASE = FIRST * DAY_MINUTES

minutes = st.one_of(
    st.integers(0, 3 * DAY_MINUTES),
    st.sampled_from([0, 60, 120, 180]).flatmap(
        lambda near: st.integers(DAY_MINUTES - near - 3, DAY_MINUTES - near + 3)
    ),
)


@st.composite
def event(draw: st.DrawFn) -> dict[str, Any]:
    type_ = draw(st.sampled_from(sorted(FIELDS)))
    start = BASE + draw(minutes)
    end = start + draw(st.one_of(st.integers(0, 90), st.just(0), st.integers(0, 900))) if type_ in LASTING else start
    name = draw(st.sampled_from(sorted(DEVICES)))
    version = draw(st.integers(0, 2))
    found: dict[str, Any] = {
        "id": f"e{draw(st.integers(0, 30))}", "type": type_, "start_time": iso(start * MINUTE_US), "version": version,
        "device_id": name, "minutes": (start, end),
    }  # fmt: skip
    if type_ in LASTING:
        found["end_time"] = iso(end * MINUTE_US)
    if draw(st.integers(0, 6)) == 0 and version:
        return found | {"op": "delete"}
    field = FIELDS[type_]
    number = draw(st.integers(40, 120))
    if field is None:
        found["value"] = {}
    elif type_ == "heart_rate" and draw(st.booleans()):
        at = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=4)))
        found["value"] = {"samples": [[minute * 60, number + minute % 7] for minute in at]}
    else:
        found["value"] = {field: number}
    if DEVICES[name]:
        found["device"] = {"type": DEVICES[name]}
    if draw(st.booleans()):
        found["source"] = {"app": draw(st.sampled_from(["a", "b"]))}
    offset = draw(st.sampled_from([None, 0, 3600, 7200, -18_000, 50_400]))
    return found if offset is None else found | {"utc_offset": offset}


def latest(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each id what has the highest rank, the first of its rank; without what was deleted."""
    held: dict[str, dict[str, Any]] = {}
    for each in events:
        before = held.get(each["id"])
        if before is None or order(each) > order(before):
            held[each["id"]] = each
    return [each for each in held.values() if "op" not in each]


def order(each: dict[str, Any]) -> int:
    return each["version"] * 2 + ("op" in each)


def stored(log: MemoryEventLog, each: dict[str, Any]) -> None:
    origin = Origin("alice", each["device_id"], None, f"users/alice/devices/{each['device_id']}/events")
    sent = {key: said for key, said in each.items() if key not in {"device_id", "minutes"}}
    decoded = decode(json.dumps(sent).encode(), origin, NOW_US)
    assert not decoded.rejections, decoded.rejections
    log.stage([Item(origin, decoded.events[0])], [], NOW_US)
    log.commit()


def read_on(file: SummaryFile, log: MemoryEventLog, size: int) -> None:
    reader = MemoryLogReader(log)
    if file.epoch != reader.epoch:
        file.begin_anew(reader.epoch)
    while file.seq < reader.head():
        found = reader.stretch(file.seq, size, look=size * 10)
        older = reader.superseded_by(found.rows[0].seq, found.rows[-1].seq) if found.rows else {}
        file.take(found.through, found.rows, older)


def worked_out(file: SummaryFile) -> dict[tuple[int, str], dict[str, Any]]:
    while file.waiting:
        file.work_out(7, lambda _user, _type: 0)
    days = file.days("alice", FIRST - 5, FIRST + 15)
    return {(day, name): found.figures for day, types in days.items() for name, found in types.items()}


def comparable(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: pytest.approx(said, abs=1e-3) if isinstance(said, float) else said for key, said in figures.items()}


def expected(events: list[dict[str, Any]], preferred: tuple[str, ...]) -> dict[tuple[int, str], dict[str, Any]]:
    found = {}
    for name in FIELDS:
        own = [each for each in latest(events) if each["type"] == name]
        for day in range(FIRST - 3, FIRST + 10) if own else ():
            said = figures_of(name, day, own, preferred)
            if said is not None:
                found[day, name] = said
    return found


def same(found: dict, wanted: dict) -> None:
    assert found.keys() == wanted.keys()
    for key, figures in wanted.items():
        got = found[key] | {"sources": set(found[key]["sources"])}
        assert got.keys() == figures.keys(), key
        for name, said in figures.items():
            if isinstance(said, float):
                whole = name == "steps"  # people are shown whole steps
                assert abs(got[name] - said) <= (0.5 + 1e-6 if whole else 1e-5), (key, name, got[name], said)
            else:
                assert got[name] == said, (key, name)


@settings(max_examples=HISTORIES, deadline=None)
@given(
    st.lists(event(), min_size=1, max_size=25),
    st.lists(st.sampled_from(["phone", "watch", "scale/a", "ring/b", "phone/a"]), max_size=3, unique=True),
    st.integers(1, 9),
)
def test_any_order_of_arrival_comes_to_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, events: list, preferred: list, size: int
) -> None:
    path: Path = tmp_path_factory.mktemp("summaries") / "summaries.db"
    file = SummaryFile.open(path)
    try:
        log = MemoryEventLog()
        file.prefer("alice", preferred)
        half = len(events) // 2
        for each in events[:half]:
            stored(log, each)
        read_on(file, log, size)
        same(worked_out(file), expected(events[:half], tuple(preferred)))
        for each in events[half:]:
            stored(log, each)
        read_on(file, log, size)
        found = worked_out(file)
        same(found, expected(events, tuple(preferred)))
    finally:
        file.close()
    again = SummaryFile.open(path.with_name("again.db"))
    try:
        log = MemoryEventLog()
        for each in reversed(latest(events)):
            stored(log, each)
        read_on(again, log, 1000)
        again.prefer("alice", preferred)
        assert worked_out(again) == found, (
            "the same events in another order, all at once, and the order of sources last"
        )
    finally:
        again.close()
