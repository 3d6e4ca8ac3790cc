"""The table of sensors: every type is in it or left out with a reason, and Home Assistant accepts what it says.

Home Assistant needs a newer Python than we do. In November 2026 all sensors were put through the schema of its last
version for 3.11 by hand (2024.3.3, ``components/mqtt/sensor.py``): it takes each of them, but for the unit kcal and
the class of blood glucose, which it learned before it learned discovery by device. That a unit which a class does not
have is refused, and a last reset beside anything but a total, is newer than that version and tested here.
"""

import json

import msgspec
import pytest

from healthsync_mqtt.homeassistant.discovery import discovery
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import Daily, TimeKind
from healthsync_mqtt.model.sensors import LEFT_OUT, SENSORS, Sensor

# From Home Assistant's tables (sensor/const.py: DEVICE_CLASS_UNITS, DEVICE_CLASS_STATE_CLASSES), as far as they are
# used here: the units that a device class accepts, and the state classes.
TOTALS = {"total", "total_increasing"}
ACCEPTED: dict[str, tuple[set[str], set[str]]] = {
    "blood_glucose_concentration": ({"mg/dL", "mmol/L"}, {"measurement"}),
    "distance": ({"km", "m", "cm", "mm", "mi", "nmi", "yd", "ft", "in"}, {"measurement", *TOTALS}),
    "duration": ({"d", "h", "min", "s", "ms"}, {"measurement", *TOTALS}),
    "energy": ({"J", "kJ", "MJ", "GJ", "Wh", "kWh", "cal", "kcal", "Mcal", "Gcal"}, TOTALS),
    "power": ({"W", "kW", "MW", "GW", "TW"}, {"measurement"}),
    "pressure": ({"Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"}, {"measurement"}),
    "sound_pressure": ({"dB", "dBA"}, {"measurement"}),
    "speed": ({"m/s", "km/h", "mm/s", "ft/s", "mph", "kn", "in/s"}, {"measurement"}),
    "temperature": ({"°C", "°F", "K"}, {"measurement"}),
    "volume": ({"L", "mL", "m³", "gal", "fl. oz.", "ft³", "CCF"}, TOTALS),
    "volume_flow_rate": ({"m³/h", "L/min", "mL/s", "ft³/min", "gal/min"}, {"measurement"}),
    "weight": ({"kg", "g", "mg", "µg", "oz", "lb", "st"}, {"measurement", *TOTALS}),
}
ROWS = [(name, sensor) for name, sensors in SENSORS.items() for sensor in sensors]
UNITS = {
    "/min": {"bpm", "breaths/min", "steps/min", "rpm"}, "{steps}": {"steps"}, "{flights}": {"floors"},
    "{MET}": {"MET"}, "{pushes}": {"pushes"}, "{strokes}": {"strokes"}, "{falls}": {"falls"}, "{drinks}": {"drinks"},
    "{puffs}": {"puffs"},
    "{score}": {None}, "1": {None, "UV index"}, "Cel": {"°C"}, "mm[Hg]": {"mmHg"}, "kg/m2": {"kg/m²"}, "a": {"years"},
    "uS": {"µS"}, "[IU]": {"IU"}, "/h": {"1/h"},
}  # fmt: skip
"""What our units are called there, where it is not the same word."""


def test_every_type_has_sensors_or_a_reason_why_not() -> None:
    assert set(SENSORS) | set(LEFT_OUT) == set(CATALOGUE)
    assert not set(SENSORS) & set(LEFT_OUT)
    assert all(SENSORS.values())
    assert [name for name in CATALOGUE if name in SENSORS] == list(SENSORS), "in the order of the catalogue"


@pytest.mark.parametrize(("name", "sensor"), ROWS, ids=[f"{name}.{sensor.name}" for name, sensor in ROWS])
def test_home_assistant_accepts_the_unit_and_the_state_class(name: str, sensor: Sensor) -> None:
    if sensor.device_class is not None:
        units, state_classes = ACCEPTED[sensor.device_class]
        assert sensor.unit in units
        assert sensor.state_class is None or sensor.state_class in state_classes
    if sensor.state_class == "total":
        of = CATALOGUE[name]
        assert of.kind is TimeKind.DAILY, "only what is said of a whole day has a beginning to be counted from"
        assert of.daily is Daily.LAST
    if sensor.state_class == "measurement":
        assert CATALOGUE[name].daily is not Daily.SUM or sensor.per != 1, "an amount is no measurement"


@pytest.mark.parametrize(("name", "sensor"), ROWS, ids=[f"{name}.{sensor.name}" for name, sensor in ROWS])
def test_the_unit_is_that_of_the_field(name: str, sensor: Sensor) -> None:
    quantity = next((each for each in CATALOGUE[name].quantities if each.field == sensor.field), None)
    if sensor.per != 1:
        assert (sensor.field[-2:], sensor.per, sensor.unit, sensor.key[-4:]) == ("_s", 60, "min", "_min")
    elif quantity is None:
        assert (sensor.unit, sensor.state_class) == (None, None), "a word"
        assert sensor.field in CATALOGUE[name].spread.texts
    else:
        assert sensor.unit in UNITS.get(quantity.unit, {quantity.unit})


@pytest.mark.parametrize("name", SENSORS)
def test_the_first_sensor_of_a_type_has_a_value_in_its_example(name: str) -> None:
    of = CATALOGUE[name]
    stored = msgspec.json.decode(json.dumps(of.example), type=of.spread.stored)
    points = of.spread.points(stored, 0, 900_000_000 if of.kind in {TimeKind.INTERVAL, TimeKind.SESSION} else None)
    fields = {field for point in points if point.measurement == name for field, _ in point.fields}
    assert SENSORS[name][0].field in fields


@pytest.mark.parametrize("name", SENSORS)
def test_the_discovery_is_as_home_assistant_defines_it(name: str) -> None:
    said = json.loads(discovery("alice", name, f"users/alice/latest/{name}"))
    assert said["device"]["identifiers"] == ["healthsync:alice"]
    assert said["origin"]["name"] == "HealthSync MQTT"
    assert set(said) == {"device", "origin", "components", "state_topic", "qos"}
    unique = [each["unique_id"] for each in said["components"].values()]
    assert len(set(unique)) == len(unique) == len(SENSORS[name])
    names = [each["name"] for each in said["components"].values()]
    assert len(set(names)) == len(names)
    for each in said["components"].values():
        assert each["platform"] == "sensor"
        assert ("last_reset_value_template" in each) == (each.get("state_class") == "total")
        assert None not in each.values()
        assert each["icon"].startswith("mdi:")


#: Of the schema of a sensor (home-assistant.io/integrations/sensor.mqtt, "Configuration Variables").
DOCUMENTED = frozenset({
    "availability", "availability_mode", "availability_template", "availability_topic", "default_entity_id", "device",
    "device_class", "enabled_by_default", "encoding", "entity_category", "entity_picture", "expire_after",
    "force_update", "icon", "json_attributes_template", "json_attributes_topic", "last_reset_value_template", "name",
    "object_id", "options", "payload_available", "payload_not_available", "platform", "qos", "state_class",
    "state_topic", "suggested_display_precision", "unique_id", "unit_of_measurement", "value_template",
})  # fmt: skip


@pytest.mark.parametrize("name", SENSORS)
def test_a_sensor_says_only_what_is_documented_and_in_the_right_company(name: str) -> None:
    said = json.loads(discovery("alice", name, f"users/alice/latest/{name}"))
    for each, sensor in zip(said["components"].values(), SENSORS[name], strict=True):
        assert each.keys() <= DOCUMENTED
        assert each.get("device_class") in {None, *ACCEPTED}
        assert each.get("state_class") in {None, "measurement", *TOTALS}
        # A text with a unit, a state class or a precision is refused there.
        is_text = sensor.field in CATALOGUE[name].spread.texts
        assert not (is_text and each.keys() & {"unit_of_measurement", "state_class", "suggested_display_precision"})
        assert is_text or "suggested_display_precision" in each
        assert len(each["name"]) + len(each["unique_id"]) < 255


def test_two_users_never_share_a_device_or_an_entity() -> None:
    alice, bob = (json.loads(discovery(user, "heart_rate", "t")) for user in ("alice", "bob"))
    assert alice["device"]["identifiers"] != bob["device"]["identifiers"]
    ids = {each["unique_id"] for said in (alice, bob) for each in said["components"].values()}
    assert len(ids) == 2


def test_no_user_and_type_look_like_another_user_and_type() -> None:
    said = [json.loads(discovery(*each, "t")) for each in (("a", "walking_heart_rate"), ("a_walking", "heart_rate"))]
    (one,), (other,) = (each["components"].values() for each in said)
    assert one["unique_id"] != other["unique_id"]
