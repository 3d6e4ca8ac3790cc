"""Events become points, and no input becomes anything else."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.types.sleep import STAGE_LEVELS
from healthsync_mqtt.sinks.influx.lineprotocol import UnmappableError
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.sinks.influx.point_time import slot
from healthsync_mqtt.sinks.series import PROVIDERS, RECORDINGS, SeriesSource
from tests.support.line_protocol import ParsedPoint, parse

NOW_US = 1_790_000_000_000_000
SUBJECT = "5e" * 12
TAGS = {"user", "device", "provider", "recording"}
FIELDS = {
    type_.name: {quantity.field for quantity in type_.quantities} | {"duration_s", "deleted"} | type_.spread.texts
    for type_ in CATALOGUE.values()
}
FIELDS["sleep"] |= {f"{stage}_s" for stage in STAGE_LEVELS} | {"stages"}
FIELDS["sleep_stage"] = {"stage", "level", "duration_s", "deleted"}
FIELDS["food"] |= {"meal", "items"}
FIELDS["food_item"] = FIELDS["food"]
FIELDS |= dict.fromkeys(("workout_lap", "workout_split"), FIELDS["workout"])
FIELDS["workout_zone"] = {"of", "low", "high", "seconds", "deleted"}
NUMBERS = dict.fromkeys((text for of in CATALOGUE.values() for text in of.spread.texts), str) | {"deleted": bool}


class Everyone:
    """A book with room for all."""

    adopted: tuple[int, ...] = (0, 0)

    def __init__(self, *, admits: bool = True) -> None:
        self.admits = admits
        self.asked: list[SeriesSource] = []

    def admit(self, source: SeriesSource) -> bool:
        self.asked.append(source)
        return self.admits


def mapper(*, marks: bool = False, admits: bool = True) -> Mapper:
    return Mapper(lambda _user: SUBJECT, Everyone(admits=admits), marks=marks)


def record(
    value: object,
    type_name: str = "heart_rate",
    *,
    event_id: str = "a",
    start_us: int = NOW_US,
    end_us: int | None = None,
    version: int = 0,
    source: dict | None = None,
    device: str | None = "watch",
    provider: str | None = None,
) -> Record:
    body = {"value": value} | ({"source": source} if source else {})
    raw = json.dumps(body).encode()
    return Record(1, "alice", device, provider, event_id, type_name, start_us, end_us, NOW_US, version, 0, raw, 1)


def points(of: Record, **options: bool) -> list[ParsedPoint]:
    return parse("\n".join(line.text for line in mapper(**options).lines(of)))


def test_an_integer_looking_float_stays_a_float() -> None:
    (line,) = mapper().lines(record({"bpm": 72}))
    assert line.text == f"heart_rate,device=watch,user={SUBJECT} bpm=72.0 {NOW_US * 1000 + slot('a')}"
    assert mapper().lines(record({"bpm": 72.0}))[0].fields == line.fields


def test_a_series_is_a_point_per_sample() -> None:
    got = points(record({"samples": [[0, 72], [0.29, 73.5], [1, 74]]}))
    assert [point.fields["bpm"] for point in got] == [72.0, 73.5, 74.0]
    assert [(point.time_ns - NOW_US * 1000) // 1_000_000 for point in got] == [0, 290, 1000]
    assert {point.time_ns % 1_000_000 for point in got} == {slot("a")}


def test_samples_of_one_millisecond_stay_apart() -> None:
    got = points(record({"samples": [[0, 72], [0, 73], [0.0004, 74], [0.5, 75]]}))
    assert [point.time_ns - NOW_US * 1000 - slot("a") for point in got] == [0, 1, 2, 500_000_000]


def test_two_events_of_one_millisecond_are_two_points_and_a_repetition_is_one() -> None:
    moments = {points(record({"bpm": 72}, event_id=event_id))[0].time_ns for event_id in ("a", "b", "a")}
    assert len(moments) == 2


def test_an_interval_has_its_duration() -> None:
    (got,) = points(record({"steps": 412}, "steps", end_us=NOW_US + 60_000_000))
    assert got.fields == {"steps": 412.0, "duration_s": 60.0}


def test_a_night_is_a_summary_and_its_stages() -> None:
    stages = [
        {"stage": "deep", "start_time": "2026-09-21T22:13:20Z", "end_time": "2026-09-21T23:13:20Z"},
        {"stage": "in_bed", "start_time": "2026-09-21T22:13:20Z", "end_time": "2026-09-22T00:13:20Z"},
    ]
    night, *parts = points(record({"stages": stages}, "sleep", end_us=NOW_US + 7_200_000_000))
    assert night.measurement == "sleep"
    assert night.fields == {"stages": 2.0, "duration_s": 7200.0, "deep_s": 3600.0, "in_bed_s": 7200.0}
    assert [(part.measurement, part.fields["stage"], part.fields["duration_s"]) for part in parts] == [
        ("sleep_stage", "deep", 3600.0),
        ("sleep_stage", "in_bed", 7200.0),
    ]
    assert len({part.time_ns for part in parts}) == 2


def test_a_meal_is_a_summary_and_its_items_without_names() -> None:
    items = [{"name": "Oats, rolled=yes\n", "grams": 60, "energy_kcal": 225}, {"name": "Milk", "energy_kcal": 75}]
    meal, *parts = points(record({"meal": "breakfast", "items": items}, "food"))
    assert meal.fields == {"meal": "breakfast", "items": 2.0, "energy_kcal": 300.0}
    assert [part.fields for part in parts] == [{"grams": 60.0, "energy_kcal": 225.0}, {"energy_kcal": 75.0}]


def test_tags_come_from_closed_sets_only() -> None:
    known = {"provider": "healthkit", "recording": "auto"}
    assert points(record({"bpm": 72}, source=known))[0].tags == {"user": SUBJECT, "device": "watch", **known}
    odd = {"provider": "My, App\n", "recording": "auto ", "record_id": "x", "app": "y"}
    assert points(record({"bpm": 72}, source=odd))[0].tags == {"user": SUBJECT, "device": "watch"}
    adapter = record({"bpm": 72}, device=None, provider="fitbit", source={"provider": "healthkit"})
    assert points(adapter)[0].tags == {"user": SUBJECT, "provider": "fitbit"}


@pytest.mark.parametrize(
    ("provider", "adopted", "tag"),
    [
        ("garmin_fit", (1, 0), None),
        ("garmin_fit", (0, 1), "garmin_fit"),
        ("openscale", (0, 1), None),
        ("openscale", (1, 0), "openscale"),
        ("healthkit", (1, 1), "healthkit"),
    ],
)
def test_a_provider_that_joined_later_is_no_tag_of_the_rows_before(
    provider: str, adopted: tuple[int, int], tag: str | None
) -> None:
    book = Everyone()
    book.adopted = adopted
    (line,) = Mapper(lambda _user: SUBJECT, book).lines(record({"bpm": 72}, source={"provider": provider}))
    assert parse(line.text)[0].tags.get("provider") == tag


def test_a_source_over_the_budget_shares_the_users_series() -> None:
    assert points(record({"bpm": 72}, source={"provider": "healthkit"}), admits=False)[0].tags == {"user": SUBJECT}


def test_a_later_version_says_that_it_is_not_deleted_where_deletion_is_a_mark() -> None:
    assert points(record({"bpm": 72}, version=1), marks=True)[0].fields == {"bpm": 72.0, "deleted": False}
    assert points(record({"bpm": 72}), marks=True)[0].fields == {"bpm": 72.0}


@pytest.mark.parametrize(
    "broken",
    [
        record({"bpm": "72"}),
        record({}),
        record({"bpm": 72})._replace(body=b"{}"),
        record({"bpm": 72})._replace(body=b"\xff"),
        record({"bpm": 72}, "unknown"),
        record({"bpm": 72}, start_us=10**16),
        record({"bpm": 72}, device="a b"),
        record({}, "blood_pressure"),
    ],
)
def test_what_cannot_be_a_point_is_refused(broken: Record) -> None:
    with pytest.raises(UnmappableError):
        mapper().lines(broken)


TEXTS = st.text(max_size=40) | st.sampled_from(
    ["a\nb c=1 1", 'x",y=1', "trailing\\", "a,b=c d", "\x00", "😀", "\u202ertl"]
)
SOURCES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("provider", "recording", "record_id", "app", "more"), TEXTS)
)
NUMBER = st.floats() | st.integers() | st.floats(60, 90) | TEXTS
VALUES = st.one_of(
    st.dictionaries(st.sampled_from(["bpm", "systolic", "diastolic", "mmol_l", "kg", "steps"]) | TEXTS, NUMBER),
    st.fixed_dictionaries({"bpm": st.floats(20, 300)}),
    st.fixed_dictionaries({"samples": st.lists(st.tuples(st.floats(0, 100), st.floats(20, 300)), max_size=5)}),
    st.fixed_dictionaries(
        {"meal": st.sampled_from(["lunch", "snack", "x y"]) | TEXTS},
        optional={"items": st.lists(st.fixed_dictionaries({"name": TEXTS, "grams": st.floats(0, 10)}), max_size=3)},
    ),
)
EVENTS = st.fixed_dictionaries(
    {
        "id": TEXTS,
        "type": st.sampled_from([*CATALOGUE, "hr"]),
        "start_time": st.sampled_from(["2026-09-21T22:13:20Z", "1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z"]),
        "value": VALUES,
    },
    optional={"source": SOURCES, "device": SOURCES, "version": st.integers(0, 3)},
)


@given(EVENTS, st.booleans())
def test_whatever_the_decoder_accepts_adds_no_line_field_or_series(event: dict, marks: bool) -> None:
    origin = Origin("alice", "watch", None, "users/alice/events")
    decoded = decode(json.dumps(event).encode("utf-8", "surrogatepass"), origin, NOW_US + 10**9)
    for accepted in decoded.events:
        check(
            Record(1, "alice", "watch", None, accepted.id, accepted.type, accepted.start_us, accepted.end_us, 0,
                   accepted.version, accepted.op, accepted.body, 1), marks=marks,
        )  # fmt: skip


RECORDS = st.builds(
    record, VALUES, st.sampled_from(sorted(CATALOGUE)), event_id=st.text(max_size=30), source=SOURCES, device=TEXTS,
    version=st.integers(0, 1),
)  # fmt: skip


@given(RECORDS, st.booleans())
@example(of=record({"samples": [(0.0, 20.0), (1.0, 20.0), (0.0, 20.0)]}, "body_temperature"), marks=True)
def test_whatever_stands_in_the_log_adds_no_line_field_or_series(of: Record, marks: bool) -> None:
    check(of, marks=marks)


def check(of: Record, *, marks: bool) -> None:
    try:
        lines = mapper(marks=marks).lines(of)
    except (UnmappableError, UnicodeEncodeError):
        return
    body = "\n".join(line.text for line in lines)
    got = parse(body)
    assert len(got) == len(lines) == body.count("\n") + 1
    assert len({(point.measurement, tuple(sorted(point.tags.items())), point.time_ns) for point in got}) == len(got)
    for point, line in zip(got, lines, strict=True):
        assert point.measurement in {of.type, *CATALOGUE[of.type].spread.parts}
        assert point.tags.keys() <= TAGS
        assert point.tags["user"] == SUBJECT
        assert point.tags.get("provider") in PROVIDERS | {None}
        assert point.tags.get("recording") in RECORDINGS | {None}
        assert point.fields.keys() <= FIELDS[point.measurement]
        assert point.fields.keys() == line.names
        for name, found in point.fields.items():
            assert type(found) is NUMBERS.get(name, float)
            assert not isinstance(found, float) or math.isfinite(found)


def test_what_an_older_rule_let_in_makes_no_two_points_one() -> None:
    samples = [(0.0, 20.0), (1.0, 20.0), (0.0, 20.0)]
    check(record({"samples": samples}, "body_temperature"), marks=False)
