"""What formats say of themselves to people."""

import re

import pytest

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.model.catalogue import CATALOGUE


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
