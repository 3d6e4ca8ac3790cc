"""The heart: its rate and the variation of it."""

from healthsync_mqtt.model.event_type import Daily, Quantity, instant

TYPES = (
    instant("heart_rate", Quantity("bpm", "/min", 20, 300, "8867-4", 72), "hr", "heartrate"),
    instant(
        "resting_heart_rate", Quantity("bpm", "/min", 20, 200, "40443-4", 54), "rhr", "resting_hr", daily=Daily.LAST
    ),
    # No alias "hrv": HealthKit's is SDNN, others' RMSSD, and the two are never mixed.
    instant("hrv_rmssd", Quantity("ms", "ms", 0, 500, usual=42), "rmssd"),
    instant("hrv_sdnn", Quantity("ms", "ms", 0, 500, "80404-7", 51), "sdnn"),
)
