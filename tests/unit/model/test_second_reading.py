"""The catalogue as a second reader has it from the reference: unit, range and LOINC of each metric.

Written from the table of metrics (§1.2 of the reference on health data) and not from the catalogue, so that a slip in
either shows. A code in parentheses is one that no table of others was seen to use for the same.
"""

from typing import Final, NamedTuple

import pytest

from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind


class Row(NamedTuple):
    """One line of the table."""

    type: str
    kind: str
    unit: str
    low: float
    high: float
    loinc: str | None
    checked: bool
    field: str


_TABLE: Final = """
    steps                       interval {steps}    0    200000  55423-8
    daily_steps                 daily    {steps}    0    200000  41950-7
    distance                    interval m          0    1000000 (55430-3)
    distance_swimming           interval m          0    200000  93816-7
    heart_rate                  instant  /min       20   300     8867-4
    resting_heart_rate          daily    /min       20   200     40443-4
    walking_heart_rate          daily    /min       20   250     -
    heart_rate_recovery         instant  /min       0    150     -
    hrv_sdnn                    instant  ms         0    500     80404-7
    hrv_rmssd                   instant  ms         0    500     -
    daily_hrv_rmssd             daily    ms         0    500     -
    spo2                        instant  %          50   100     59408-5
    daily_spo2                  daily    %          50   100     -
    blood_pressure.systolic     instant  mm[Hg]     40   300     8480-6
    blood_pressure.diastolic    instant  mm[Hg]     20   200     8462-4
    blood_pressure.pulse        instant  /min       20   300     8867-4
    respiratory_rate            instant  /min       3    80      9279-1
    daily_respiratory_rate      daily    /min       3    80      -
    body_temperature            instant  Cel        30   45      8310-5
    basal_body_temperature      instant  Cel        30   45      -
    skin_temperature            instant  Cel        10   45      -
    skin_temperature_delta      daily    Cel        -10  10      -
    glucose                     instant  mg/dL      10   1000    41653-7
    insulin_delivery            interval [IU]       0    300     -
    weight                      instant  kg         0.5  650     29463-7
    height                      instant  m          0.2  2.8     8302-2
    bmi                         instant  kg/m2      5    150     39156-5
    body_fat_percentage         instant  %          1    85      41982-0
    fat_mass                    instant  kg         0    400     -
    lean_mass                   instant  kg         0    400     91557-9
    muscle_mass                 instant  kg         0    300     (73964-9)
    bone_mass                   instant  kg         0    300     -
    body_water                  instant  kg         0    300     -
    visceral_fat                instant  1          0    60      -
    waist_circumference         instant  cm         20   300     8280-0
    energy_active               interval kcal       0    30000   41981-2
    energy_basal                interval kcal       0    10000   -
    energy_total                interval kcal       0    40000   41979-6
    daily_energy_total          daily    kcal       0    40000   41979-6
    floors                      interval {flights}  0    10000   100304-5
    elevation_gain              interval m          0    20000   -
    active_minutes_moderate     daily    min        0    1440    77592-4
    active_minutes_vigorous     daily    min        0    1440    77593-2
    stand_time                  daily    min        0    1440    -
    met                         instant  {MET}      0    30      -
    vo2_max                     instant  mL/kg/min  5    100     (60842-2)
    sleep_score                 daily    {score}    0    100     -
    sleep.total_asleep_s        session  s          0    172800  93832-4
    sleep.deep_s                session  s          0    172800  93831-6
    sleep.light_s               session  s          0    172800  93830-8
    sleep.rem_s                 session  s          0    172800  93829-0
    snoring                     interval min        0    1440    -
    stress                      instant  {score}    0    100     -
    body_battery                instant  {score}    0    100     -
    readiness                   daily    {score}    0    100     -
    recovery                    daily    {score}    0    100     -
    strain                      daily    {score}    0    21      -
    nightly_recharge            daily    {score}    -10  10      -
    workout.active_s            session  s          0    700000  55411-3
    workout.energy_kcal         session  kcal       0    100000  55424-6
    workout.heart_rate_mean_bpm session  /min       20   300     55425-3
    workout.heart_rate_high_bpm session  /min       20   300     55426-1
    daily_heart_rate.high_bpm   daily    /min       20   300     8873-2
    speed                       instant  m/s        0    60      -
    power                       instant  W          0    3000    -
    cadence_steps               instant  /min       0    300     -
    cadence_revolutions         instant  /min       0    300     -
    step_length                 instant  cm         0    300     -
    walking_asymmetry           instant  %          0    100     -
    double_support              instant  %          0    100     -
    walking_steadiness          daily    %          0    100     -
    food.energy_kcal            session  kcal       0    20000   9052-2
    hydration                   interval mL         0    20000   -
    caffeine                    instant  mg         0    5000    -
    alcohol                     instant  {drinks}   0    100     -
    ecg.hz                      session  Hz         50   2000    -
    atrial_fibrillation_burden  daily    %          0    100     -
    pulse_wave_velocity         instant  m/s        3    25      -
    vascular_age                instant  a          10   120     -
    fev1                        instant  L          0    10      20150-9
    fvc                         instant  L          0    10      19870-5
    pef                         instant  L/min      0    1200    19935-6
    environmental_sound         instant  dB         0    200     -
    headphone_sound             instant  dB         0    200     -
    wheelchair_pushes           interval {pushes}   0    200000  96502-0
    perfusion_index             instant  %          0    100     61006-3
"""
_WHOLE: Final = {
    "blood_pressure": ("85354-9", True),
    "sleep": ("93832-4", True),
    "workout": ("73985-4", True),
    "food": ("80453-4", True),
    "ecg": ("11524-6", False),
}
"""What is measured as one, and the code of the whole."""
_SPANS_H: Final = {"sleep": 48, "workout": 7 * 24}


def rows() -> list[Row]:
    found = []
    for line in filter(str.strip, _TABLE.splitlines()):
        name, kind, unit, low, high, code = line.split()
        type_, _, field = name.partition(".")
        loinc = None if code == "-" else code.strip("()")
        found.append(Row(type_, kind, unit, float(low), float(high), loinc, "(" not in code, field))
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.type)
def test_a_metric_is_as_the_table_has_it(row: Row) -> None:
    of = CATALOGUE[row.type]
    quantity = next(each for each in of.quantities if row.field in {"", each.field})
    assert of.kind is TimeKind(row.kind)
    assert (quantity.unit, quantity.low, quantity.high, quantity.loinc) == (row.unit, row.low, row.high, row.loinc)
    if row.loinc is not None:
        assert quantity.checked is row.checked


@pytest.mark.parametrize("name", _WHOLE)
def test_what_is_measured_as_one_has_one_code(name: str) -> None:
    of = CATALOGUE[name]
    assert (of.loinc, of.checked) == _WHOLE[name]


@pytest.mark.parametrize("name", _SPANS_H)
def test_a_session_is_no_longer_than_the_table_says(name: str) -> None:
    assert CATALOGUE[name].max_span_us == _SPANS_H[name] * 3_600_000_000


def test_no_code_is_of_two_types_of_one_kind() -> None:
    """But the pulse of a cuff, which is a heart rate, and what a night and its parts share."""
    seen: dict[tuple[str, str], str] = {}
    for of in CATALOGUE.values():
        for quantity in of.quantities:
            if quantity.loinc is None or quantity.loinc in {"8867-4", "93832-4"}:
                continue
            other = seen.setdefault((quantity.loinc, of.kind), of.name)
            assert other == of.name, quantity.loinc


def test_what_others_mixed_up_is_two_types() -> None:
    """SDNN and RMSSD, a temperature and its deviation, steps and revolutions, fat and lean, moderate and vigorous."""
    for pair in (
        ("hrv_sdnn", "hrv_rmssd"),
        ("skin_temperature", "skin_temperature_delta"),
        ("body_temperature", "basal_body_temperature"),
        ("cadence_steps", "cadence_revolutions"),
        ("fat_mass", "lean_mass"),
        ("active_minutes_moderate", "active_minutes_vigorous"),
        ("energy_active", "energy_total"),
        ("body_water", "hydration"),
    ):
        one, other = (CATALOGUE[name] for name in pair)
        assert not {one.name, *one.aliases} & {other.name, *other.aliases}
