"""What a body measures, and what it is made of."""

from healthsync_mqtt.model.entries import instant
from healthsync_mqtt.model.event_type import Daily, Quantity

_LAST = Daily.LAST

TYPES = (
    instant("weight", Quantity("kg", "kg", 0.5, 650, "29463-7", 72.4), "body_weight", "body_mass", daily=_LAST),
    instant("height", Quantity("meters", "m", 0.2, 2.8, "8302-2", 1.76), "body_height", daily=_LAST),
    instant("bmi", Quantity("kg_m2", "kg/m2", 5, 150, "39156-5", 23.4), "body_mass_index", daily=_LAST),
    instant(
        "body_fat_percentage", Quantity("percent", "%", 1, 85, "41982-0", 21.5), "body_fat", "fat_ratio", daily=_LAST
    ),
    instant("fat_mass", Quantity("kg", "kg", 0, 400, usual=15.6), "body_fat_mass", daily=_LAST),
    instant("lean_mass", Quantity("kg", "kg", 0, 400, "91557-9", 56.8), "lean_body_mass", "fat_free_mass", daily=_LAST),
    instant("muscle_mass", Quantity("kg", "kg", 0, 300, "73964-9", 53.9, checked=False), daily=_LAST),
    instant("bone_mass", Quantity("kg", "kg", 0, 300, usual=2.9), daily=_LAST),
    # Scales say water and muscle in kilograms or in percent; one is not the other without the weight.
    instant("body_water", Quantity("kg", "kg", 0, 300, usual=41.2), "body_water_mass", daily=_LAST),
    instant("body_water_percentage", Quantity("percent", "%", 0, 100, usual=56.9), daily=_LAST),
    instant("muscle_percentage", Quantity("percent", "%", 0, 100, usual=74.4), daily=_LAST),
    instant("visceral_fat", Quantity("rating", "1", 0, 60, usual=7), "visceral_fat_rating", daily=_LAST),
    instant("waist_circumference", Quantity("cm", "cm", 20, 300, "8280-0", 84), "waist", daily=_LAST),
    instant("hip_circumference", Quantity("cm", "cm", 20, 300, usual=98), "hip", daily=_LAST),
    instant("basal_metabolic_rate", Quantity("kcal_per_day", "kcal/d", 0, 10_000, usual=1640), "bmr", daily=_LAST),
    instant("metabolic_age", Quantity("years", "a", 1, 120, usual=36), daily=_LAST),
)
