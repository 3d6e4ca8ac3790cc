"""How long each stage lasted: from its stages, or from a source that says no more than that."""

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE

START_US, END_US = 1_795_384_800_000_000, 1_795_413_600_000_000
STAGE = {"stage": "deep", "start_time": "2026-11-22T23:00:00Z", "end_time": "2026-11-22T23:30:00Z"}


def fields(value: dict) -> list[tuple[str, object]]:
    spread = CATALOGUE["sleep"].spread
    night, *_ = spread.points(msgspec.convert(value, spread.stored), START_US, END_US)
    return list(night.fields)


def test_totals_without_stages_are_charted() -> None:
    assert dict(fields({"light_s": 14_760, "deep_s": 3240, "rem_s": 5760, "awake_s": 1440}))["deep_s"] == 3240


def test_a_total_that_is_said_is_charted_once_beside_stages_and_as_it_was_said() -> None:
    found = fields({"stages": [STAGE], "deep_s": 1700})
    assert [number for name, number in found if name == "deep_s"] == [1700]
    assert [number for name, number in fields({"stages": [STAGE]}) if name == "deep_s"] == [1800]
