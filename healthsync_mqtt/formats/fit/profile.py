"""What the numbers of FIT mean, as far as it is read here: kinds of messages, sports, and how amounts are scaled."""

from typing import Final

FILE_ID, DEVICE_SETTINGS, USER_PROFILE, SESSION, LAP, RECORD, EVENT = 0, 2, 3, 18, 19, 20, 21
DEVICE_INFO, WEIGHT_SCALE, ACTIVITY, BLOOD_PRESSURE, MONITORING, HRV_BEATS, LENGTH = 23, 30, 34, 51, 55, 78, 101
MONITORING_INFO, HR, RESTING, STRESS, VO2_MAX, SPO2, SLEEP_LEVEL, RESPIRATION = 103, 132, 211, 227, 229, 269, 275, 297
SLEEP_ASSESSMENT, HRV_STATUS, HRV_VALUE, SKIN_TEMPERATURE, BEATS, RAW_BEATS = 346, 370, 371, 398, 290, 372
HSA_STRESS, HSA_HEART_RATE, HSA_BODY_BATTERY, HSA_SPO2, HSA_RESPIRATION = 306, 308, 314, 305, 307

MEASURES: Final = {
    HRV_BEATS: "intervals between beats", BEATS: "intervals between beats", RAW_BEATS: "intervals between beats",
}  # fmt: skip
"""Messages that hold measurements of which there is no type here."""

GARMIN: Final = 1
MANUFACTURERS: Final = {
    1: "garmin", 15: "dynastream", 13: "dynastream", 23: "suunto", 32: "wahoo", 40: "concept2", 63: "specialized",
    89: "tacx", 123: "polar", 260: "zwift", 265: "strava", 267: "bryton", 294: "coros", 282: "the_sufferfest",
    289: "hammerhead", 255: "development", 38: "ohsung", 70: "sigma_sport", 76: "moxy",
}  # fmt: skip

_SPORTS: Final = {
    0: "other", 1: "running", 2: "cycling", 3: "transition", 4: "other", 5: "swimming", 6: "basketball", 7: "soccer",
    8: "tennis", 9: "american_football", 10: "cross_training", 11: "walking", 12: "cross_country_skiing",
    13: "downhill_skiing", 14: "snowboarding", 15: "rowing", 16: "hiking", 17: "hiking", 18: "multisport",
    19: "paddle_sports", 21: "cycling", 25: "golf", 27: "equestrian_sports", 28: "hunting", 29: "fishing",
    30: "skating", 31: "climbing", 32: "sailing", 33: "ice_skating", 35: "snowshoeing", 37: "paddle_sports",
    38: "surfing", 41: "paddle_sports", 42: "paddle_sports", 43: "sailing", 47: "boxing", 48: "stair_climbing",
    49: "baseball", 53: "scuba_diving", 58: "snow_sports", 62: "high_intensity_interval_training", 64: "racquetball",
    65: "wheelchair", 66: "wheelchair", 67: "mind_and_body", 69: "disc_sports", 71: "cricket", 72: "rugby",
    73: "hockey", 74: "lacrosse", 75: "volleyball", 78: "water_sports", 79: "archery", 80: "martial_arts", 83: "dance",
    84: "jump_rope", 88: "paddle_sports",
}  # fmt: skip
_SUB_SPORTS: Final = {
    1: "treadmill", 3: "trail_running", 4: "track_and_field", 6: "indoor_cycling", 8: "mountain_biking",
    12: "hand_cycling", 14: "indoor_rowing", 15: "elliptical", 16: "stair_climbing", 17: "pool_swimming",
    18: "open_water_swimming", 19: "flexibility", 20: "strength_training", 26: "mixed_cardio", 27: "indoor_walking",
    43: "yoga", 44: "pilates", 45: "indoor_running",
}  # fmt: skip
_ON_FOOT: Final = frozenset({1, 11, 16, 17})


def activity_of(sport: object, sub_sport: object) -> str:
    """Our word for a sport."""
    if isinstance(sub_sport, int) and sub_sport in _SUB_SPORTS:
        return _SUB_SPORTS[sub_sport]
    return _SPORTS.get(sport, "other") if isinstance(sport, int) else "other"


def is_on_foot(sport: object) -> bool:
    """Whether a cycle of a sport is a stride, of two steps."""
    return sport in _ON_FOOT


#: A field of a session and its number: ours, what it is divided by, and its bounds. The same ones of a lap follow.
SESSION_FIGURES: Final = (
    ("active_s", (8,), 1000, 0, 700_000),
    ("distance_m", (9,), 100, 0, 5_000_000),
    ("energy_kcal", (11,), 1, 1, 100_000),
    ("heart_rate_mean_bpm", (16,), 1, 20, 300),
    ("heart_rate_high_bpm", (17,), 1, 20, 300),
    ("heart_rate_low_bpm", (64,), 1, 20, 300),
    ("speed_mean_m_s", (124, 14), 1000, 0, 100),
    ("speed_high_m_s", (125, 15), 1000, 0, 100),
    ("power_mean_w", (20,), 1, 0, 3000),
    ("power_high_w", (21,), 1, 0, 5000),
    ("elevation_gain_m", (22,), 1, 0, 50_000),
    ("elevation_loss_m", (23,), 1, 0, 50_000),
    ("temperature_celsius", (57,), 1, -60, 60),
)
LAP_FIGURES: Final = (
    ("active_s", (8,), 1000, 0, 700_000),
    ("distance_m", (9,), 100, 0, 5_000_000),
    ("energy_kcal", (11,), 1, 1, 100_000),
    ("heart_rate_mean_bpm", (15,), 1, 20, 300),
    ("heart_rate_high_bpm", (16,), 1, 20, 300),
    ("speed_mean_m_s", (110, 13), 1000, 0, 100),
    ("speed_high_m_s", (111, 14), 1000, 0, 100),
    ("power_mean_w", (19,), 1, 0, 3000),
    ("power_high_w", (20,), 1, 0, 5000),
    ("elevation_gain_m", (21,), 1, 0, 50_000),
    ("elevation_loss_m", (22,), 1, 0, 50_000),
)

#: A counter of monitoring by the activities that it is of: our type, its field, what its number is divided by.
STEPS_ON: Final = frozenset({1, 6})
DISTANCE_ON: Final = {0: "distance", 1: "distance", 6: "distance", 2: "distance_cycling", 5: "distance_swimming",
                      13: "distance_wheelchair"}  # fmt: skip

#: What a scale measures: the field, our type and its field, the scale, and its bounds.
SCALE: Final = (
    (0, "weight", "kg", 100), (1, "body_fat_percentage", "percent", 100), (2, "body_water_percentage", "percent", 100),
    (4, "bone_mass", "kg", 100), (5, "muscle_mass", "kg", 100), (7, "basal_metabolic_rate", "kcal_per_day", 4),
    (10, "metabolic_age", "years", 1), (11, "visceral_fat", "rating", 1), (13, "bmi", "kg_m2", 10),
)  # fmt: skip
SLEEP_LEVELS: Final = {0: "unknown", 1: "awake", 2: "light", 3: "deep", 4: "rem"}
