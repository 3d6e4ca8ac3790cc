"""The catalogue beside the reference's table of metrics, row by row: names, units, ranges, codes."""

import re
from pathlib import Path
from typing import Final

import pytest

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import Sensitivity

#: The numbers of each row of the table, each with its range; a type alone is its first number.
ROWS: Final = {
    1: "steps daily_steps",
    2: "distance distance_cycling distance_wheelchair distance_snow_sports daily_distance",
    3: "heart_rate",
    4: "resting_heart_rate",
    5: "walking_heart_rate",
    6: "heart_rate_recovery",
    7: "hrv_sdnn daily_hrv_sdnn",
    8: "hrv_rmssd daily_hrv_rmssd",
    9: "spo2 daily_spo2",
    10: "blood_pressure.systolic blood_pressure.diastolic",
    11: "respiratory_rate daily_respiratory_rate",
    12: "body_temperature",
    13: "basal_body_temperature",
    14: "skin_temperature",
    15: "skin_temperature_delta",
    16: "glucose",
    17: "insulin_delivery",
    18: "weight",
    19: "height",
    20: "bmi",
    21: "body_fat_percentage",
    22: "fat_mass lean_mass",
    23: "muscle_mass bone_mass body_water",
    24: "visceral_fat",
    25: "waist_circumference",
    26: "energy_active daily_energy_active",
    27: "energy_basal daily_energy_basal",
    28: "energy_total daily_energy_total",
    29: "floors daily_floors",
    30: "elevation_gain daily_elevation_gain",
    31: "active_minutes_moderate active_minutes_vigorous active_minutes_light exercise_time",
    32: "stand_time",
    33: "met",
    34: "vo2_max",
    36: "sleep_score",
    37: "snoring",
    38: "stress daily_stress",
    39: "readiness recovery body_battery strain",
    41: "speed cycling_speed",
    42: "power running_power cycling_power",
    43: "cadence_steps cadence_revolutions",
    44: "step_length walking_asymmetry double_support walking_steadiness",
    45: "food.energy_kcal",
    46: "hydration",
    47: "caffeine alcohol",
    48: "ecg.hz",
    50: "pulse_wave_velocity vascular_age",
    54: "fev1 fvc pef",
    55: "environmental_sound headphone_sound",
}

#: Rows and types whose table has no range, or another one, and why.
OTHERS: Final = {
    2: ("distance_swimming", "nobody swims a thousand kilometres in one interval"),
    32: ("stand_hours sedentary_time", "hours, and a day of 25 of them when the clock goes back"),
    35: ("sleep", "a session: 48 h at most, with its stages inside"),
    37: ("breathing_disturbances", "a rate an hour, which has no row of its own"),
    39: ("nightly_recharge", "-10..10, beside Polar's name in the row"),
    40: ("workout workout_route", "a session: 7 days at most"),
    41: ("running_speed walking_speed", "nobody runs faster than 15 m/s"),
    47: ("blood_alcohol", "a percentage of blood"),
    49: ("heart_notification atrial_fibrillation_burden", "a word, and a percentage"),
    51: (
        "menstruation menstrual_flow intermenstrual_bleeding ovulation_test cervical_mucus sexual_activity",
        "words, of the class that is most private",
    ),
    52: ("mindfulness state_of_mind", "a session of its own length; a valence of -1..1"),
    53: ("medication_dose symptom", "words"),
    54: ("inhaler_usage", "puffs"),
    55: ("uv_exposure daylight_time falls wheelchair_pushes perfusion_index", "each has a range of its own"),
}

pytestmark = pytest.mark.shared_data

_CODE = re.compile(r"\b\d{4,6}-\d\b")


def reference(shared_data: Path) -> dict[int, list[str]]:
    text = (shared_data.parent / "reference" / "health-data.md").read_text("utf-8")
    cells = (line.strip("| ").split("|") for line in re.findall(r"^\| \d+ \|.*$", text, re.MULTILINE))
    return {int(number): [name, *rest] for number, name, *rest in cells}


def test_every_row_has_its_types(shared_data: Path) -> None:
    assert sorted(reference(shared_data)) == sorted(ROWS | OTHERS)
    named = [each.partition(".")[0] for words in ROWS.values() for each in words.split()]
    named += [each for words, _ in OTHERS.values() for each in words.split()]
    assert sorted(set(named)) == sorted(set(named) & set(CATALOGUE))


@pytest.mark.parametrize("row", ROWS)
def test_units_and_ranges_are_those_of_the_table(shared_data: Path, row: int) -> None:
    _, unit, _, bounds, *_ = reference(shared_data)[row]
    there = {
        (float(low), float(high)) for low, high in re.findall(r"(-?[\d.]*\d)\.\.(-?\d[\d.e]*)", bounds.replace(" ", ""))
    }
    for name in ROWS[row].split():
        of, _, field = name.partition(".")
        quantity = next(each for each in CATALOGUE[of].quantities if not field or each.field == field)
        assert (quantity.low, quantity.high) in there, (name, bounds)
        assert quantity.unit in unit + bounds, (name, unit)


def test_codes_are_as_sure_as_the_reference_is(shared_data: Path) -> None:
    """A code was read in somebody's repository, or it is marked as not checked."""
    text = (shared_data.parent / "reference" / "health-data.md").read_text("utf-8")
    read = set(re.findall(r"\*\*(\d{4,6}-\d)\*\*", text))
    read |= {
        code for line in text.splitlines() if "** [V] |" in line or ") [V] |" in line for code in _CODE.findall(line)
    }
    said = {
        (code, sure)
        for of in CATALOGUE.values()
        for code, sure in ((of.loinc, of.checked), *((each.loinc, each.checked) for each in of.quantities))
        if code is not None
    }
    assert {code for code, _ in said} <= set(_CODE.findall(text))
    assert said == {(code, code in read) for code, _ in said}


def test_what_the_table_calls_private_is(shared_data: Path) -> None:
    assert "highest-sensitivity class" in " ".join(reference(shared_data)[51])
    for each in OTHERS[51][0].split():
        assert CATALOGUE[each].sensitivity is Sensitivity.REPRODUCTIVE
    for each in OTHERS[52][0].split():
        assert CATALOGUE[each].sensitivity is Sensitivity.MENTAL
