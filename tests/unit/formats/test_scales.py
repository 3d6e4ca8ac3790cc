"""Gateways of scales, straps and bands: one weighing however often it is said, and never a guessed time or unit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared, Format, folded
from healthsync_mqtt.formats.reading.moment import moment
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import NOW_US, Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

BERLIN = Declared(zone="Europe/Berlin")
ARRIVAL_US = moment("2026-05-03T05:41:24Z").us

WEIGHED = {"weight": 71.35, "weight_unit": "kg", "timestamp": "2026-05-03T07:41:22+00:00"}
TASMOTA = {"weight": 71.35, "weight_unit": "kg", "stabilized": 1, "weight_removed": 0, "impedance": 0}
SCALE = {"id": "AA:BB:CC:00:11:22", "type": "SCALE", "weighing_mode": "person", "unit": "kg", "weight": 71.35}
STRAP = {"id": "AA:BB:CC:33:44:55", "brand": "Polar", "model": "Heart Rate Sensor", "type": "BODY", "bpm": 148}


def sent(
    content: Any, topic: str = "Ann/weight", after_s: float = 0, declared: Declared = BERLIN, **said: Any
) -> AppMessage:
    return app_message(content, topic=topic, declared=declared, at_us=ARRIVAL_US + round(after_s * 1_000_000), **said)


def scale(*messages: AppMessage) -> Shelf:
    return Shelf("xiaomi_scale").take(messages)


def gateway(*messages: AppMessage) -> Shelf:
    return Shelf("theengs").take(messages)


def heard(content: Any, after_s: float = 0, **said: Any) -> AppMessage:
    return sent(content, "TheengsGateway/BTtoMQTT/AABBCC001122", after_s, **said)


class TestXiaomiContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["xiaomi_scale"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps(WEIGHED | {"body_fat": 22.4, "water": 53.2}).encode(): 3}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {json.dumps(WEIGHED | {"weight_unit": "firkin"}).encode(): ["weight_unit"]}


class TestTheengsContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["theengs"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps(SCALE).encode(): 1}


NAMES = """
    id type weight unit weight_unit timestamp body_fat water weighing_mode bpm act_bpm steps Time MISCALE2 stabilized
    weight_removed bodyFatPercent waterPercent brand model
"""


@given(JSON | objects(NAMES.split()), st.booleans(), st.sampled_from(["xiaomi_scale", "theengs"]))
def test_no_json_raises_and_the_same_is_the_same(content: Any, retained: bool, form: str) -> None:
    message = sent(content, retained=retained)
    try:
        first = folded(FORMATS[form], message)
    except RefusedError:
        return
    assert first == folded(FORMATS[form], message)
    folded(FORMATS[form], message, first.state)
    assert len(first.state) < 65_536


# -- Xiaomi


def test_the_pasted_offset_is_the_logins_zone() -> None:
    assert scale(sent(WEIGHED)).told == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41:22")]
    assert scale(sent(WEIGHED, declared=Declared())).told[0].start == "2026-05-03T07:41:22"
    old = WEIGHED | {"timestamp": "2021-12-28 08:12:40.250133", "weight": "72.90"}
    assert scale(sent(old)).told == [Told("weight", {"kg": 72.9}, "2021-12-28T07:12:40.250133")]
    assert scale(sent(old, declared=Declared())).refused == [("timestamp", "naive_time")]


@pytest.mark.parametrize(
    ("weight", "unit", "kilograms"), [(157.3, "lbs", 71.350079801), (142.6, "jin", 71.3), (11.2, "st", 71.123283616)]
)
def test_units_of_the_display(weight: float, unit: str, kilograms: float) -> None:
    assert scale(sent(WEIGHED | {"weight": weight, "weight_unit": unit})).told[0].value == {"kg": kilograms}


def test_a_weight_without_a_unit_is_refused() -> None:
    without = {key: value for key, value in WEIGHED.items() if key != "weight_unit"}
    assert scale(sent(without)).refused == [("weight_unit", "unknown_unit")]


def test_a_unit_that_is_not_said_may_be_declared_and_what_is_said_counts() -> None:
    pounds = Declared(zone="Europe/Berlin", unit="lb")
    silent = {key: value for key, value in WEIGHED.items() if key != "weight_unit"} | {"weight": 157.3}
    assert scale(sent(silent, declared=pounds)).told[0].value == {"kg": 71.350079801}
    assert scale(sent(WEIGHED, declared=pounds)).told[0].value == {"kg": 71.35}
    advertised = {key: value for key, value in SCALE.items() if key != "unit"} | {"weight": 157.3}
    assert gateway(heard(advertised, declared=pounds)).told[0].value == {"kg": 71.350079801}
    assert gateway(heard(SCALE, declared=pounds)).told[0].value == {"kg": 71.35}
    for message in (sent(silent), heard(advertised)):
        form = "xiaomi_scale" if "Ann" in message.topic else "theengs"
        (refused,) = folded(FORMATS[form], message).refused
        assert "--unit" in refused.text


def test_water_is_a_part_of_the_weight_and_nought_is_not_measured() -> None:
    found = scale(sent(WEIGHED | {"water": 53.2, "body_fat": 0, "bone_mass": 2.93, "protein": 18.2, "body_type": "x"}))
    assert [(each.type, each.value) for each in found.told] == [
        ("body_water", {"kg": 37.9582}), ("bone_mass", {"kg": 2.93}), ("weight", {"kg": 71.35}),
    ]  # fmt: skip


def test_a_name_in_the_topic_chooses_no_user_and_is_checked_where_it_is_declared() -> None:
    anns = Declared(zone="Europe/Berlin", slot="Ann")
    assert len(scale(sent(WEIGHED, "Ben/weight")).told) == 1
    assert len(scale(sent(WEIGHED, "Ann/weight", declared=anns)).told) == 1
    assert scale(sent(WEIGHED, "Ben/weight", declared=anns)).refused == [("", "identity_mismatch")]


def test_not_json_and_nothing() -> None:
    assert scale(sent(b'{"weight":00.80,"weight_unit":"kg"}')).refused == [("", "malformed")]
    found = scale(sent(b""), sent(b"online", "body-composition/status"))
    assert (found.told, found.refused) == ([], [])


def test_tasmota_is_one_weighing_that_stands_still() -> None:
    def at(second: int, **changes: Any) -> AppMessage:
        said = {"Time": f"2026-05-03T07:41:{second}", "MISCALEV2-001122": TASMOTA | changes}
        return sent(said, "bath/SENSOR")

    found = scale(at(18, weight=40.1, stabilized=0), at(22), at(23, impedance=496), at(26, weight_removed=1))
    assert found.told == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41:22")]
    assert found.counts["duplicate"] == 1


SYNCED = {"weight": 71.35, "impedance": 496, "bodyFatPercent": 22.4}


def test_without_a_time_it_is_the_arrival_and_a_retained_copy_is_nothing() -> None:
    found = scale(sent(SYNCED, "body-composition/ann"), sent(SYNCED, "body-composition/ann", 20))
    assert {(each.type, each.start) for each in found.told} == {
        ("weight", "2026-05-03T05:41:24"),
        ("body_fat_percentage", "2026-05-03T05:41:24"),
    }
    found.take([sent(SYNCED, "body-composition/ann", 86_400, retained=True)])
    assert (len(found.told), found.refused) == (2, [("time", "missing_field")])


# -- Theengs


def test_repeats_of_gateways_and_of_the_scale_are_one_weighing() -> None:
    long = [heard(SCALE | {"impedance": 498}, after_s) for after_s in range(0, 900, 60)]
    found = gateway(heard(SCALE), *long, heard(SCALE | {"weight": 68.2}, 901))
    assert [(each.value["kg"], each.start) for each in found.told] == [
        (71.35, "2026-05-03T05:41:24"),
        (68.2, "2026-05-03T05:56:25"),
    ]


@pytest.mark.parametrize(
    ("content", "told", "why"),
    [
        (SCALE | {"unit": "lb", "weight": 157.3}, [{"kg": 71.350079801}], []),
        (SCALE | {"weight": "88.65"}, [{"kg": 88.65}], []),
        (SCALE | {"weighing_mode": "object"}, [], []),
        ({key: value for key, value in SCALE.items() if key != "unit"}, [], ["unknown_unit"]),
        ({"id": "x", "type": "THB", "tempc": 36.6, "hum": 40}, [], []),
        (STRAP, [{"bpm": 148}], []),
        (STRAP | {"bpm": 0}, [], ["out_of_range"]),
    ],
)
def test_what_is_heard(content: dict[str, Any], told: list[Any], why: list[str]) -> None:
    found = gateway(heard(content))
    assert ([each.value for each in found.told], [reason for _, reason in found.refused]) == (told, why)


def test_steps_of_a_band_are_of_the_day_so_far() -> None:
    band = {"id": "AA:BB:CC:66:77:88", "type": "BODY", "steps": 8312, "act_bpm": 118}
    next_day = band | {"steps": 12, "act_bpm": 70}
    found = gateway(heard(band), heard(band | {"steps": 8455}, 120), heard(next_day, 86_400))
    assert [(each.value["steps"], each.start) for each in found.of("daily_steps")] == [
        (8455, "2026-05-02T22:00"),
        (12, "2026-05-03T22:00"),
    ]


def test_a_number_in_a_text_is_the_number_in_every_field_of_a_gateway() -> None:
    band = {"id": "AA:BB:CC:66:77:88", "type": "BODY", "steps": "8312"}
    assert [each.value for each in gateway(heard(band)).told] == [{"steps": 8312}]
    assert gateway(heard(band | {"steps": "8.312,0"})).refused == [("steps", "wrong_type")]
    synced = scale(sent(SYNCED | {"weight": "71.35"}, "body-composition/ann"))
    assert [each.value for each in synced.of("weight")] == [{"kg": 71.35}]


def test_steps_of_a_band_whose_day_nobody_knows_are_refused_by_their_place() -> None:
    band = {"id": "AA:BB:CC:66:77:88", "type": "BODY", "steps": 8312}
    assert gateway(sent(band, "x", declared=Declared())).refused == [("steps", "naive_time")]


def test_only_the_declared_devices_are_ours_and_neighbours_are_nothing() -> None:
    ours = Declared(zone="Europe/Berlin", slot="AABBCC001122,AA:BB:CC:33:44:55")
    neighbour = sent(SCALE | {"id": "00:00:00:00:00:01"}, "OMG/BTtoMQTT/000000000001", declared=ours)
    found = gateway(sent(SCALE, "OMG/BTtoMQTT/AABBCC001122", declared=ours), sent(STRAP, "x", declared=ours), neighbour)
    assert [each.type for each in found.told] == ["heart_rate", "weight"]
    assert found.refused == []


def test_retained_and_last_wills_are_nothing() -> None:
    found = gateway(heard(SCALE, retained=True), sent(b"online", "TheengsGateway/LWT", retained=True))
    assert (found.told, found.refused) == ([], [("time", "missing_field")])


# -- recordings


def of(shared_data: Path, form: str, name: str, declared: Declared = BERLIN) -> Shelf:
    folder = "scales" if form == "xiaomi_scale" else "ble_gateway"
    root = {"xiaomi_scale": "", "theengs": "home/"}[form]
    return Shelf(form).take(recorded(shared_data / "phone" / folder / name, root, declared=declared))


@pytest.mark.shared_data
def test_recorded_miscale(shared_data: Path) -> None:
    found = of(shared_data, "xiaomi_scale", "miscale_kg.txt")
    first = {each.type: next(iter(each.value.values())) for each in found.told if each.start == "2026-05-03T05:41:22"}
    assert first == {
        "weight": 71.35, "body_fat_percentage": 22.4, "lean_mass": 55.1, "muscle_mass": 52.17, "bone_mass": 2.93,
        "body_water": pytest.approx(37.96, abs=0.01), "bmi": 23.03, "visceral_fat": 7.1,
        "basal_metabolic_rate": 1610.2, "metabolic_age": 35,
    }  # fmt: skip
    assert [each.start for each in found.of("weight")] == ["2026-05-03T05:41:22", "2026-05-03T05:41:30"]
    assert (found.refused, found.counts["superseded"]) == ([], 0)
    ahead = of(shared_data, "xiaomi_scale", "miscale_kg.txt", Declared())
    assert ahead.told[0].start == "2026-05-03T07:41:22"


@pytest.mark.shared_data
def test_recorded_units_and_bad(shared_data: Path) -> None:
    found = of(shared_data, "xiaomi_scale", "miscale_units.txt")
    assert [(each.value["kg"], each.start) for each in found.of("weight")] == [
        (pytest.approx(71.35, abs=0.01), "2026-05-03T05:41:22"),
        (71.3, "2026-05-03T05:51:22"),
        (pytest.approx(71.12, abs=0.01), "2026-05-03T06:01:22"),
    ]
    assert found.refused == [("weight_unit", "unknown_unit")]
    bad = of(shared_data, "xiaomi_scale", "miscale_bad.txt")
    assert [(each.value["kg"], each.start) for each in bad.of("weight")] == [
        (72.9, "2021-12-28T07:12:40.250133"),
        (0.8, "2026-05-03T05:41:24"),
    ]
    assert bad.refused == [("", "malformed"), ("", "out_of_range")]  # a body mass index of 0.26


@pytest.mark.shared_data
def test_recorded_sync_and_tasmota(shared_data: Path) -> None:
    found = of(shared_data, "xiaomi_scale", "ble_scale_sync.txt")
    assert found.of("weight") == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41:30")]
    assert found.of("body_fat_percentage") == [Told("body_fat_percentage", {"percent": 22.4}, "2026-05-03T05:41:30")]
    assert found.refused == [("time", "missing_field")]
    assert of(shared_data, "xiaomi_scale", "tasmota.txt").told == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41:22")]


@pytest.mark.shared_data
def test_recorded_gateways(shared_data: Path) -> None:
    found = of(shared_data, "theengs", "theengs_repeats.txt")
    assert found.told == [
        Told("weight", {"kg": 71.35}, "2026-05-03T05:41:22"),
        Told("weight", {"kg": 68.2}, "2026-05-03T05:50"),
    ]
    units = of(shared_data, "theengs", "theengs_lb_object.txt")
    assert ([each.value["kg"] for each in units.told], units.refused) == (
        [pytest.approx(71.35, abs=0.01)],
        [("unit", "unknown_unit")],
    )
    old = of(shared_data, "theengs", "omg_old.txt")
    assert ([each.value["kg"] for each in old.told], old.refused) == ([88.65], [("unit", "unknown_unit")])


@pytest.mark.shared_data
def test_recorded_straps_and_bands(shared_data: Path) -> None:
    found = of(shared_data, "theengs", "straps_and_bands.txt")
    assert [(each.value["bpm"], each.start) for each in found.of("heart_rate")] == [
        (148, "2026-05-03T15:30:05"),
        (118, "2026-05-03T15:31"),
        (121, "2026-05-03T15:33"),
    ]
    assert [(each.value["steps"], each.start) for each in found.of("daily_steps")] == [
        (8455, "2026-05-02T22:00"),
        (12, "2026-05-03T22:00"),
    ]
    assert [why for _, why in found.refused] == ["out_of_range"]
    assert NOW_US > ARRIVAL_US
