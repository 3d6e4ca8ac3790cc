"""What is eaten and drunk: a meal with its items and nutrients, water, caffeine, alcohol."""

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.entries import instant, interval
from healthsync_mqtt.model.event_type import Daily, EventType, Form, Quantity, Span, TimeKind
from healthsync_mqtt.model.limits import DEFAULT, Limits
from healthsync_mqtt.model.points import US, Point, Spread, optional_floats, present
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.shapes import number, struct

MAX_ITEMS = 100

Meals = Literal["breakfast", "lunch", "dinner", "snack", "unknown"]

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
    Quantity("monounsaturated_fat_g", "g", 0, 5000),
    Quantity("polyunsaturated_fat_g", "g", 0, 5000),
    Quantity("unsaturated_fat_g", "g", 0, 5000),
    Quantity("cholesterol_mg", "mg", 0, 100_000),
    Quantity("sodium_mg", "mg", 0, 1_000_000),
    Quantity("potassium_mg", "mg", 0, 1_000_000),
    Quantity("calcium_mg", "mg", 0, 1_000_000),
    Quantity("magnesium_mg", "mg", 0, 1_000_000),
    Quantity("iron_mg", "mg", 0, 100_000),
    Quantity("zinc_mg", "mg", 0, 100_000),
    Quantity("phosphorus_mg", "mg", 0, 1_000_000),
    Quantity("chloride_mg", "mg", 0, 1_000_000),
    Quantity("copper_mg", "mg", 0, 100_000),
    Quantity("manganese_mg", "mg", 0, 100_000),
    Quantity("iodine_ug", "ug", 0, 1_000_000),
    Quantity("selenium_ug", "ug", 0, 1_000_000),
    Quantity("chromium_ug", "ug", 0, 1_000_000),
    Quantity("molybdenum_ug", "ug", 0, 1_000_000),
    Quantity("vitamin_a_ug", "ug", 0, 1_000_000),
    Quantity("thiamin_mg", "mg", 0, 100_000),
    Quantity("riboflavin_mg", "mg", 0, 100_000),
    Quantity("niacin_mg", "mg", 0, 100_000),
    Quantity("pantothenic_acid_mg", "mg", 0, 100_000),
    Quantity("vitamin_b6_mg", "mg", 0, 100_000),
    Quantity("biotin_ug", "ug", 0, 1_000_000),
    Quantity("folate_ug", "ug", 0, 1_000_000),
    Quantity("vitamin_b12_ug", "ug", 0, 1_000_000),
    Quantity("vitamin_c_mg", "mg", 0, 1_000_000),
    Quantity("vitamin_d_ug", "ug", 0, 1_000_000),
    Quantity("vitamin_e_mg", "mg", 0, 100_000),
    Quantity("vitamin_k_ug", "ug", 0, 1_000_000),
    Quantity("caffeine_mg", "mg", 0, 5000),
    Quantity("alcohol_g", "g", 0, 5000),
    Quantity("water_ml", "mL", 0, 20_000),
)
_AMOUNTS = (
    Quantity("grams", "g", 0, 20_000),
    Quantity("milliliters", "mL", 0, 20_000),
    Quantity("servings", "1", 0, 1000),
)


def _food(nutrients: tuple[Quantity, ...], amounts: tuple[Quantity, ...]) -> Form:
    """``{"meal": "lunch", "items": [{"name": "Oats", "grams": 60, "energy_kcal": 225}], "energy_kcal": 225}``.

    Nutrients stand in the value (of the whole meal), in its items, or in both; all are optional, one must be there.
    """
    eaten = [(n.field, number(n.low, n.high) | None, None) for n in nutrients]
    weighed = [(a.field, number(a.low, a.high) | None, None) for a in amounts]
    item = struct("FoodItem", [("name", Annotated[str, Meta(min_length=1)]), *weighed, *eaten])
    items = Annotated[list[item], Meta(max_length=MAX_ITEMS)]  # type: ignore[valid-type]
    no_items: Any = msgspec.field(default_factory=list)
    shape = struct("Food", [("meal", Meals | None, None), ("items", items, no_items), *eaten])

    def refine(value: Any, _span: Span, limits: Limits) -> Any:
        if not value.items and all(getattr(value, n.field) is None for n in nutrients):
            raise RefusedError(Reason.MISSING_FIELD, "items", "food has neither items nor nutrients")
        for place, eaten_item in enumerate(value.items):
            if len(eaten_item.name) > limits.max_string:
                message = f"the name is longer than {limits.max_string} characters"
                raise RefusedError(Reason.BAD_STRING, f"items[{place}].name", message)
        return value

    return Form(shape, refine, _has_something)


def _has_something(schema: dict[str, Any]) -> dict[str, Any]:
    nutrients = [name for name in schema["properties"] if name not in {"meal", "items"}]
    given = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in nutrients]
    schema["properties"]["items"]["items"]["properties"]["name"]["maxLength"] = DEFAULT.max_string
    return schema | {"anyOf": [{"required": ["items"], "properties": {"items": {"minItems": 1}}}, *given]}


def _spread(nutrients: tuple[str, ...], amounts: tuple[str, ...]) -> Spread:
    """The meal with its totals, and each item that has a number."""
    item = msgspec.defstruct("StoredItem", optional_floats(amounts + nutrients))
    no_items: Any = msgspec.field(default_factory=list)
    fields: list[Any] = [("meal", str | None, None), ("items", list[item], no_items)]  # type: ignore[valid-type]
    stored = msgspec.defstruct("StoredFood", [*fields, *optional_floats(nutrients)], gc=False)

    def points(value: Any, start_us: int, end_us: int | None) -> list[Point]:
        meal: list[tuple[str, float | str]] = [("meal", value.meal)] if value.meal in get_args(Meals) else []
        meal.append(("items", len(value.items)))
        for name in nutrients:
            amount = getattr(value, name)
            eaten = [part for item in value.items if (part := getattr(item, name)) is not None]
            if amount is not None or eaten:
                meal.append((name, sum(eaten) if amount is None else amount))
        if end_us is not None:
            meal.append(("duration_s", (end_us - start_us) / US))
        items = [present(each, amounts + nutrients) for each in value.items]
        return [
            Point("food", start_us, tuple(meal)),
            *(Point("food_item", start_us, found) for found in items if found),
        ]

    return Spread(stored=stored, points=points, parts=("food_item",), texts=frozenset({"meal"}))


TYPES = (
    EventType(
        name="food",
        kind=TimeKind.SESSION,
        quantities=(*_NUTRIENTS, *_AMOUNTS),
        shapes=lambda: {"items": _food(_NUTRIENTS, _AMOUNTS)},
        daily=Daily.SUM,
        aliases=("nutrition", "meal"),
        loinc="80453-4",
        own_spread=lambda: _spread(tuple(each.field for each in _NUTRIENTS), tuple(each.field for each in _AMOUNTS)),
        example={
            "meal": "breakfast",
            "items": [{"name": "Oats", "grams": 60, "energy_kcal": 225}],
            "energy_kcal": 225,
        },
    ),
    interval("hydration", Quantity("ml", "mL", 0, 20_000, usual=250), "water", "dietary_water", separate=True),
    instant("caffeine", Quantity("mg", "mg", 0, 5000, usual=95), "dietary_caffeine", daily=Daily.SUM),
    instant(
        "alcohol",
        Quantity("drinks", "{drinks}", 0, 100, usual=1),
        "alcoholic_beverages",
        "number_of_alcoholic_beverages",
        daily=Daily.SUM,
    ),
)
