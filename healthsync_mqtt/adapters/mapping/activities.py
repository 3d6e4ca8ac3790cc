"""What was done in a workout: our word for a provider's, and theirs beside it where we have none."""

import re
from collections.abc import Mapping
from typing import Any, Final

from healthsync_mqtt.model.types.workout import ACTIVITY

_OURS: Final = frozenset(ACTIVITY.words)
_BREAK: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_LONGEST: Final = 64

#: Spellings that several providers share.
_SHARED: Final = {
    "run": "running", "jogging": "running", "trail_run": "trail_running", "virtual_run": "indoor_running",
    "treadmill_running": "indoor_running", "indoor_run": "indoor_running", "street_running": "running",
    "track_running": "running", "ride": "cycling", "biking": "cycling", "bike": "cycling", "road_biking": "cycling",
    "road_cycling": "cycling", "spinning": "indoor_cycling", "stationary_biking": "indoor_cycling",
    "virtual_ride": "indoor_cycling", "mountain_bike_ride": "mountain_biking", "gravel_ride": "cycling",
    "e_bike_ride": "cycling", "gravel_cycling": "cycling", "walk": "walking", "casual_walking": "walking",
    "speed_walking": "walking", "hike": "hiking", "swim": "swimming", "lap_swimming": "pool_swimming",
    "swimming_pool": "pool_swimming", "swimming_open_water": "open_water_swimming", "weight_training": "weightlifting",
    "weights": "weightlifting", "strength": "strength_training", "hiit": "high_intensity_interval_training",
    "interval_workout": "high_intensity_interval_training", "circuit_training": "cross_training",
    "crossfit": "cross_training", "functional_fitness": "functional_strength_training",
    "rowing_machine": "indoor_rowing", "virtual_row": "indoor_rowing", "row": "rowing", "canoeing": "paddle_sports",
    "kayaking": "paddle_sports", "stand_up_paddling": "paddle_sports", "alpine_ski": "downhill_skiing",
    "alpine_skiing": "downhill_skiing", "backcountry_ski": "skiing", "nordic_ski": "cross_country_skiing",
    "snowboard": "snowboarding", "snowshoe": "snowshoeing", "ice_skate": "ice_skating", "inline_skate": "skating",
    "rock_climbing": "climbing", "stair_stepper": "stair_climbing", "stairclimber": "stair_climbing",
    "tai_chi_chuan": "tai_chi", "dancing": "dance", "horseback_riding": "equestrian_sports", "football": "soccer",
    "skateboard": "skateboarding", "surf": "surfing", "windsurf": "water_sports", "kitesurf": "water_sports",
    "sail": "sailing", "meditation": "mind_and_body", "breathwork": "mind_and_body",
}  # fmt: skip


def activity(found: Any, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """``activity`` in our word; where there is none it is ``other`` and theirs is its ``name``.

    The word of a provider's own list is no free text of the user.
    """
    if not isinstance(found, str) or not found.strip():
        return {"activity": "other"}
    plain = "_".join(part for part in _BREAK.split(found.strip()[:_LONGEST]) if part).lower()
    word = (own or {}).get(plain) or _SHARED.get(plain) or plain
    if word in _OURS:
        return {"activity": word}
    return {"activity": "other"} | ({"name": plain.replace("_", " ")} if plain else {})
