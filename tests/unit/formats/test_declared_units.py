"""A unit that a login declares is that of numbers which come without one, and which can be in it."""

from typing import Any, Final

import pytest

from healthsync_mqtt.formats.port import Declared
from tests.support.app_messages import Shelf, app_message

AT: Final = "2026-05-03T05:41:00Z"
WEIGHINGS: Final[dict[str, Any]] = {
    "health_auto_export": {
        "data": {
            "metrics": [{"name": "weight_body_mass", "data": [{"date": "2026-05-03 05:41:00 +0000", "qty": 157.3}]}]
        }
    },
    "open_mhealth": {"body_weight": {"value": 157.3}, "effective_time_frame": {"date_time": AT}},
    "fhir": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "effectiveDateTime": AT,
        "valueQuantity": {"value": 157.3},
    },
    "theengs": {"type": "SCALE", "id": "a", "weight": 157.3},
    "xiaomi_scale": {"weight": 157.3, "timestamp": AT},
}
"""Of each format that can come without a unit, a weighing that does."""


def weighed(form: str, unit: str | None) -> Shelf:
    return Shelf(form).take([app_message(WEIGHINGS[form], declared=Declared(unit=unit))])


@pytest.mark.parametrize("form", WEIGHINGS)
def test_it_is_taken(form: str) -> None:
    found = weighed(form, "lb")
    assert ([each.value for each in found.told], found.refused) == ([{"kg": 71.350079801}], [])


@pytest.mark.parametrize("form", WEIGHINGS)
@pytest.mark.parametrize("unit", [None, "mmol/L"])
def test_one_that_no_weight_is_in_says_nothing_of_it(form: str, unit: str | None) -> None:
    found = weighed(form, unit)
    assert (found.told, [why for _, why in found.refused]) == ([], ["unknown_unit"])


def test_what_comes_with_its_unit_is_in_that() -> None:
    metric = {"name": "weight_body_mass", "units": "kg", "data": [{"date": "2026-05-03 05:41:00 +0000", "qty": 71}]}
    message = app_message({"data": {"metrics": [metric]}}, declared=Declared(unit="lb"))
    assert [each.value for each in Shelf("health_auto_export").take([message]).told] == [{"kg": 71}]
