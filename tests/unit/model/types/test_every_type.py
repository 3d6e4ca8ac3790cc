"""Every type of the catalogue: what it takes, what at its bounds, what it refuses; and nothing is lost on the way."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example as hypothesis_example
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE, EventType
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.event_schema import canonical_schema, example_event
from healthsync_mqtt.model.event_type import Sensitivity, TimeKind
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record, canonical_dict
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.storage.memory import MemoryEventLog, MemoryLogReader
from healthsync_mqtt.storage.port import Item
from tests.support.line_protocol import parse
from tests.support.type_values import Bounded, event_of, numbers, values

NOW_US = 1_795_420_800_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")

every_type = pytest.mark.parametrize("of", CATALOGUE.values(), ids=lambda of: of.name)

FIFTEEN = {
    "steps": "step step_count", "distance": "", "floors": "floors_climbed flights_climbed",
    "energy_active": "active_energy active_energy_burned active_calories", "heart_rate": "hr heartrate",
    "resting_heart_rate": "rhr resting_hr", "hrv_rmssd": "rmssd", "spo2": "oxygen_saturation blood_oxygen",
    "respiratory_rate": "respiration_rate", "body_temperature": "body_temp", "weight": "body_weight body_mass",
    "glucose": "blood_glucose", "blood_pressure": "bp", "sleep": "sleep_session", "food": "nutrition meal",
}  # fmt: skip


def read(event: dict[str, Any]) -> Decoded:
    return decode(json.dumps(event).encode(), ORIGIN, NOW_US)


def example(of: EventType, value: Any) -> dict[str, Any]:
    return example_event(of) | {"value": value}


def refusal(event: dict[str, Any]) -> tuple[str, str | None]:
    decoded = read(event)
    assert decoded.events == []
    return decoded.rejections[0].reason.value, decoded.rejections[0].field


class Everyone:
    adopted: tuple[int, ...] = (0, 0)

    def admit(self, _source: object) -> bool:
        return True


MAPPER = Mapper(lambda _user: "5e" * 12, Everyone())


@every_type
def test_its_example_is_taken_and_charted(of: EventType) -> None:
    (event,) = read(example_event(of)).events
    assert event.type == of.name
    record = Record(1, "alice", "watch", None, "e", of.name, event.start_us, event.end_us, NOW_US, 0, 0, event.body, 1)
    points = parse("\n".join(line.text for line in MAPPER.lines(record)))
    assert {point.measurement for point in points} <= {of.name, *of.spread.parts}


#: Of two numbers beside each other the first is not above the second.
IN_ORDER = (("diastolic", "systolic"), ("low", "high"))


def bounded(of: EventType) -> Iterator[tuple[dict[str, Any], Bounded]]:
    """Each number of each shape that is worth trying, and a value of the shape to put it in."""
    for mark, form in of.forms.items():
        usual = dict(of.example) if mark in of.example else {}
        for number in numbers(form.type):
            # What may be said beside an amount in another unit is the same as beside one in its own.
            if mark in {*usual, number.path[0]}:
                yield usual, number


def with_room(usual: dict[str, Any], number: Bounded) -> dict[str, Any]:
    """The value in which this number may be at its bounds: another one that it must not pass is out of its way."""
    beside = {each.path: each for each in numbers(number.described)}
    for less, more in IN_ORDER:
        if number.path[-1] == less:
            other = beside[*number.path[:-1], more]
            usual = other.put(usual, other.high)
        elif number.path[-1] == more:
            other = beside[*number.path[:-1], less]
            usual = other.put(usual, other.low)
    return usual


def event_at(of: EventType, value: dict[str, Any], number: Bounded) -> dict[str, Any]:
    """An example with this value; long ago where it has seconds that may be long after its start."""
    if not number.seconds:
        return example(of, value)
    start_us = NOW_US - 10 * 86_400_000_000
    end = {} if of.max_span_us is None else {"end_time": iso(start_us + of.max_span_us)}
    return example(of, value) | {"start_time": iso(start_us)} | end


@every_type
def test_numbers_are_taken_up_to_their_bounds_and_refused_beyond(of: EventType) -> None:
    for usual, number in bounded(of):
        room = with_room(usual, number)
        highest = number.high
        if number.seconds and of.max_span_us is not None:
            highest = min(highest, of.max_span_us / 1_000_000)  # no longer than the session itself may be
        for bound, outside in ((number.low, number.low - 1), (highest, number.high + 1)):
            for said in {repr(bound): bound, repr(int(bound)): int(bound) if bound == int(bound) else bound}.values():
                taken = read(event_at(of, number.put(room, said), number))
                assert (len(taken.events), taken.rejections) == (1, []), (number.place, said)
            refused = refusal(event_at(of, number.put(room, outside), number))
            assert refused == ("out_of_range", f"value.{number.place}")


@every_type
def test_every_number_that_the_catalogue_names_is_tried_at_its_bounds(of: EventType) -> None:
    """A row has no names: there its bounds tell which number it is."""
    named, in_rows = set(), set()
    for _, number in bounded(of):
        last = next(step for step in reversed(number.path) if isinstance(step, str))
        in_row = len(number.path) > 2 and isinstance(number.path[-1], int) and isinstance(number.path[-2], int)
        if in_row:
            in_rows.add((number.low, number.high))
        else:
            named.add((last, number.low, number.high))
    for each in of.quantities:
        assert (each.field, each.low, each.high) in named or (each.low, each.high) in in_rows, each.field


def test_numbers_are_found_wherever_they_are() -> None:
    """In lists of numbers, rows, and parts of sessions."""
    found = {(name, number.place) for name, of in CATALOGUE.items() for _, number in bounded(of)}
    assert found >= {
        ("ecg", "microvolts[0]"), ("workout_route", "places[0][1]"), ("workout_route", "places[0][3]"),
        ("food", "items[0].grams"), ("food", "items[0].iron_mg"), ("workout", "laps[0].distance_m"),
        ("workout", "splits[0].steps"), ("workout", "zones[0].seconds"), ("heart_rate", "samples[0][0]"),
        ("heart_rate", "samples[0][1]"), ("sleep", "scores[0].points"), ("blood_pressure", "systolic"),
    }  # fmt: skip


@every_type
def test_what_is_missing_unknown_or_of_another_kind_is_refused_by_its_place(of: EventType) -> None:
    for mark, form in of.forms.items():
        fields = {each.encode_name: each for each in msgspec.structs.fields(form.type)}
        whole = dict(of.example) if mark in of.example else {}
        assert refusal(example(of, whole | {mark: None, "x": 1}))[0] in {"unknown_field", "wrong_type"}
        for name, field in fields.items():
            if field.required and mark in of.example:
                rest = {key: part for key, part in whole.items() if key != name}
                assert refusal(example(of, rest)) == ("missing_field", f"value.{name}")
        if mark in of.example:
            assert refusal(example(of, whole | {"colour": 1})) == ("unknown_field", "value.colour")
            for name in whole:
                assert refusal(example(of, whole | {name: {"no": 1}})) == ("wrong_type", f"value.{name}")


@every_type
def test_a_word_that_is_none_of_its_words_is_refused(of: EventType) -> None:
    for name, part in of.example.items():
        if isinstance(part, str) and name in of.spread.texts:
            assert refusal(example(of, dict(of.example) | {name: "purple"})) == ("wrong_type", f"value.{name}")


@every_type
def test_a_type_that_lasts_has_an_end_and_is_no_longer_than_it_may(of: EventType) -> None:
    event = event_of(of, dict(of.example))
    if of.max_span_us is None:
        assert read(event | {"end_time": None}).rejections == []
        return
    assert of.kind is TimeKind.SESSION
    assert refusal(event | {"end_time": None}) == ("missing_field", "end_time")
    assert refusal(event | {"start_time": "1990-01-01T00:00:00Z"}) == ("bad_interval", "end_time")


def test_the_fifteen_types_of_the_first_version_are_there_with_their_names() -> None:
    for name, aliases in FIFTEEN.items():
        assert set(aliases.split()) <= set(CATALOGUE[name].aliases)


def test_what_is_private_has_its_class() -> None:
    private = {of.name: of.sensitivity for of in CATALOGUE.values() if of.sensitivity is not Sensitivity.GENERAL}
    assert set(private.values()) == {Sensitivity.REPRODUCTIVE, Sensitivity.MENTAL, Sensitivity.LOCATION}
    assert (
        private["menstruation"] is private["ovulation_test"] is private["sexual_activity"] is Sensitivity.REPRODUCTIVE
    )
    assert private["state_of_mind"] is private["mindfulness"] is Sensitivity.MENTAL
    assert private["workout_route"] is Sensitivity.LOCATION
    assert not private.keys() & FIFTEEN.keys()


def test_no_two_fields_of_measurements_have_one_name_in_a_flat_store() -> None:
    """VictoriaMetrics joins measurement and field by an underscore."""
    joined = [f"{of.name}_{quantity.field}" for of in CATALOGUE.values() for quantity in of.quantities]
    joined += [f"{of.name}_{text}" for of in CATALOGUE.values() for text in of.spread.texts]
    joined += [f"{of.name}_{name}" for of in CATALOGUE.values() for name in ("duration_s", "deleted")]
    assert len(joined) == len(set(joined))


@st.composite
def events(draw: st.DrawFn, of: EventType) -> dict[str, Any]:
    form = draw(st.sampled_from(list(of.forms.values())))
    return event_of(of, draw(values(form)), type=draw(st.sampled_from([of.name, *of.aliases])))


TAKEN_NO_MATTER_OF_SHAPE = {"unknown_unit", "out_of_range", "missing_field", "bad_interval"}


@every_type
def test_what_is_taken_is_the_same_in_json_the_log_the_canonical_topic_and_line_protocol(of: EventType) -> None:
    taken = 0
    published = Draft202012Validator(canonical_schema(of))

    @settings(max_examples=8, deadline=None)
    @given(events(of))
    @hypothesis_example(example_event(of))
    def goes_round(sent: dict[str, Any]) -> None:
        nonlocal taken
        decoded = read(sent)
        for rejection in decoded.rejections:
            assert rejection.reason.value in TAKEN_NO_MATTER_OF_SHAPE, rejection
        for event in decoded.events:
            taken += 1
            log = MemoryEventLog()
            log.stage([Item(ORIGIN, event)], [], NOW_US)
            log.commit()
            (record,) = MemoryLogReader(log).read(0, 10)
            canonical = canonical_dict(record)
            published.validate(canonical)
            again = {key: canonical[key] for key in ("id", "type", "start_time", "end_time", "value")}
            (second,) = read(again).events
            assert (second.type, second.start_us, second.end_us) == (event.type, event.start_us, event.end_us)
            assert json.loads(second.body)["value"] == json.loads(event.body)["value"]
            lines = MAPPER.lines(record)
            points = parse("\n".join(line.text for line in lines))
            assert len(points) == len(lines) >= 1
            assert {point.measurement for point in points} <= {event.type, *CATALOGUE[event.type].spread.parts}

    goes_round()
    assert taken > 0, "its own example was not taken"
