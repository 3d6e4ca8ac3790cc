"""Numbers in other units: exact by their decimal digits, and never guessed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.units import bounds, convert, units_for

ORIGIN = Origin("alice", "watch-1", None, "users/alice/devices/watch-1/events")
NOW_US = 1_795_420_800_000_000
MEASURED = [of for of in CATALOGUE.values() if "amount" in of.forms]


@pytest.mark.parametrize(
    ("number", "unit", "own", "expected"),
    [
        (98.6, "°F", "Cel", 37.0),
        (98.6, "[degF]", "Cel", 37.0),
        (310.15, "K", "Cel", 37.0),
        (190, "lb", "kg", 86.1825503),
        (13.5, "st", "kg", 85.72895793),
        (72400, "g", "kg", 72.4),
        (26.2, "mi", "m", 42164.8128),
        (71, "in", "m", 1.8034),
        (34, "in", "cm", 86.36),
        (418.4, "kJ", "kcal", 100.0),
        (12, "fl_oz_us", "mL", 354.88235475),
        (12, "fl_oz_imp", "mL", 340.95675),
        (0.97, "fraction", "%", 97.0),
        (0.29, "1", "%", 29.0),
        (1.2, "Hz", "/min", 72.0),
        (5, "km/h", "m/s", 1.3888888888888888),
    ],
)
def test_a_number_is_what_it_is_by_definition(number, unit, own, expected) -> None:
    assert convert(number, units_for(own)[unit]) == expected


def test_what_is_in_its_unit_already_stays_what_it_was() -> None:
    assert type(convert(72, units_for("kg")["kg"])) is int
    assert type(convert(72.0, units_for("kg")["kg"])) is float


@pytest.mark.parametrize("unit", ["fl oz", "fl_oz", "oz", "cup", "pint", "ml/", ""])
def test_what_means_two_things_is_no_unit(unit) -> None:
    assert unit not in units_for("mL")


@given(st.sampled_from(MEASURED), st.data())
def test_all_that_lies_within_the_bounds_of_a_unit_lies_within_the_range(of, data) -> None:
    (quantity,) = of.quantities
    conversion = quantity.taken[data.draw(st.sampled_from(sorted(quantity.taken)))]
    low, high = bounds(quantity.low, quantity.high, conversion)
    assert low < high
    number = data.draw(st.floats(low, high))
    assert quantity.low <= convert(number, conversion, quantity.decimals) <= quantity.high
    exact = conversion.factor * Fraction(repr(high)) + conversion.offset
    assert exact <= Fraction(repr(quantity.high))
    assert float(exact) == pytest.approx(quantity.high, rel=1e-4)


def read(value: dict, type_name: str = "weight") -> tuple:
    sent = b'{"id":"a","type":"%b","start_time":"2026-11-22T06:00:00Z","value":%b}'
    decoded = decode(sent % (type_name.encode(), repr(value).replace("'", '"').encode()), ORIGIN, NOW_US)
    return decoded.events, decoded.rejections


def test_a_measured_number_is_stored_in_the_unit_of_its_type() -> None:
    ((event,), _) = read({"amount": 190, "unit": "lb"})
    assert event.body == b'{"value":{"kg":86.1825503}}'
    ((event,), _) = read({"amount": 7, "unit": "mmol/L"}, "glucose")
    assert event.body == read({"mmol_l": 7}, "glucose")[0][0].body == b'{"value":{"mg_dl":126.11}}'


@pytest.mark.parametrize(
    ("value", "reason", "field", "message"),
    [
        ({"amount": 12, "unit": "stones"}, "unknown_unit", "value.unit", "stones is no unit that a number in kg"),
        ({"amount": 12, "unit": "LB"}, "unknown_unit", "value.unit", "LB is no unit"),
        ({"amount": 2000, "unit": "lb"}, "out_of_range", "value.amount", "2000 lb is above 1433 lb"),
        ({"amount": 12}, "missing_field", "value.unit", "unit is missing"),
        ({"amount": "12", "unit": "kg"}, "wrong_type", "value.amount", "amount must be int or float, not str"),
        ({"amount": 12, "unit": "kg", "kg": 12}, "unknown_field", "value.amount", "kg and amount exclude each other"),
        ({"kg": 12, "unit": "lb"}, "unknown_field", "value.unit", "unit is no field here"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(value, reason, field, message) -> None:
    (_, (refusal,)) = read(value)
    assert (refusal.reason.value, refusal.field) == (reason, field)
    assert message in refusal.message


@pytest.mark.parametrize("of", MEASURED, ids=lambda of: of.name)
def test_every_type_takes_its_own_unit_and_refuses_another(of) -> None:
    (quantity,) = of.quantities
    ((event,), _) = read({"amount": quantity.usual, "unit": quantity.unit}, of.name)
    assert event == read({quantity.field: quantity.usual}, of.name)[0][0]
    assert read({"amount": quantity.usual, "unit": "parsec"}, of.name)[1][0].reason.value == "unknown_unit"
