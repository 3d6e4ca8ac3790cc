"""What formats say of themselves to people."""

import re
from pathlib import Path

import pytest

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.declaration import Declared
from tests.support.app_messages import Shelf, recorded

#: Of ../shared/data, what each format's recordings are: the folders, and the slot that is declared.
RECORDED = {
    "fitbit": ("fitbit", None),
    "googlefit": ("googlefit", None),
    "withings": ("withings", None),
    "open_mhealth": ("omh", None),
    "health_auto_export": ("phone/health_auto_export", None),
    "health_connect": ("phone/health_connect", None),
    "life_dashboard": ("phone/life_dashboard", None),
    "nightscout": ("phone/glucose", None),
    "openscale": ("phone/openscale", "1"),
    "sleep_as_android": ("phone/sleep_as_android", None),
    "theengs": ("phone/ble_gateway", None),
    "xiaomi_scale": ("phone/scales", None),
    "zepp": ("phone/zepp", None),
}


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_each_names_types_that_there_are(form: Format) -> None:
    taken = list(form.takes())
    assert taken
    for each in taken:
        words = each.type.split(", ")
        assert [word for word in words if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", word) and word not in CATALOGUE] == []
        assert each.source


def test_names_and_roots_are_of_one_format_each() -> None:
    roots = [root for form in FORMATS.values() for root in form.roots]
    assert len(roots) == len(set(roots))
    assert list(FORMATS) == [form.name for form in FORMATS.values()]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", RECORDED)
def test_each_says_of_itself_every_type_that_its_recordings_come_to(shared_data: Path, name: str) -> None:
    form, (folder, slot) = FORMATS[name], RECORDED[name]
    login = Declared("Europe/Berlin", "mmol/L", 3600, slot)
    root = {"sleep_as_android": "SleepAsAndroid"}.get(name, "".join(f"{each}/" for each in form.roots[:1]))
    messages = [
        each
        for file in sorted((shared_data / folder).rglob("*.*"))
        if file.suffix in {".json", ".txt"}
        for each in recorded(file, root, declared=login)
    ]
    one_by_one = [Shelf(name).take([each]) for each in messages]
    made = {event["type"] for shelf in (*one_by_one, Shelf(name).take(messages)) for event in shelf.events.values()}
    assert made
    assert made <= {word for each in form.takes() for word in each.type.split(", ")}
