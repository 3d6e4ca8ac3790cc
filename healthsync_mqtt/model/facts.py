"""The facts of a type as programs are told of them: by commands with ``--json``, and over HTTP."""

from typing import Any

from healthsync_mqtt.model.event_type import EventType


def described(of: EventType) -> dict[str, Any]:
    """A type as programs are told of it."""
    return {
        "name": of.name,
        "kind": of.kind.value,
        "aliases": list(of.aliases),
        "fields": facts_of_fields(of),
        "sensitivity": of.sensitivity.value,
        "daily": of.daily.value,
        "loinc": of.loinc,
        "loinc_checked": of.loinc is not None and of.checked,
    }


def facts_of_fields(of: EventType) -> list[dict[str, Any]]:
    """Its numbers, with units and ranges."""
    return [
        {
            "name": each.field,
            "unit": each.unit,
            "low": each.low,
            "high": each.high,
            "loinc": each.loinc,
            "loinc_checked": each.loinc is not None and each.checked,
        }
        for each in of.quantities
    ]
