"""What a provider makes of it all: scores that mean something only beside others of the same provider."""

from healthsync_mqtt.model.entries import instant, of_a_day
from healthsync_mqtt.model.event_type import Quantity

TYPES = (
    # Below zero some watches say "not measurable"; that is no stress.
    instant("stress", Quantity("score", "{score}", 0, 100, usual=31), "stress_level"),
    of_a_day("daily_stress", Quantity("score", "{score}", 0, 100, usual=34)),
    instant("body_battery", Quantity("score", "{score}", 0, 100, usual=62)),
    of_a_day("sleep_score", Quantity("score", "{score}", 0, 100, usual=81)),
    of_a_day("readiness", Quantity("score", "{score}", 0, 100, usual=77), "readiness_score"),
    of_a_day("recovery", Quantity("score", "{score}", 0, 100, usual=66), "recovery_score"),
    of_a_day("strain", Quantity("score", "{score}", 0, 21, usual=11.4), "strain_score"),
    of_a_day("activity_score", Quantity("score", "{score}", 0, 100, usual=85)),
    of_a_day("nightly_recharge", Quantity("score", "{score}", -10, 10, usual=2.1), "ans_charge"),
)
