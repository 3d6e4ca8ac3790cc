"""Vital signs other than those of heart and blood."""

from healthsync_mqtt.model.event_type import Quantity, instant

TYPES = (
    instant("spo2", Quantity("percent", "%", 50, 100, "59408-5", 97), "oxygen_saturation", "blood_oxygen"),
    instant("respiratory_rate", Quantity("breaths_per_minute", "/min", 3, 80, "9279-1", 14), "respiration_rate"),
    instant("body_temperature", Quantity("celsius", "Cel", 30, 45, "8310-5", 36.6), "body_temp"),
)
