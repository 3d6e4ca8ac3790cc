"""The heart: its rate and the variation of it."""

from healthsync_mqtt.model.event_type import Quantity, instant

TYPES = (
    instant("heart_rate", Quantity("bpm", "/min", 20, 300, "8867-4"), "hr", "heartrate"),
    instant("resting_heart_rate", Quantity("bpm", "/min", 20, 200, "40443-4"), "rhr", "resting_hr"),
    # No alias "hrv": HealthKit's is SDNN, which must never be mixed with RMSSD.
    instant("hrv_rmssd", Quantity("ms", "ms", 0, 500), "rmssd"),
)
