"""What a body measures."""

from healthsync_mqtt.model.event_type import Daily, Quantity, instant

TYPES = (
    instant("weight", Quantity("kg", "kg", 0.5, 650, "29463-7", 72.4), "body_weight", "body_mass", daily=Daily.LAST),
)
