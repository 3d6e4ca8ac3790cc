"""The metrics of Health Auto Export: a name, a unit that the user chose, and rows of values.

A row has the start of its bucket and nothing else of its time; what the bucket is long the login declares.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import Record, number, number_or_none, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment, day, is_date
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

DAY_S: Final = 86_400
_QUARTER_US: Final = 900_000_000

_COUNT: Final = "count"


class ExportMetric(NamedTuple):
    """A metric: our type, the field of it, and how this app spells the unit of that field beside the usual ways."""

    type: str
    field: str
    own: tuple[str, ...]


#: Our type, its names here (folded, old ones too), and further spellings of our own unit.
NUMBERS: Final = (
    # activity
    ("steps", "step_count", "count steps"),
    ("distance", "walking_running_distance distance_walking_running", ""),
    ("distance_cycling", "cycling_distance distance_cycling", ""),
    ("distance_swimming", "swimming_distance distance_swimming", ""),
    ("distance_wheelchair", "wheelchair_distance distance_wheelchair", ""),
    ("distance_snow_sports", "downhill_snow_sports distance_downhill_snow_sports", ""),
    ("energy_active", "active_energy active_energy_burned", ""),
    ("energy_basal", "basal_energy_burned resting_energy", ""),
    ("floors", "flights_climbed", "count"),
    ("exercise_time", "apple_exercise_time", ""),
    ("stand_time", "apple_stand_time", ""),
    ("stand_hours", "apple_stand_hour apple_stand_hours", "count hr"),
    ("wheelchair_pushes", "wheelchair_push_count push_count", "count"),
    ("swimming_strokes", "swimming_stroke_count", "count"),
    ("falls", "number_of_times_fallen number_of_time_fallen", "count"),
    ("met", "physical_effort", "MET kcal/hr·kg kcal/(kg·hr) kcal/(hr·kg)"),
    # heart, breath and blood
    ("resting_heart_rate", "resting_heart_rate", ""),
    ("walking_heart_rate", "walking_heart_rate_average walking_heart_rate", ""),
    ("heart_rate_recovery", "cardio_recovery heart_rate_recovery_one_minute", ""),
    ("hrv_sdnn", "heart_rate_variability", ""),
    ("vo2_max", "vo2_max vo2max", "ml/(kg·min) mL/(kg·min) ml/kg·min mL/min·kg"),
    ("atrial_fibrillation_burden", "atrial_fibrillation_burden", ""),
    ("respiratory_rate", "respiratory_rate", ""),
    ("spo2", "blood_oxygen_saturation oxygen_saturation", ""),
    ("perfusion_index", "peripheral_perfusion_index", ""),
    ("blood_alcohol", "blood_alcohol_content", ""),
    ("electrodermal_activity", "electrodermal_activity", "mcS µS"),
    ("breathing_disturbances", "breathing_disturbances apple_sleeping_breathing_disturbances", "count"),
    # temperature
    ("body_temperature", "body_temperature", ""),
    ("basal_body_temperature", "basal_body_temperature", ""),
    ("skin_temperature", "apple_sleeping_wrist_temperature", ""),
    # body
    ("weight", "weight_body_mass body_mass", ""),
    ("lean_mass", "lean_body_mass", ""),
    ("height", "height", ""),
    ("waist_circumference", "waist_circumference", ""),
    ("bmi", "body_mass_index", "count"),
    ("body_fat_percentage", "body_fat_percentage", ""),
    # motion
    ("walking_speed", "walking_speed", ""),
    ("running_speed", "running_speed", ""),
    ("cycling_speed", "cycling_speed", ""),
    ("stair_ascent_speed", "stair_speed_up stair_ascent_speed", ""),
    ("stair_descent_speed", "stair_speed_down stair_descent_speed", ""),
    ("running_power", "running_power", ""),
    ("cycling_power", "cycling_power", ""),
    ("cadence_revolutions", "cycling_cadence", ""),
    ("functional_threshold_power", "cycling_functional_threshold_power", ""),
    ("step_length", "walking_step_length", ""),
    ("running_stride_length", "running_stride_length", ""),
    ("vertical_oscillation", "running_vertical_oscillation", ""),
    ("ground_contact_time", "running_ground_contact_time", ""),
    ("walking_asymmetry", "walking_asymmetry_percentage", ""),
    ("double_support", "walking_double_support_percentage", ""),
    ("walking_steadiness", "walking_steadiness apple_walking_steadiness", ""),
    ("six_minute_walk_distance", "six_minute_walking_test_distance", ""),
    # lungs
    ("fev1", "forced_expiratory_volume_1 forced_expiratory_volume", ""),
    ("fvc", "forced_vital_capacity", ""),
    ("pef", "peak_expiratory_flow_rate", ""),
    ("inhaler_usage", "inhaler_usage", "count"),
    # what is taken in
    ("hydration", "dietary_water", ""),
    ("caffeine", "dietary_caffeine", ""),
    ("alcohol", "number_of_alcoholic_beverages", "count"),
    # what is around
    ("environmental_sound", "environmental_audio_exposure environmental_audio", ""),
    ("headphone_sound", "headphone_audio_exposure headphone_audio", ""),
    ("daylight_time", "time_in_daylight", ""),
    ("uv_exposure", "uv_exposure", "count"),
)

METRICS: Final = {
    name: ExportMetric(type_, first_field(type_), tuple(own.split()))
    for type_, names, own in NUMBERS
    for name in names.split()
}
"""What is one number, by each of its names."""

#: The fields of ``food``, and the names of their metrics; ``dietary_`` may stand before each.
_NUTRIENTS: Final = {
    "energy_kcal": "energy energy_consumed",
    "carbohydrate_g": "carbohydrates",
    "protein_g": "protein",
    "fat_g": "total_fat fat_total",
    "saturated_fat_g": "saturated_fat fat_saturated",
    "monounsaturated_fat_g": "monounsaturated_fat monosaturated_fat fat_monounsaturated",
    "polyunsaturated_fat_g": "polyunsaturated_fat fat_polyunsaturated",
    "fiber_g": "fiber",
    "sugar_g": "sugar",
    "cholesterol_mg": "cholesterol",
    "sodium_mg": "sodium",
    "potassium_mg": "potassium",
    "calcium_mg": "calcium",
    "magnesium_mg": "magnesium",
    "iron_mg": "iron",
    "zinc_mg": "zinc",
    "phosphorus_mg": "phosphorus",
    "chloride_mg": "chloride",
    "copper_mg": "copper",
    "manganese_mg": "manganese",
    "iodine_ug": "iodine",
    "selenium_ug": "selenium",
    "chromium_ug": "chromium",
    "molybdenum_ug": "molybdenum",
    "vitamin_a_ug": "vitamin_a",
    "thiamin_mg": "thiamin vitamin_b1",
    "riboflavin_mg": "riboflavin vitamin_b2",
    "niacin_mg": "niacin vitamin_b3",
    "pantothenic_acid_mg": "pantothenic_acid vitamin_b5",
    "vitamin_b6_mg": "vitamin_b6",
    "biotin_ug": "biotin vitamin_b7",
    "folate_ug": "folate folic_acid",
    "vitamin_b12_ug": "vitamin_b12",
    "vitamin_c_mg": "vitamin_c",
    "vitamin_d_ug": "vitamin_d",
    "vitamin_e_mg": "vitamin_e",
    "vitamin_k_ug": "vitamin_k",
}
NUTRIENTS: Final = {
    prefix + name: field for field, names in _NUTRIENTS.items() for name in names.split() for prefix in ("", "dietary_")
} | {"dietary_energy": "energy_kcal"}
del NUTRIENTS["energy"]

#: What stands for an amount of a whole day, where there is such a type.
_OF_A_DAY: Final = {
    "steps": "daily_steps",
    "distance": "daily_distance",
    "floors": "daily_floors",
    "energy_active": "daily_energy_active",
    "energy_basal": "daily_energy_basal",
}
#: Amounts that are not collected over a time: a glass, a puff. Their bucket, if they have one, makes no difference.
_AT_A_MOMENT: Final = frozenset({"hydration", "inhaler_usage", "falls"})
#: Sums that we have of days alone.
_DAYS_ALONE: Final = frozenset({"stand_time", "stand_hours"})

_MEALS: Final = {"before meal": "before_meal", "after meal": "after_meal"}
_REASONS: Final = {"bolus": "bolus", "basal": "basal"}
_PROTECTION: Final = {
    "Unspecified": "unknown",
    "Protection Used": "protected",
    "Protection Not Used": "unprotected",
}


def source_of(record: Record) -> str | None:
    """Who measured: names of devices and apps as their user typed them, several in an order that does not matter."""
    found = record.get("source")
    if isinstance(found, dict):
        found = found.get("name")
    if not isinstance(found, str) or not found.strip():
        return None
    return "|".join(sorted(part.strip() for part in found.split("|")))


def moment_of(scribe: Scribe, row: Record) -> Moment:
    """The moment of a row; where the login declares days, a date alone is the beginning of one. Raises RefusedError."""
    declared = scribe.message.declared
    if declared.bucket_s == DAY_S and is_date(row.get("date")):
        return day(row["date"], "date", declared.zone).start
    return scribe.moment_in(row, "date")


class MetricRows:
    """The rows of one metric that is not made of several."""

    def __init__(self, scribe: Scribe, unit: str | None) -> None:
        self._scribe = scribe
        self._zone = scribe.message.declared.zone
        self._bucket_s = scribe.message.declared.bucket_s
        self._in = partial(in_field, unit=unit, declared=scribe.message.declared.unit)

    def number(self, metric: ExportMetric) -> Callable[[Record], Iterator[Event]]:
        """MetricRows that are one number: at a moment, of a bucket, or of a day, as our type is."""
        kind = CATALOGUE[metric.type].kind
        make = {TimeKind.INTERVAL: self._sum, TimeKind.DAILY: self._of_a_day}.get(kind, self._instant)

        def read(record: Record) -> Iterator[Event]:
            yield make(metric, record)

        return read

    def _amount(self, metric: ExportMetric, record: Record) -> float:
        return self._in(metric.type, metric.field, number(record, "qty"), own=metric.own)

    def _instant(self, metric: ExportMetric, record: Record) -> Event:
        at = moment_of(self._scribe, record)
        return self._scribe.event(metric.type, {metric.field: self._amount(metric, record)}, at, app=source_of(record))

    def _of_a_day(self, metric: ExportMetric, record: Record) -> Event:
        if metric.type in _DAYS_ALONE and self._bucket_s != DAY_S:
            message = f"{metric.type} is of a whole day: let the app sum days, and declare it (--bucket day)"
            raise RefusedError(Reason.BAD_INTERVAL, "date", message)
        of = day(record.get("date"), "date", self._zone)
        return self._scribe.event(metric.type, {metric.field: self._amount(metric, record)}, of, app=source_of(record))

    def _sum(self, metric: ExportMetric, record: Record) -> Event:
        amount, app = self._amount(metric, record), source_of(record)
        if metric.type in _AT_A_MOMENT:
            of = (
                day(record.get("date"), "date", self._zone)
                if self._bucket_s == DAY_S
                else self._scribe.moment_in(record, "date")
            )
            return self._scribe.event(metric.type, {metric.field: amount}, of, app=app)
        if self._bucket_s == DAY_S and "end" not in record:
            of = day(record.get("date"), "date", self._zone)
            if metric.type in _OF_A_DAY:
                type_ = _OF_A_DAY[metric.type]
                return self._scribe.event(type_, {first_field(type_): amount}, of, app=app)
            of_day = ("day", of.date, app or "")
            end = self._not_ahead(of.start, of.end)
            return self._scribe.event(metric.type, {metric.field: amount}, of, end, app=app, key=of_day)
        start = self._scribe.moment_in(record, "date")
        end = self._end(start, record)
        key = ("bucket", start.text, end.text, app or "")
        return self._scribe.event(
            metric.type, {metric.field: amount}, start, self._not_ahead(start, end), app=app, key=key
        )

    def _end(self, start: Moment, record: Record) -> Moment:
        if record.get("end") is not None:
            return self._scribe.moment_in(record, "end")
        if self._bucket_s is None:
            message = "a sum has a start and no end here: declare how long its buckets are (--bucket)"
            raise RefusedError(Reason.MISSING_FIELD, "end", message)
        if start.us % min(_QUARTER_US, self._bucket_s * 1_000_000):
            message = f"{start.text} begins no bucket of {self._bucket_s} s, as is declared"
            raise RefusedError(Reason.BAD_INTERVAL, "date", message)
        return start.later(self._bucket_s)

    def _not_ahead(self, start: Moment, end: Moment) -> Moment:
        """A bucket that is still running ends now; in its id it ends when it will."""
        now_us = self._scribe.message.at_us
        return end if end.us <= now_us or start.us >= now_us else Moment(now_us, end.offset_s)

    def heart_rate(self, record: Record) -> Iterator[Event]:
        """A sample, or the mean of a bucket with its bounds."""
        at = moment_of(self._scribe, record)
        mean, low, high = heart_rates(record)
        value = {"bpm": self._bpm(mean)}
        said: dict[str, Any] = {}
        if low is not None and high is not None and (low, high) != (mean, mean):
            value |= {"low_bpm": self._bpm(low), "high_bpm": self._bpm(high)}
            said = {"statistic": "mean"}
        yield self._scribe.event("heart_rate", value, at, app=source_of(record), source=said)

    def _bpm(self, rate: float) -> float:
        return self._in("heart_rate", "bpm", rate, own=(_COUNT,))

    def glucose(self, record: Record) -> Iterator[Event]:
        """A reading, and where it was to a meal."""
        value: dict[str, Any] = {"mg_dl": self._in("glucose", "mg_dl", number(record, "qty"))}
        meal = _MEALS.get((text_or_none(record, "mealTime") or "").casefold())
        if meal:
            value["meal"] = meal
        yield self._scribe.event("glucose", value, moment_of(self._scribe, record), app=source_of(record))

    def insulin(self, record: Record) -> Iterator[Event]:
        """A delivery; basal and bolus of one moment are two."""
        reason = _REASONS.get((text_or_none(record, "reason") or "").casefold(), "unknown")
        units = self._in("insulin_delivery", "units", number(record, "qty"))
        at, app = moment_of(self._scribe, record), source_of(record)
        key = (TimeKind.INTERVAL, at.text, reason, app or "")
        yield self._scribe.event("insulin_delivery", {"units": units, "reason": reason}, at, app=app, key=key)

    def mindfulness(self, record: Record) -> Iterator[Event]:
        """Minutes from a start."""
        minutes = self._in("exercise_time", "minutes", number(record, "qty"))
        start = moment_of(self._scribe, record)
        end = self._scribe.moment_in(record, "end") if record.get("end") is not None else start.later(minutes * 60)
        app = source_of(record)
        key = (TimeKind.SESSION, start.text, app or "")
        yield self._scribe.event("mindfulness", {"activity": "unknown"}, start, end, app=app, key=key)

    def sexual_activity(self, record: Record) -> Iterator[Event]:
        """Counts of a day by protection."""
        of, app = day(record.get("date"), "date", self._zone), source_of(record)
        for word, protection in _PROTECTION.items():
            if number_or_none(record, word):
                key = ("day", of.date, protection, app or "")
                yield self._scribe.event("sexual_activity", {"protection": protection}, of, app=app, key=key)

    def blood_pressure(self, record: Record) -> Iterator[Event]:
        """Both of one measurement."""
        at = moment_of(self._scribe, record)
        value = {field: self._in("blood_pressure", field, number(record, field)) for field in ("systolic", "diastolic")}
        yield self._scribe.event("blood_pressure", value, at, app=source_of(record))


#: Metrics that are more than a number, by their names.
SPECIAL: Final[dict[str, tuple[str, Callable[[MetricRows], Callable[[Record], Iterator[Event]]]]]] = {
    "heart_rate": ("heart_rate", lambda rows: rows.heart_rate),
    "blood_glucose": ("glucose", lambda rows: rows.glucose),
    "insulin_delivery": ("insulin_delivery", lambda rows: rows.insulin),
    "blood_pressure": ("blood_pressure", lambda rows: rows.blood_pressure),
    "mindful_minutes": ("mindfulness", lambda rows: rows.mindfulness),
    "sexual_activity": ("sexual_activity", lambda rows: rows.sexual_activity),
}


def heart_rates(record: Record) -> tuple[float, float | None, float | None]:
    """The mean, the lowest and the highest of a row, in whatever case its keys are. Raises RefusedError."""
    folded = {name.casefold(): value for name, value in record.items()}
    mean = number_or_none(folded, "avg")
    if mean is None:
        mean = number_or_none(folded, "qty")
    if mean is None:
        raise RefusedError(Reason.MISSING_FIELD, "Avg", "the row has neither Avg nor qty")
    low, high = number_or_none(folded, "min"), number_or_none(folded, "max")
    if (low is not None and low > mean) or (high is not None and high < mean):
        raise RefusedError(Reason.OUT_OF_RANGE, "Avg", f"the mean {mean} is not between {low} and {high}")
    return mean, low, high


def unknown(name: str) -> RefusedError:
    """The refusal of a metric that is none of our types."""
    return RefusedError(Reason.UNKNOWN_TYPE, "name", f"{printable(name)} is no metric that has a type here")
