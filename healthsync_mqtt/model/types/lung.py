"""The lungs: how much they hold and how fast they empty, and what helps them."""

from healthsync_mqtt.model.entries import instant, interval
from healthsync_mqtt.model.event_type import Daily, Quantity

TYPES = (
    instant("fev1", Quantity("liters", "L", 0, 10, "20150-9", 3.4), "forced_expiratory_volume1", daily=Daily.LAST),
    instant("fvc", Quantity("liters", "L", 0, 10, "19870-5", 4.3), "forced_vital_capacity", daily=Daily.LAST),
    instant(
        "pef", Quantity("liters_per_minute", "L/min", 0, 1200, "19935-6", 480), "peak_expiratory_flow_rate", "peak_flow"
    ),
    interval("inhaler_usage", Quantity("puffs", "{puffs}", 0, 1000, usual=2), separate=True),
)
