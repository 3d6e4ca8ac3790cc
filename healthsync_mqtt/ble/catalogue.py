"""All profiles that are read."""

from typing import Final

from healthsync_mqtt.ble.assigned_numbers import uuid
from healthsync_mqtt.ble.profile import Profile
from healthsync_mqtt.ble.profiles import (
    blood_pressure,
    body_composition,
    cycling,
    glucose,
    heart_rate,
    pulse_oximeter,
    running,
    thermometer,
    weight_scale,
)

PROFILES: Final[tuple[Profile, ...]] = (
    heart_rate.PROFILE,
    blood_pressure.PROFILE,
    weight_scale.PROFILE,
    body_composition.PROFILE,
    thermometer.PROFILE,
    glucose.PROFILE,
    pulse_oximeter.PROFILE,
    running.PROFILE,
    cycling.PROFILE,
)
BY_SERVICE: Final = {uuid(each.service): each for each in PROFILES}
"""By the UUID under which a device announces them."""
