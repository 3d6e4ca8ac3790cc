"""Discovery messages: Home Assistant is told of each type of a user as sensors of one device, which is the user.

One message a user and type, so that rights, consent and opt-out are decided by topic alone; the device in all of them
has the same identifier, so that Home Assistant makes one of them.
"""

from typing import Any, Final

import msgspec

from healthsync_mqtt import __version__
from healthsync_mqtt.model.sensors import SENSORS, Sensor

_encode: Final = msgspec.json.Encoder().encode
_ORIGIN: Final = {"name": "HealthSync MQTT", "sw": __version__}
_ATTRIBUTES: Final = (
    "{{ {'start_time': value_json.start_time, 'end_time': value_json.end_time,"
    " 'device_id': value_json.device_id} | tojson }}"
)


def discovery(user: str, type_name: str, state_topic: str) -> bytes:
    """What Home Assistant is told of a type of a user, whose states are on ``state_topic``."""
    return _encode(
        {
            "device": {"identifiers": [f"healthsync:{user}"], "name": user, "manufacturer": "HealthSync MQTT"},
            "origin": _ORIGIN,
            "components": {
                f"{type_name}_{sensor.name}": _component(user, type_name, sensor, state_topic)
                for sensor in SENSORS[type_name]
            },
            "state_topic": state_topic,
            "qos": 1,
        }
    )


def _component(user: str, type_name: str, sensor: Sensor, state_topic: str) -> dict[str, Any]:
    words = type_name.replace("_", " ").capitalize()
    said: dict[str, Any] = {
        "platform": "sensor",
        # No id has a colon: with any other sign two users could come to the same one.
        "unique_id": f"healthsync:{user}:{type_name}:{sensor.name}",
        "name": f"{words} {sensor.label}".strip(),
        # Where a value may be absent the state is unknown, and no old one stays.
        "value_template": f"{{{{ value_json.{sensor.name} | default('None') }}}}",
        "json_attributes_topic": state_topic,
        "json_attributes_template": _ATTRIBUTES,
    }
    more = {
        "device_class": sensor.device_class,
        "state_class": sensor.state_class,
        "unit_of_measurement": sensor.unit,
        "icon": sensor.icon,
    }
    said |= {name: value for name, value in more.items() if value is not None}
    if sensor.unit is not None or sensor.state_class is not None:
        said["suggested_display_precision"] = sensor.precision
    if sensor.state_class == "total":
        said["last_reset_value_template"] = "{{ value_json.start_time }}"
    return said
