"""An answer without one of its keys: what is missing is said as that, and never taken for a number that is too big."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.formats.port import AppMessage, RefusedRecord, folded
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.reasons import RefusedError
from tests.unit.adapters.test_expected import AT_US, KINDS

pytestmark = pytest.mark.shared_data
_MOST = 400


def without_each(document: Any) -> Iterator[Any]:
    """The document without each of its keys, and with each of its lists empty: those of the first of a list."""
    for path in list(paths(document))[:_MOST]:
        for what in ("gone", "empty", "null"):
            changed = copy.deepcopy(document)
            at = changed
            for key in path[:-1]:
                at = at[key]
            if what == "gone":
                del at[path[-1]]
            elif what == "null":
                at[path[-1]] = None
            elif isinstance(at[path[-1]], list | dict):
                at[path[-1]] = type(at[path[-1]])()
            else:
                continue
            yield changed


def paths(document: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(document, dict):
        for key, inner in document.items():
            yield (*before, key)
            yield from paths(inner, (*before, key))
    elif isinstance(document, list):
        for place in range(min(len(document), 1)):
            yield from paths(document[place], (*before, place))


@pytest.mark.parametrize("provider", KINDS)
def test_what_is_missing_is_said_as_that(provider: str, shared_data: Path) -> None:
    mapping = shipped(provider).mapping
    assert mapping is not None
    tried = 0
    for file in sorted((shared_data / "providers" / provider).glob("*.json")):
        kind = next((KINDS[provider][each] for each in KINDS[provider] if file.stem.startswith(each) and each), None)
        kind = kind or KINDS[provider].get("")
        said = json.loads(file.read_text())
        exchange = said.get("response") or said.get("webhook") or {}
        body = exchange.get("body")
        document = json.loads(body) if isinstance(body, str) and body[:1] in "[{" and provider == "garmin" else body
        if kind is None or not isinstance(document, dict | list):
            continue
        for changed in without_each(document):
            tried += 1
            message = AppMessage(
                json.dumps(changed).encode(), "ann", topic=f"{kind}/x", at_us=AT_US, declared=Declared(zone="UTC")
            )
            try:
                outcomes = folded(mapping, message).outcomes
            except RefusedError:
                continue
            for each in outcomes:
                if isinstance(each, RefusedRecord):
                    assert "too big" not in each.text, (file.stem, changed)
    assert tried > 20
