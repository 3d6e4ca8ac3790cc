"""The types of events: names, aliases, value forms, units (UCUM), plausible ranges and LOINC codes.

Ranges are wide on purpose: they refuse what no body or sensor produces, they do not judge health.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from healthsync_mqtt.model import values
from healthsync_mqtt.model.values import Form, Quantity

_HOUR_US = 3_600_000_000


class Kind(StrEnum):
    """How an event lies in time."""

    #: A measurement at one moment, or a series of them.
    INSTANT = "instant"
    #: An amount collected between start and end.
    INTERVAL = "interval"
    #: Something with parts: a night, a meal.
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event.

    ``forms`` are the shapes of its value by the field that marks each; ``usual`` is the first of them. ``quantities``
    are its numbers; ``unit`` is the unit of the first, None where the value is no number. A type with ``max_span_us``
    needs an end_time.
    """

    name: str
    kind: Kind
    quantities: tuple[Quantity, ...]
    forms: Mapping[str, Form]
    aliases: tuple[str, ...] = ()
    loinc: str | None = None
    max_span_us: int | None = None
    usual: Form = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "usual", next(iter(self.forms.values())))

    @property
    def unit(self) -> str | None:
        """The UCUM unit of the first quantity."""
        return self.quantities[0].unit if self.quantities else None


def _instant(name: str, quantity: Quantity, *aliases: str, more: Mapping[str, Form] | None = None) -> EventType:
    forms = {quantity.field: values.single(quantity), "samples": values.series(quantity), **(more or {})}
    return EventType(
        name=name, kind=Kind.INSTANT, quantities=(quantity,), forms=forms, aliases=aliases, loinc=quantity.loinc
    )


def _interval(name: str, quantity: Quantity, *aliases: str) -> EventType:
    forms = {quantity.field: values.single(quantity)}
    return EventType(
        name=name, kind=Kind.INTERVAL, quantities=(quantity,), forms=forms, aliases=aliases, loinc=quantity.loinc
    )


_BLOOD_PRESSURE = (
    Quantity("systolic", "mm[Hg]", 40, 300, "8480-6"),
    Quantity("diastolic", "mm[Hg]", 20, 200, "8462-4"),
    Quantity("pulse", "/min", 20, 300, "8867-4"),
)

_GLUCOSE = Quantity("mg_dl", "mg/dL", 10, 1000, "41653-7")

# Sources disagree about the unit of a nutrient (sodium in mg or in g), so each field names its own.
_NUTRIENTS = (
    Quantity("energy_kcal", "kcal", 0, 20_000, "9052-2"),
    Quantity("protein_g", "g", 0, 5000),
    Quantity("carbohydrate_g", "g", 0, 5000),
    Quantity("sugar_g", "g", 0, 5000),
    Quantity("fiber_g", "g", 0, 5000),
    Quantity("fat_g", "g", 0, 5000),
    Quantity("saturated_fat_g", "g", 0, 5000),
    Quantity("trans_fat_g", "g", 0, 5000),
    Quantity("cholesterol_mg", "mg", 0, 100_000),
    Quantity("sodium_mg", "mg", 0, 1_000_000),
    Quantity("potassium_mg", "mg", 0, 1_000_000),
    Quantity("calcium_mg", "mg", 0, 1_000_000),
    Quantity("magnesium_mg", "mg", 0, 1_000_000),
    Quantity("iron_mg", "mg", 0, 100_000),
    Quantity("zinc_mg", "mg", 0, 100_000),
    Quantity("vitamin_a_ug", "ug", 0, 1_000_000),
    Quantity("vitamin_b12_ug", "ug", 0, 1_000_000),
    Quantity("vitamin_c_mg", "mg", 0, 1_000_000),
    Quantity("vitamin_d_ug", "ug", 0, 1_000_000),
    Quantity("caffeine_mg", "mg", 0, 5000),
    Quantity("alcohol_g", "g", 0, 5000),
    Quantity("water_ml", "mL", 0, 20_000),
)
_AMOUNTS = (
    Quantity("grams", "g", 0, 20_000),
    Quantity("milliliters", "mL", 0, 20_000),
    Quantity("servings", "1", 0, 1000),
)

_TYPES = (
    _interval("steps", Quantity("steps", "{steps}", 0, 200_000, "55423-8"), "step", "step_count"),
    _interval("distance", Quantity("meters", "m", 0, 1_000_000, "55430-3")),
    _interval(
        "energy_active",
        Quantity("kcal", "kcal", 0, 30_000, "41981-2"),
        "active_energy",
        "active_energy_burned",
        "active_calories",
    ),
    _interval("floors", Quantity("floors", "{flights}", 0, 10_000, "100304-5"), "floors_climbed", "flights_climbed"),
    _instant("heart_rate", Quantity("bpm", "/min", 20, 300, "8867-4"), "hr", "heartrate"),
    _instant("resting_heart_rate", Quantity("bpm", "/min", 20, 200, "40443-4"), "rhr", "resting_hr"),
    # No alias "hrv": HealthKit's is SDNN, which must never be mixed with RMSSD.
    _instant("hrv_rmssd", Quantity("ms", "ms", 0, 500), "rmssd"),
    _instant("spo2", Quantity("percent", "%", 50, 100, "59408-5"), "oxygen_saturation", "blood_oxygen"),
    _instant("respiratory_rate", Quantity("breaths_per_minute", "/min", 3, 80, "9279-1"), "respiration_rate"),
    _instant("body_temperature", Quantity("celsius", "Cel", 30, 45, "8310-5"), "body_temp"),
    _instant("weight", Quantity("kg", "kg", 0.5, 650, "29463-7"), "body_weight", "body_mass"),
    _instant("glucose", _GLUCOSE, "blood_glucose", more={"mmol_l": values.glucose_mmol(_GLUCOSE)}),
    EventType(
        name="blood_pressure",
        kind=Kind.INSTANT,
        quantities=_BLOOD_PRESSURE,
        forms={"systolic": values.blood_pressure(*_BLOOD_PRESSURE)},
        aliases=("bp",),
        loinc="85354-9",
    ),
    EventType(
        name="sleep",
        kind=Kind.SESSION,
        quantities=(),
        forms={"stages": values.sleep()},
        aliases=("sleep_session",),
        loinc="93832-4",
        max_span_us=48 * _HOUR_US,
    ),
    EventType(
        name="food",
        kind=Kind.SESSION,
        quantities=(*_NUTRIENTS, *_AMOUNTS),
        forms={"items": values.food(_NUTRIENTS, _AMOUNTS)},
        aliases=("nutrition", "meal"),
        loinc="80453-4",
    ),
)

#: All types by their canonical names.
CATALOGUE: Mapping[str, EventType] = MappingProxyType({event_type.name: event_type for event_type in _TYPES})

_BY_ANY_NAME = {name: event_type for event_type in _TYPES for name in (event_type.name, *event_type.aliases)}


def resolve(name: str) -> EventType | None:
    """The type of this name or alias, None if there is none."""
    return _BY_ANY_NAME.get(name)
