# long: what an app of Health Connect may write is one table, and each of its arrays is read by a few lines here
"""Records of Health Connect as apps write them that read it on the phone: arrays by their names, fields by theirs.

Times are UTC and no offset is known unless the record says one. A record is known by its own id where it has one, else
by its type, its time and its app. Several readings under one field become a mean with its bounds.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple

from healthsync_mqtt.formats.port import Event, FormatEntry
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    items,
    number,
    number_or_none,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, moment_in
from healthsync_mqtt.formats.reading.scribe import Named, Scribe
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.types.workout import ACTIVITY


class NumberArray(NamedTuple):
    """An array of records that are one number: our type, its fields here and the units that they are in."""

    type: str
    fields: Mapping[str, str]


NUMBERS: Final = {
    "steps": NumberArray("steps", {"count": "{steps}"}),
    "distance": NumberArray("distance", {"meters": "m"}),
    "active_calories": NumberArray("energy_active", {"calories": "kcal"}),
    "total_calories": NumberArray("energy_total", {"calories": "kcal"}),
    "hydration": NumberArray("hydration", {"liters": "L"}),
    "heart_rate": NumberArray("heart_rate", {"bpm": "/min"}),
    "resting_heart_rate": NumberArray("resting_heart_rate", {"bpm": "/min"}),
    "heart_rate_variability": NumberArray("hrv_rmssd", {"rmssd_millis": "ms", "heart_rate_variability_millis": "ms"}),
    "oxygen_saturation": NumberArray("spo2", {"percentage": "%"}),
    "respiratory_rate": NumberArray("respiratory_rate", {"rate": "/min"}),
    "body_temperature": NumberArray("body_temperature", {"celsius": "Cel"}),
    "basal_body_temperature": NumberArray("basal_body_temperature", {"celsius": "Cel"}),
    "skin_temperature": NumberArray("skin_temperature_delta", {"delta_celsius": "Cel"}),
    "blood_glucose": NumberArray("glucose", {"mmol_per_liter": "mmol/L"}),
    "weight": NumberArray("weight", {"kilograms": "kg"}),
    "height": NumberArray("height", {"meters": "m"}),
    "body_fat": NumberArray("body_fat_percentage", {"percentage": "%"}),
    "lean_body_mass": NumberArray("lean_mass", {"kilograms": "kg"}),
    "bone_mass": NumberArray("bone_mass", {"kilograms": "kg"}),
    "body_water_mass": NumberArray("body_water", {"kilograms": "kg"}),
    "vo2_max": NumberArray("vo2_max", {"vo2_ml_per_min_per_kg": "mL/kg/min"}),
    "basal_metabolic_rate": NumberArray("basal_metabolic_rate", {"kilocalories_per_day": "kcal/d", "watts": "W"}),
}

_KCAL_PER_DAY_OF_A_WATT: Final = Fraction(86_400, 4184)

STAGES: Final = {
    "0": "unknown", "1": "awake", "2": "asleep", "3": "out_of_bed", "4": "light", "5": "deep", "6": "rem",
    "7": "awake_in_bed", "unknown": "unknown", "awake": "awake", "sleeping": "asleep", "out_of_bed": "out_of_bed",
    "light": "light", "deep": "deep", "rem": "rem", "awake_in_bed": "awake_in_bed", "in_bed": "in_bed",
}  # fmt: skip
"""By the numbers of Health Connect, which some apps write as texts, and by its words."""

#: The numbers of Health Connect for what was done.
ACTIVITIES: Final = {
    2: "badminton", 4: "baseball", 5: "basketball", 8: "cycling", 9: "indoor_cycling", 11: "boxing",
    13: "calisthenics", 14: "cricket", 16: "dance", 25: "elliptical", 27: "fencing", 28: "american_football",
    29: "australian_football", 31: "disc_sports", 32: "golf", 34: "gymnastics", 35: "handball",
    36: "high_intensity_interval_training", 37: "hiking", 38: "ice_hockey", 39: "ice_skating", 44: "martial_arts",
    46: "paddle_sports", 47: "paragliding", 48: "pilates", 50: "racquetball", 51: "climbing", 52: "hockey",
    53: "rowing", 54: "indoor_rowing", 55: "rugby", 56: "running", 57: "treadmill", 58: "sailing", 59: "scuba_diving",
    60: "skating", 61: "skiing", 62: "snowboarding", 63: "snowshoeing", 64: "soccer", 65: "softball", 66: "squash",
    68: "stair_climbing", 69: "stair_climbing", 70: "strength_training", 71: "stretching", 72: "surfing",
    73: "open_water_swimming", 74: "pool_swimming", 75: "table_tennis", 76: "tennis", 78: "volleyball", 79: "walking",
    80: "water_polo", 81: "weightlifting", 82: "wheelchair", 83: "yoga",
}  # fmt: skip

#: A nutrient as it is called before its unit, and our field of it.
_NUTRIENTS: Final = {
    "protein": "protein_g", "carbs": "carbohydrate_g", "carbohydrates": "carbohydrate_g",
    "total_carbohydrate": "carbohydrate_g", "fat": "fat_g", "total_fat": "fat_g", "dietary_fibre": "fiber_g",
    "dietary_fiber": "fiber_g", "fiber": "fiber_g", "sugar": "sugar_g", "sugars": "sugar_g",
    "saturated_fat": "saturated_fat_g", "trans_fat": "trans_fat_g", "monounsaturated_fat": "monounsaturated_fat_g",
    "polyunsaturated_fat": "polyunsaturated_fat_g", "unsaturated_fat": "unsaturated_fat_g",
    "cholesterol": "cholesterol_mg", "sodium": "sodium_mg", "potassium": "potassium_mg", "calcium": "calcium_mg",
    "magnesium": "magnesium_mg", "iron": "iron_mg", "zinc": "zinc_mg", "phosphorus": "phosphorus_mg",
    "chloride": "chloride_mg", "copper": "copper_mg", "manganese": "manganese_mg", "iodine": "iodine_ug",
    "selenium": "selenium_ug", "chromium": "chromium_ug", "molybdenum": "molybdenum_ug", "vitamin_a": "vitamin_a_ug",
    "thiamin": "thiamin_mg", "riboflavin": "riboflavin_mg", "niacin": "niacin_mg",
    "pantothenic_acid": "pantothenic_acid_mg", "vitamin_b6": "vitamin_b6_mg", "biotin": "biotin_ug",
    "folate": "folate_ug", "folic_acid": "folate_ug", "vitamin_b12": "vitamin_b12_ug", "vitamin_c": "vitamin_c_mg",
    "vitamin_d": "vitamin_d_ug", "vitamin_e": "vitamin_e_mg", "vitamin_k": "vitamin_k_ug", "caffeine": "caffeine_mg",
}  # fmt: skip
_SUFFIXES: Final = {"_grams": "g", "_g": "g", "_mg": "mg", "_milligrams": "mg", "_mcg": "mcg", "_micrograms": "mcg"}
_MEALS: Final = {
    "breakfast": "breakfast", "lunch": "lunch", "dinner": "dinner", "snack": "snack",
    "1": "breakfast", "2": "lunch", "3": "dinner", "4": "snack",
}  # fmt: skip

_RECORDINGS: Final = {
    "manual": "manual", "manual_entry": "manual", "automatic": "auto", "automatically_recorded": "auto",
    "active": "active", "actively_recorded": "active", "1": "active", "2": "auto", "3": "manual",
}  # fmt: skip
_DEVICES: Final = {
    "1": "watch", "2": "phone", "3": "scale", "4": "ring", "5": "head_mounted", "6": "fitness_band", "7": "chest_strap",
    "8": "smart_display",
}  # fmt: skip

_FLOWS: Final = {"1": "light", "2": "medium", "3": "heavy", "light": "light", "medium": "medium", "heavy": "heavy"}
_OVULATION: Final = {
    "0": "indeterminate", "1": "positive", "2": "high", "3": "negative", "inconclusive": "indeterminate",
    "positive": "positive", "high": "high", "negative": "negative",
}  # fmt: skip
_MUCUS: Final = {
    "1": "dry", "2": "sticky", "3": "creamy", "4": "watery", "5": "egg_white", "6": "unusual", "dry": "dry",
    "sticky": "sticky", "creamy": "creamy", "watery": "watery", "egg_white": "egg_white", "unusual": "unusual",
}  # fmt: skip
_PROTECTION: Final = {"1": "protected", "2": "unprotected", "protected": "protected", "unprotected": "unprotected"}


class About(NamedTuple):
    """What a record says beside its value: who made it, its id, its version, by which clock."""

    app: str | None
    name: str | None
    version: int | Literal["latest"]
    source: Mapping[str, Any]
    device: Mapping[str, Any]
    start_offset_s: int | None
    end_offset_s: int | None


def about(scribe: Scribe, record: Record) -> About:
    """What a record says of itself. Raises RefusedError for a time of change that is none."""
    said = inner(record, "metadata")
    modified = text_or_none(said, "last_modified")
    with inside("metadata"):
        version: int | Literal["latest"] = scribe.moment_in(said, "last_modified").us // 1000 if modified else "latest"
    recording = _RECORDINGS.get(str(said.get("recording_method")).casefold())
    maker = inner(said, "device")
    device = {field: found[:64] for field in ("manufacturer", "model") if (found := text_or_none(maker, field))}
    if maker.get("type") is not None:
        device["type"] = _DEVICES.get(str(maker["type"]), str(maker["type"])[:64])
    zone = text_or_none(said, "zone_offset")
    return About(
        text_or_none(record, "source") or text_or_none(said, "data_origin"),
        text_or_none(record, "uuid"),
        version,
        {"recording": recording} if recording else {},
        device,
        _offset(text_or_none(said, "start_zone_offset") or zone),
        _offset(text_or_none(said, "end_zone_offset") or zone),
    )


def _offset(text: str | None) -> int | None:
    """Seconds of ``+02:00``."""
    if text is None or len(text) < len("+02:00") or text[0] not in "+-" or not text[1:3].isdecimal():
        return 0 if text == "Z" else None
    minutes = text[4:6]
    if not minutes.isdecimal():
        return None
    return (int(text[1:3]) * 3600 + int(minutes) * 60) * (-1 if text[0] == "-" else 1)


class HealthRecords:
    """The arrays of one message, read a record at a time."""

    def __init__(self, scribe: Scribe, *, types: Mapping[str, str] = {}) -> None:  # never changed
        """``types``: what an array is here where it is of another type."""
        self._scribe = scribe
        self._zone = scribe.message.declared.zone
        self._types = types

    def reader(self, array: str) -> tuple[Callable[[Record], Iterator[Event | Named]], str] | None:
        """What reads the records of an array, and the type that they are of; None for an array that is none of ours."""
        if array in NUMBERS:
            of = NUMBERS[array]
            type_ = self._types.get(array, of.type)
            return lambda record: self._number(type_, of.fields, record), type_
        special = _SPECIAL.get(array)
        if special is None:
            return None
        type_, read = special
        return lambda record: read(self, record), type_

    # -- one number

    def _number(self, type_: str, fields: Mapping[str, str], record: Record) -> Iterator[Event | Named]:
        field = next((each for each in fields if record.get(each) is not None), None)
        if field is None and record.get("avg") is not None:
            unit = next(iter(fields.values()))
            value = mean(type_, unit, record)
            yield self.event(type_, value, record, source={"statistic": "mean"})
            return
        if field is None:
            raise RefusedError(Reason.MISSING_FIELD, next(iter(fields)), f"{next(iter(fields))} is missing")
        amount = self._in(type_, first_field(type_), number(record, field), fields[field], field)
        yield self.event(type_, {first_field(type_): amount}, record)

    @staticmethod
    def _in(type_: str, field: str, amount: float, unit: str, place: str) -> float:
        if unit == "W":
            return whole(float(round(_KCAL_PER_DAY_OF_A_WATT * Fraction(repr(amount)), 4)))
        return in_field(type_, field, amount, unit, place=place)

    # -- when, and by whom

    def times(self, type_: str, record: Record, said: About) -> tuple[Moment, Moment | None]:
        """The moment of a record, or its start and end. Raises RefusedError."""
        if record.get("start_time") is None and record.get("time") is not None:
            return self._at(record, "time", said.start_offset_s), None
        start = self._at(record, "start_time", said.start_offset_s)
        end = self._at(record, "end_time", said.end_offset_s)
        if end.us < start.us:
            raise RefusedError(Reason.BAD_INTERVAL, "end_time", "the record ends before it starts")
        if end.us == start.us and CATALOGUE[type_].kind is TimeKind.INTERVAL and type_ != "hydration":
            raise RefusedError(Reason.BAD_INTERVAL, "end_time", "an amount of no time")
        return start, None if type_ == "hydration" and end.us == start.us else end

    def _at(self, record: Record, field: str, offset_s: int | None) -> Moment:
        """What a clock said whose offset the record gives, or else the login's zone. Raises RefusedError."""
        at = moment_in(record, field, None if offset_s is not None else self._zone)
        return self._by_clock(at, offset_s)

    def _by_clock(self, at: Moment, offset_s: int | None) -> Moment:
        return Moment(at.us, offset_s) if offset_s is not None else in_zone(at, self._zone)

    def event(  # an event's parts
        self,
        type_: str,
        value: Mapping[str, Any],
        record: Record,
        times: tuple[Moment, Moment | None] | None = None,
        source: Mapping[str, Any] = {},  # never changed
        *,
        grows: bool = False,
        also: str = "",
    ) -> Event | Named:
        """The event of a record, under the name that the source has for it.

        Where it has none, one that ``grows`` is known by its start alone, and ``also`` tells it apart from others of
        its time.
        """
        said = about(self._scribe, record)
        start, end = times or self.times(type_, record, said)
        key: tuple[object, ...] = ("record", said.name) if said.name else ()
        if not key and (grows or also):
            key = ("from", start.text, said.app or "", also)
        event = self._scribe.event(
            type_,
            value,
            start,
            end,
            app=said.app,
            key=key,
            version=said.version,
            source={**said.source, **source},
            device=said.device,
        )
        return Named(event, said.name) if said.name else event

    # -- what has parts

    def blood_pressure(self, record: Record) -> Iterator[Event | Named]:
        """Both of one measurement."""
        value = {field: whole(number(record, field)) for field in ("systolic", "diastolic")}
        yield self.event("blood_pressure", value, record)

    def sleep(self, record: Record) -> Iterator[Event | Named]:
        """A session that says when it ended and how long it was."""
        said = about(self._scribe, record)
        end = self._at(record, "session_end_time", said.end_offset_s)
        seconds = number(record, "duration_seconds")
        if not 0 < seconds <= _LONGEST_S:
            raise RefusedError(Reason.BAD_INTERVAL, "duration_seconds", "the session has no length, or one of days")
        start = self._by_clock(Moment(end.us - round(seconds * 1_000_000)), said.start_offset_s)
        stages = []
        for place, stage in enumerate(items(record, "stages")):
            with inside(f"stages[{place}]"):
                each = as_record(stage)
                first, last = self._scribe.moment_in(each, "start_time"), self._scribe.moment_in(each, "end_time")
                word = STAGES.get(str(each.get("stage")).casefold(), "unknown")
                stages.append({"stage": word, "start_time": first.text, "end_time": last.text})
        yield self.event("sleep", {"stages": stages} if stages else {}, record, (start, end), grows=True)

    def exercise(self, record: Record) -> Iterator[Event | Named]:
        """What was done, by number or word."""
        word = record.get("type")
        if isinstance(word, int) or (isinstance(word, str) and word.isdecimal()):
            activity, name = ACTIVITIES.get(int(word), "other"), None
        else:
            said = text_or_none(record, "type") or "other"
            activity = "_".join(said.casefold().split())
            activity, name = (activity, None) if activity in ACTIVITY.words else ("other", said)
        value: dict[str, Any] = {"activity": activity}
        title = text_or_none(record, "title") or text_or_none(record, "name") or name
        if title:
            value["name"] = title[:256]
        seconds = number_or_none(record, "duration_seconds")
        if seconds is not None:
            value["active_s"] = whole(seconds)
        yield self.event("workout", value, record, grows=True)

    def nutrition(self, record: Record) -> Iterator[Event | Named]:
        """A meal, its name as its one item; each nutrient in the unit that its field ends with."""
        value: dict[str, Any] = {}
        meal = _MEALS.get(str(record.get("meal_type")).casefold())
        if meal:
            value["meal"] = meal
        name = text_or_none(record, "name")
        if name:
            value["items"] = [{"name": name}]
        calories = number_or_none(record, "calories")
        if calories is not None:
            value["energy_kcal"] = whole(calories)
        for field in record:
            unit = next((each for each in _SUFFIXES if field.endswith(each)), None)
            ours = _NUTRIENTS.get(field.removesuffix(unit)) if unit else None
            amount = number_or_none(record, field) if ours else None
            if ours and unit and amount is not None:
                value.setdefault(ours, in_field("food", ours, amount, _SUFFIXES[unit], place=field))
        yield self.event("food", value, record, also=name or "")

    def menstruation(self, record: Record) -> Iterator[Event | Named]:
        """A period from its start to its end."""
        yield self.event("menstruation", {"flow": "unspecified"}, record, grows=True)

    def flow(self, record: Record) -> Iterator[Event | Named]:
        """How heavy the bleeding was."""
        yield self.event("menstrual_flow", {"flow": _FLOWS.get(_word(record, "flow"), "unspecified")}, record)

    def ovulation(self, record: Record) -> Iterator[Event | Named]:
        """The result of a test."""
        result = _OVULATION.get(_word(record, "result"))
        if result is None:
            raise RefusedError(Reason.WRONG_TYPE, "result", "the result is none that is known")
        yield self.event("ovulation_test", {"result": result}, record)

    def mucus(self, record: Record) -> Iterator[Event | Named]:
        """How it looked."""
        yield self.event("cervical_mucus", {"appearance": _MUCUS.get(_word(record, "appearance"), "unknown")}, record)

    def sexual_activity(self, record: Record) -> Iterator[Event | Named]:
        """With or without protection."""
        protection = _PROTECTION.get(_word(record, "protection_used"), "unknown")
        yield self.event("sexual_activity", {"protection": protection}, record)

    def mindfulness(self, record: Record) -> Iterator[Event | Named]:
        """A session."""
        word = _word(record, "type")
        known = {"meditation", "breathing", "movement", "music", "unguided"}
        yield self.event("mindfulness", {"activity": word if word in known else "unknown"}, record, grows=True)


def _word(record: Record, field: str) -> str:
    return str(record.get(field)).casefold()


def mean(type_: str, unit: str, record: Record, *, field: str = "") -> dict[str, float]:
    """``{"avg": 70.4, "min": 58, "max": 91}`` as a value: bounds where the type has a place for them."""
    ours = field or first_field(type_)
    found = {name: number_or_none(record, name) for name in ("avg", "min", "max")}
    average, low, high = found["avg"], found["min"], found["max"]
    if average is None:
        raise RefusedError(Reason.MISSING_FIELD, "avg", "avg is missing")
    if (low is not None and low > average) or (high is not None and high < average):
        raise RefusedError(Reason.OUT_OF_RANGE, "avg", f"the mean {average} is not between {low} and {high}")
    value = {ours: in_field(type_, ours, average, unit)}
    if type_ == "heart_rate" and low is not None and high is not None:
        value |= {"low_bpm": whole(low), "high_bpm": whole(high)}
    return value


_LONGEST_S: Final = 48 * 3600
_SPECIAL: Final[Mapping[str, tuple[str, Callable[[HealthRecords, Record], Iterator[Event | Named]]]]] = {
    "blood_pressure": ("blood_pressure", HealthRecords.blood_pressure),
    "sleep": ("sleep", HealthRecords.sleep),
    "exercise": ("workout", HealthRecords.exercise),
    "nutrition": ("food", HealthRecords.nutrition),
    "menstruation_period": ("menstruation", HealthRecords.menstruation),
    "menstruation_flow": ("menstrual_flow", HealthRecords.flow),
    "ovulation_test": ("ovulation_test", HealthRecords.ovulation),
    "cervical_mucus": ("cervical_mucus", HealthRecords.mucus),
    "sexual_activity": ("sexual_activity", HealthRecords.sexual_activity),
    "mindfulness": ("mindfulness", HealthRecords.mindfulness),
}
ARRAYS: Final = (*NUMBERS, *_SPECIAL)
"""All arrays that are read."""


def taken_arrays() -> Iterator[FormatEntry]:
    """What the arrays become, for people."""
    for array, of in NUMBERS.items():
        yield FormatEntry(array, of.type, ", ".join(of.fields))
    for array, (type_, _) in _SPECIAL.items():
        yield FormatEntry(array, type_)
