"""What a body does in a day: amounts between a start and an end, and what a source says of a whole day."""

from healthsync_mqtt.model.entries import instant, interval, of_a_day
from healthsync_mqtt.model.event_type import Quantity

TYPES = (
    interval("steps", Quantity("steps", "{steps}", 0, 200_000, "55423-8", 412), "step", "step_count"),
    interval(
        "distance", Quantity("meters", "m", 0, 1_000_000, "55430-3", 640, checked=False), "distance_walking_running"
    ),
    interval("distance_cycling", Quantity("meters", "m", 0, 1_000_000, usual=8200)),
    interval("distance_swimming", Quantity("meters", "m", 0, 200_000, "93816-7", 1000)),
    interval("distance_wheelchair", Quantity("meters", "m", 0, 1_000_000, usual=1200)),
    interval(
        "distance_snow_sports", Quantity("meters", "m", 0, 1_000_000, usual=5400), "distance_downhill_snow_sports"
    ),
    interval(
        "energy_active",
        Quantity("kcal", "kcal", 0, 30_000, "41981-2", 31),
        "active_energy",
        "active_energy_burned",
        "active_calories",
    ),
    interval("energy_basal", Quantity("kcal", "kcal", 0, 10_000, usual=68), "basal_energy_burned", "basal_energy"),
    interval("energy_total", Quantity("kcal", "kcal", 0, 40_000, "41979-6", 99), "total_energy", "total_calories"),
    interval("floors", Quantity("floors", "{flights}", 0, 10_000, "100304-5", 3), "floors_climbed", "flights_climbed"),
    interval("elevation_gain", Quantity("meters", "m", 0, 20_000, usual=46), "elevation_gained"),
    interval("exercise_time", Quantity("minutes", "min", 0, 1440, usual=22), "apple_exercise_time"),
    interval("wheelchair_pushes", Quantity("pushes", "{pushes}", 0, 200_000, "96502-0", 310), "push_count"),
    interval("swimming_strokes", Quantity("strokes", "{strokes}", 0, 100_000, usual=480), "swimming_stroke_count"),
    interval("falls", Quantity("falls", "{falls}", 0, 1000, usual=1), "number_of_times_fallen"),
    instant("met", Quantity("met", "{MET}", 0, 30, usual=1.6), "physical_effort"),
    # What a source says of a day is never added to what came in between.
    of_a_day("daily_steps", Quantity("steps", "{steps}", 0, 200_000, "41950-7", 8123)),
    of_a_day("daily_distance", Quantity("meters", "m", 0, 1_000_000, usual=6120)),
    of_a_day("daily_floors", Quantity("floors", "{flights}", 0, 10_000, usual=11)),
    of_a_day("daily_elevation_gain", Quantity("meters", "m", 0, 20_000, usual=84)),
    of_a_day("daily_energy_active", Quantity("kcal", "kcal", 0, 30_000, usual=512)),
    of_a_day("daily_energy_basal", Quantity("kcal", "kcal", 0, 10_000, usual=1640)),
    of_a_day("daily_energy_total", Quantity("kcal", "kcal", 0, 40_000, "41979-6", 2152)),
    of_a_day("active_minutes_light", Quantity("minutes", "min", 0, 1440, usual=120), "light_minutes"),
    of_a_day("active_minutes_moderate", Quantity("minutes", "min", 0, 1440, "77592-4", 31), "moderate_minutes"),
    of_a_day("active_minutes_vigorous", Quantity("minutes", "min", 0, 1440, "77593-2", 12), "vigorous_minutes"),
    of_a_day("stand_time", Quantity("minutes", "min", 0, 1440, usual=96), "apple_stand_time"),
    of_a_day("stand_hours", Quantity("hours", "h", 0, 25, usual=11), "apple_stand_hour"),
    of_a_day("sedentary_time", Quantity("minutes", "min", 0, 1500, usual=610)),
)
