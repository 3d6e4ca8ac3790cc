"""How a body moves: speed, power and cadence, and its gait."""

from healthsync_mqtt.model.entries import instant, of_a_day
from healthsync_mqtt.model.event_type import Daily, Quantity

TYPES = (
    instant("speed", Quantity("meters_per_second", "m/s", 0, 60, usual=2.8)),
    instant("running_speed", Quantity("meters_per_second", "m/s", 0, 15, usual=3.1)),
    instant("cycling_speed", Quantity("meters_per_second", "m/s", 0, 60, usual=7.5)),
    instant("power", Quantity("watts", "W", 0, 3000, usual=184)),
    instant("running_power", Quantity("watts", "W", 0, 3000, usual=246)),
    instant("cycling_power", Quantity("watts", "W", 0, 3000, usual=171)),
    # Steps and revolutions a minute are two things, whatever a source calls them.
    instant("cadence_steps", Quantity("steps_per_minute", "/min", 0, 300, usual=168), "step_cadence", "steps_cadence"),
    instant(
        "cadence_revolutions",
        Quantity("revolutions_per_minute", "/min", 0, 300, usual=84),
        "pedaling_cadence",
        "cycling_cadence",
    ),
    instant("functional_threshold_power", Quantity("watts", "W", 0, 1000, usual=231), "ftp", daily=Daily.LAST),
    instant("walking_speed", Quantity("meters_per_second", "m/s", 0, 15, usual=1.3)),
    instant("step_length", Quantity("cm", "cm", 0, 300, usual=72), "walking_step_length"),
    instant("walking_asymmetry", Quantity("percent", "%", 0, 100, usual=2), "walking_asymmetry_percentage"),
    instant(
        "double_support",
        Quantity("percent", "%", 0, 100, usual=28),
        "walking_double_support_percentage",
        "double_support_percentage",
    ),
    of_a_day("walking_steadiness", Quantity("percent", "%", 0, 100, usual=88), "apple_walking_steadiness"),
    instant("stair_ascent_speed", Quantity("meters_per_second", "m/s", 0, 10, usual=0.4)),
    instant("stair_descent_speed", Quantity("meters_per_second", "m/s", 0, 10, usual=0.5)),
    of_a_day(
        "six_minute_walk_distance", Quantity("meters", "m", 0, 3000, usual=520), "six_minute_walking_test_distance"
    ),
    instant("running_stride_length", Quantity("meters", "m", 0, 5, usual=1.1)),
    instant("ground_contact_time", Quantity("ms", "ms", 0, 2000, usual=252), "running_ground_contact_time"),
    instant("vertical_oscillation", Quantity("cm", "cm", 0, 100, usual=8.9), "running_vertical_oscillation"),
)
