"""What values of characteristics come to: laid out by hand by the sections of the specifications that are named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.ble.catalogue import BY_SERVICE, PROFILES
from healthsync_mqtt.ble.profile import Peripheral, UnusedValue
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.reasons import Reason, RefusedError

NOW_US = 1_795_384_800_000_000
"""2026-11-22T22:00:00Z."""
ARRIVED = "2026-11-22T22:00:00.000000Z"
TOLD = Peripheral(user="alice", address="C1:C2:C3:C4:C5:C6", declared=Declared(zone="Europe/Berlin"))
#: 2026-11-20 07:12:33, in Berlin an hour before that by UTC
AT, AT_UTC = "ea07 0b14 07 0c 21", "2026-11-20T06:12:33.000000Z"
OF = {each.name: each for each in PROFILES}


def heard(
    profile: str, *values: str, number: int | None = None, told: Peripheral = TOLD, step_us: int = 1_000_000
) -> list[Any]:
    """What hex values of a profile's first characteristic come to, a second apart."""
    of = OF[profile]
    reading = of.reading(told)
    made: list[Any] = []
    for place, text in enumerate(values):
        made += reading.heard(number or of.heard[0], bytes.fromhex(text), NOW_US + place * step_us)
    return made + list(reading.ended())


def said(made: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(each["type"], each["value"]) for each in made if isinstance(each, dict)]


def why(made: list[Any]) -> list[str]:
    return [each.why for each in made if isinstance(each, UnusedValue)]


# -- Heart Rate Service 1.0, 3.1


@pytest.mark.parametrize(
    ("value", "bpm"),
    [
        ("00 48", 72),  # 8 bits
        ("01 2c01", 300),  # 16 bits
        ("16 48 0004 0004", 72),  # contact, and two intervals of a second
        ("08 48 6400", 72),  # 100 kJ
        ("19 4800 6400 0004", 72),  # 16 bits, energy and an interval
    ],
)
def test_heart_rate(value: str, bpm: int) -> None:
    made = heard("heart_rate", value)
    assert said(made) == [("heart_rate", {"bpm": bpm})]
    assert made[0]["start_time"] == ARRIVED


def test_a_strap_without_contact_says_no_heart_rate() -> None:
    assert why(heard("heart_rate", "04 48")) == ["no_contact"]


# -- Blood Pressure Service 1.1, 3.1


def test_blood_pressure_in_mmhg() -> None:
    # 121, 79, mean 93; time; pulse 64.0; user 1; status
    made = heard("blood_pressure", f"1e 7900 4f00 5d00 {AT} 80f2 01 0000")
    assert said(made) == [("blood_pressure", {"systolic": 121, "diastolic": 79, "pulse": 64})]
    assert made[0]["start_time"] == AT_UTC
    assert made[0]["utc_offset"] == 3600


def test_blood_pressure_in_kpa_is_converted_exactly() -> None:
    # 16.1 and 10.5 kPa: 1 mmHg is 133.322 Pa
    (event,) = heard("blood_pressure", "01 a1f0 69f0 7cf0")
    assert event["value"] == {"systolic": 16100 / 133.322, "diastolic": pytest.approx(10500 / 133.322, rel=1e-15)}
    assert event["start_time"] == ARRIVED


def test_a_measurement_that_failed_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        heard("blood_pressure", "00 ff07 ff07 ff07")
    assert (caught.value.code, caught.value.field) == (Reason.BAD_NUMBER, "systolic")


@pytest.mark.parametrize(("slot", "index", "left"), [("1", "01", []), ("1", "02", ["another_user"]), ("1", "ff", [])])
def test_of_several_users_the_declared_one_is_taken(slot: str, index: str, left: list[str]) -> None:
    told = Peripheral(user="alice", address="a", declared=Declared(zone="Europe/Berlin", slot=slot))
    made = heard("blood_pressure", f"08 7900 4f00 5d00 {index}", told=told)
    assert why(made) == left
    assert bool(said(made)) is not bool(left)


# -- Weight Scale Service 1.0, 3.2


def test_weight_in_kilograms() -> None:
    # 14,480 x 5 g; time; user 3; BMI 23.4; height
    made = heard("weight_scale", f"0e 9038 {AT} 03 ea00 e006")
    assert said(made) == [("weight", {"kg": 72.4}), ("bmi", {"kg_m2": 23.4})]
    assert {each["start_time"] for each in made} == {AT_UTC}


def test_weight_in_pounds_is_converted_exactly() -> None:
    # 15,961 x 0.01 lb
    assert said(heard("weight_scale", "01 593e")) == [("weight", {"kg": 72.3978781757})]


def test_a_weighing_that_failed_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        heard("weight_scale", "00 ffff")
    assert caught.value.code is Reason.BAD_NUMBER


# -- Body Composition Service 1.0, 3.2


def test_body_composition() -> None:
    # fat 21.5 %; time; user; 6,862 kJ; muscle 74.4 %, 53.9 kg; fat free 56.8; soft lean; water 41.2; ohms; weight
    made = heard("body_composition", f"fe07 d700 {AT} 01 ce1a e802 1c2a 602c 9c28 3020 8813 9038")
    assert said(made) == [
        ("body_fat_percentage", {"percent": 21.5}),
        ("muscle_percentage", {"percent": 74.4}),
        ("muscle_mass", {"kg": 53.9}),
        ("lean_mass", {"kg": 56.8}),
        ("body_water", {"kg": 41.2}),
        ("weight", {"kg": 72.4}),
        ("basal_metabolic_rate", {"kcal_per_day": 1640.06}),
    ]


def test_the_weight_of_a_composition_is_that_of_the_weighing() -> None:
    composed = heard("body_composition", f"0204 d700 {AT} 9038")
    weighed = heard("weight_scale", f"02 9038 {AT}")
    assert [each["id"] for each in composed if each["type"] == "weight"] == [weighed[0]["id"]]


def test_a_composition_in_two_values_is_one() -> None:
    # both with bit 12: fat, time, user and muscle; then water, in pounds
    made = heard("body_composition", f"2710 d700 {AT} 01 3075", "0111 ffff 8000")
    assert said(made) == [
        ("body_fat_percentage", {"percent": 21.5}),
        ("muscle_mass", {"kg": 136.0777110}),
        ("body_water", {"kg": 0.5805982336}),
    ]
    assert {each["start_time"] for each in made} == {AT_UTC}


def test_half_a_composition_is_worth_what_it_says() -> None:
    assert said(heard("body_composition", f"0210 d700 {AT}")) == [("body_fat_percentage", {"percent": 21.5})]


def test_a_scale_that_was_stood_on_in_socks_says_the_weight_alone() -> None:
    made = heard("body_composition", "0004 ffff 9038")
    assert why(made) == ["not_valid"]
    assert said(made) == [("weight", {"kg": 72.4})]


# -- Health Thermometer Service 1.0, 3.1


def test_temperature_in_celsius() -> None:
    made = heard("thermometer", f"06 6c0100ff {AT} 06")
    assert said(made) == [("body_temperature", {"celsius": 36.4, "site": "mouth"})]
    assert made[0]["start_time"] == AT_UTC


def test_temperature_in_fahrenheit_is_converted_exactly() -> None:
    # 98.6 degF
    assert said(heard("thermometer", "01 da0300ff")) == [("body_temperature", {"celsius": 37})]


def test_a_temperature_that_is_no_number_is_refused() -> None:
    with pytest.raises(RefusedError):
        heard("thermometer", "00 ffff7f00")


# -- Glucose Service 1.0.1, 3.1 and 3.2


def test_glucose_in_kg_per_litre() -> None:
    # number 5; base time; +60 minutes; 98e-5 kg/L; capillary whole blood of a finger; no status
    made = heard("glucose", f"0b 0500 {AT} 3c00 62b0 11 0000")
    assert said(made) == [("glucose", {"mg_dl": 98, "specimen": "capillary_blood"})]
    assert made[0]["start_time"] == "2026-11-20T07:12:33.000000Z"


def test_glucose_in_mol_per_litre() -> None:
    # 55e-4 mol/L is 5.5 mmol/L; a millimole is 18.0156 mg/dL
    assert said(heard("glucose", f"06 0500 {AT} 37c0 19")) == [
        ("glucose", {"mg_dl": 99.09, "specimen": "interstitial_fluid"})
    ]


def test_a_clock_that_was_set_since_changes_no_id() -> None:
    before = heard("glucose", f"03 0500 {AT} 3c00 62b0 11")
    after = heard("glucose", f"03 0500 {AT} 7800 62b0 11")
    assert before[0]["start_time"] != after[0]["start_time"]
    assert before[0]["id"] == after[0]["id"]


def test_a_measurement_waits_for_its_context() -> None:
    reading = OF["glucose"].reading(TOLD)
    measured = bytes.fromhex(f"12 0500 {AT} 62b0 11")
    assert list(reading.heard(0x2A18, measured, NOW_US)) == []
    # number 5; 30 g of breakfast; before the meal
    made = list(reading.heard(0x2A34, bytes.fromhex("03 0500 01 1ed0 01"), NOW_US))
    assert said(made) == [("glucose", {"mg_dl": 98, "meal": "before_meal", "specimen": "capillary_blood"})]
    assert list(reading.ended()) == []


def test_a_context_that_never_comes_is_not_waited_for_for_ever() -> None:
    assert said(heard("glucose", f"12 0500 {AT} 62b0 11")) == [
        ("glucose", {"mg_dl": 98, "specimen": "capillary_blood"})
    ]


def test_control_solution_is_no_body() -> None:
    assert why(heard("glucose", f"02 0500 {AT} 62b0 1a")) == ["no_body"]


@pytest.mark.parametrize("bit", range(1, 11))
def test_a_fault_of_the_meter_is_no_measurement(bit: int) -> None:
    status = (1 << bit).to_bytes(2, "little").hex()
    assert why(heard("glucose", f"0a 0500 {AT} 62b0 11 {status}")) == ["not_valid"]


def test_a_clock_with_a_fault_is_not_believed() -> None:
    with pytest.raises(RefusedError) as caught:
        heard("glucose", f"0a 0500 {AT} 62b0 11 0008")
    assert caught.value.code is Reason.BAD_TIME


def test_a_low_battery_is_no_fault() -> None:
    assert len(said(heard("glucose", f"0a 0500 {AT} 62b0 11 0100"))) == 1


# -- Pulse Oximeter Service 1.0.1, 3.2 and 3.3


def test_a_spot_check() -> None:
    # 97 %, 64 /min; time; status "validated"; amplitude 4.1 %
    made = heard("pulse_oximeter", f"0b 6100 4000 {AT} 8000 29f0")
    assert said(made) == [
        ("spo2", {"percent": 97}),
        ("heart_rate", {"bpm": 64}),
        ("perfusion_index", {"percent": 4.1}),
    ]
    assert made[0]["start_time"] == AT_UTC


def test_a_continuous_measurement() -> None:
    # normal 97 %, 64; fast 96 %, 66; slow 97 %, 63
    made = heard("pulse_oximeter", "03 6100 4000 6000 4200 6100 3f00", number=0x2A5F)
    assert said(made) == [("spo2", {"percent": 97}), ("heart_rate", {"bpm": 64})]
    assert made[0]["start_time"] == ARRIVED


@pytest.mark.parametrize("bit", [10, 11, 12, 13, 14, 15])
def test_what_is_marked_is_no_measurement(bit: int) -> None:
    status = (1 << bit).to_bytes(2, "little").hex()
    assert why(heard("pulse_oximeter", f"02 6100 4000 {status}")) == ["not_valid"]
    assert why(heard("pulse_oximeter", f"04 6100 4000 {status}", number=0x2A5F)) == ["not_valid"]


def test_a_clock_that_is_not_set_is_not_believed() -> None:
    with pytest.raises(RefusedError) as caught:
        heard("pulse_oximeter", f"11 6100 4000 {AT}")
    assert "--set-clock" in str(caught.value)


# -- Running and Cycling Speed and Cadence Service 1.0, 3.1


def test_running_and_walking() -> None:
    # 3.125 m/s, 168 /min, 1.1 m, 1,234.5 m
    assert said(heard("running", "07 2003 a8 6e00 39300000")) == [
        ("running_speed", {"meters_per_second": 3.125}),
        ("cadence_steps", {"steps_per_minute": 168}),
        ("running_stride_length", {"meters": 1.1}),
    ]
    assert said(heard("running", "01 5001 6e 4600"))[0] == ("walking_speed", {"meters_per_second": 1.3125})


def test_cycling_is_of_two_values() -> None:
    told = Peripheral(user="alice", address="a", wheel_mm=2096)
    # 1,000 and 1,003 revolutions of the wheel and 500 and 501.. of the crank, a second apart, over the clock's end
    made = heard("cycling", "03 e8030000 00fe f401 00fe", "03 eb030000 0002 f501 0001", told=told)
    assert said(made) == [
        ("cycling_speed", {"meters_per_second": 6.288}),
        ("cadence_revolutions", {"revolutions_per_minute": 80}),
    ]


def test_without_the_wheels_circumference_there_is_no_speed() -> None:
    assert said(heard("cycling", "01 e8030000 0000", "01 eb030000 0004")) == []


def test_a_wheel_that_stands_has_no_speed_and_one_turned_back_none_that_is_known() -> None:
    told = Peripheral(user="alice", address="a", wheel_mm=2000)
    assert said(heard("cycling", "01 e8030000 0000", "01 e8030000 0000", told=told)) == [
        ("cycling_speed", {"meters_per_second": 0})
    ]
    assert said(heard("cycling", "01 e8030000 0000", "01 e7030000 0004", told=told)) == []


def test_over_a_minute_nobody_knows_how_often_its_clock_began_anew() -> None:
    told = Peripheral(user="alice", address="a", wheel_mm=2000)
    assert said(heard("cycling", "01 e8030000 0000", "01 ff030000 0004", told=told, step_us=61_000_000)) == []


# -- all of them


def test_a_clock_without_a_date_is_not_believed() -> None:
    with pytest.raises(RefusedError) as caught:
        heard("weight_scale", "02 9038 0000 0000 07 0c 21")
    assert "--set-clock" in str(caught.value)


def test_an_hour_that_the_clock_skipped_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        heard("weight_scale", "02 9038 ea07 031d 02 1e 00")
    assert caught.value.code is Reason.BAD_TIME


def test_ids_are_of_the_user_and_the_device() -> None:
    one = heard("weight_scale", f"02 9038 {AT}")[0]["id"]
    same = heard(
        "weight_scale",
        f"02 9038 {AT}",
        told=Peripheral(user="alice", address="c1:c2:c3:c4:c5:c6", declared=TOLD.declared),
    )
    bob = heard(
        "weight_scale", f"02 9038 {AT}", told=Peripheral(user="bob", address=TOLD.address, declared=TOLD.declared)
    )
    other = heard("weight_scale", f"02 9038 {AT}", told=Peripheral(user="alice", address="b", declared=TOLD.declared))
    assert same[0]["id"] == one
    assert len({one, bob[0]["id"], other[0]["id"]}) == 3


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
def test_every_shorter_prefix_is_refused_or_says_less(profile: Any) -> None:
    full = bytes.fromhex(_FULL[profile.name].replace("AT", AT))
    whole = said(heard(profile.name, full.hex()))
    for length in range(len(full)):
        refusals: list[Reason] = []
        made: list[Any] = []
        try:
            made = said(heard(profile.name, full[:length].hex()))
        except RefusedError as refusal:
            refusals.append(refusal.code)
        assert refusals in ([], [Reason.MALFORMED])
        assert refusals or made != whole or not whole


_FULL = {
    "heart_rate": "09 4800 6400",
    "blood_pressure": "1e 7900 4f00 5d00 AT 80f2 01 0000",
    "weight_scale": "0e 9038 AT 03 ea00 e006",
    "body_composition": "fe07 d700 AT 01 ce1a e802 1c2a 602c 9c28 3020 8813 9038",
    "thermometer": "06 6c0100ff AT 06",
    "glucose": "0b 0500 AT 3c00 62b0 11 0000",
    "pulse_oximeter": "0b 6100 4000 AT 8000 29f0",
    "running": "07 2003 a8 6e00 39300000",
    "cycling": "03 e8030000 00fe f401 00fe",
}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
@given(data=st.data())
def test_no_bytes_make_a_parser_fail(profile: Any, data: st.DataObject) -> None:
    reading = profile.reading(
        Peripheral(user="alice", address="a", declared=Declared(zone="Europe/Berlin"), wheel_mm=2000)
    )
    values = st.tuples(st.sampled_from(profile.heard), st.binary(max_size=32))
    made: list[Any] = []
    for number, value in data.draw(st.lists(values, max_size=6)):
        try:
            made += reading.heard(number, value, NOW_US)
        except RefusedError:
            continue
    for _ in range(7):
        try:
            made += reading.ended()
        except RefusedError:
            continue
    for each in made:
        if isinstance(each, dict):
            assert each["type"] in CATALOGUE
            json.dumps(each, allow_nan=False)


def test_the_table_of_every_profile_names_types_that_are_there() -> None:
    assert {row.type for profile in PROFILES for row in profile.takes} <= set(CATALOGUE)
    assert len(BY_SERVICE) == len(PROFILES) == 9
