"""Vital signs other than those of heart and blood."""

from healthsync_mqtt.model.entries import instant, of_a_day
from healthsync_mqtt.model.event_type import Quantity, Words
from healthsync_mqtt.model.units import DIFFERENCE

_SITE = Words(
    "site",
    ("armpit", "finger", "forehead", "mouth", "rectum", "temporal_artery", "toe", "ear", "wrist", "vagina", "unknown"),
)

TYPES = (
    instant("spo2", Quantity("percent", "%", 50, 100, "59408-5", 97), "oxygen_saturation", "blood_oxygen"),
    of_a_day("daily_spo2", Quantity("percent", "%", 50, 100, usual=96.4)),
    instant("respiratory_rate", Quantity("breaths_per_minute", "/min", 3, 80, "9279-1", 14), "respiration_rate"),
    of_a_day("daily_respiratory_rate", Quantity("breaths_per_minute", "/min", 3, 80, usual=14.2)),
    instant("body_temperature", Quantity("celsius", "Cel", 30, 45, "8310-5", 36.6), "body_temp", extras=(_SITE,)),
    instant("skin_temperature", Quantity("celsius", "Cel", 10, 45, usual=33.7), "wrist_temperature"),
    # A deviation from the person's own baseline is no temperature.
    of_a_day(
        "skin_temperature_delta",
        Quantity("celsius", "Cel", -10, 10, usual=0.2, units=DIFFERENCE),
        "skin_temperature_deviation",
        "temperature_deviation",
    ),
    instant("perfusion_index", Quantity("percent", "%", 0, 100, "61006-3", 4.1), "peripheral_perfusion_index"),
    instant("electrodermal_activity", Quantity("microsiemens", "uS", 0, 1000, usual=2.4)),
)
