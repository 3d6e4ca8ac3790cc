"""What a body does: amounts between a start and an end."""

from healthsync_mqtt.model.event_type import Quantity, interval

TYPES = (
    interval("steps", Quantity("steps", "{steps}", 0, 200_000, "55423-8", 412), "step", "step_count"),
    interval("distance", Quantity("meters", "m", 0, 1_000_000, "55430-3", 640, checked=False)),
    interval(
        "energy_active",
        Quantity("kcal", "kcal", 0, 30_000, "41981-2", 31),
        "active_energy",
        "active_energy_burned",
        "active_calories",
    ),
    interval("floors", Quantity("floors", "{flights}", 0, 10_000, "100304-5", 3), "floors_climbed", "flights_climbed"),
)
