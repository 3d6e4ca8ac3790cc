"""FHIR R4: an Observation, an array of them, or a Bundle.

What a number is its LOINC code says; in which unit its UCUM code, else the unit as it is written. A resource that was
entered in error is gone. Who it is of the login says: a subject is a person of somebody else's system.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Gone
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    items,
    number,
    read_document,
    text_or_none,
)
from healthsync_mqtt.formats.reading.moment import Day, Moment, day, moment_in
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_DATE: Final = 10

#: Our type, and the codes of what it is.
_CODES: Final = {
    "steps": "55423-8",
    "daily_steps": "41950-7",
    "distance": "55430-3",
    "distance_swimming": "93816-7",
    "energy_active": "41981-2",
    "daily_energy_total": "41979-6",
    "floors": "100304-5",
    "wheelchair_pushes": "96502-0",
    "active_minutes_moderate": "77592-4",
    "active_minutes_vigorous": "77593-2",
    "heart_rate": "8867-4",
    "resting_heart_rate": "40443-4",
    "hrv_sdnn": "80404-7",
    "vo2_max": "60842-2 94122-9",
    "spo2": "59408-5 2708-6",
    "respiratory_rate": "9279-1",
    "body_temperature": "8310-5 8331-1",
    "perfusion_index": "61006-3",
    "glucose": "41653-7 2339-0 2345-7 15074-8 99504-3 14749-6",
    "blood_alcohol": "74859-0",
    "weight": "29463-7 3141-9",
    "height": "8302-2",
    "bmi": "39156-5",
    "body_fat_percentage": "41982-0",
    "lean_mass": "91557-9",
    "muscle_mass": "73964-9",
    "waist_circumference": "8280-0 56086-2",
    "fev1": "20150-9",
    "fvc": "19870-5",
    "pef": "19935-6",
    "sleep": "93832-4",
}
TYPE_OF: Final = {code: type_ for type_, codes in _CODES.items() for code in codes.split()}
"""Our type by each code."""

_PRESSURE: Final = frozenset({"85354-9", "55284-4"})
_PARTS: Final = {"8480-6": "systolic", "8462-4": "diastolic", "8867-4": "pulse"}
"""A blood pressure, and the codes of its components."""

#: Spellings of UCUM with words in braces, which mean nothing there.
_OWN: Final = {
    "/min": ("{beats}/min", "{breaths}/min", "beats/minute", "breaths/minute", "{Beats}/min"),
    "{steps}": ("1", "steps", "{steps}/d", "{count}"),
    "{flights}": ("1", "flights", "{count}"),
    "{pushes}": ("1", "pushes", "{count}"),
    "kcal": ("kcal/d", "kcal/(24.h)"),
    "min": ("min/d",),
    "kg/m2": ("kg/m²",),
}

_FINAL: Final = frozenset({"final", "amended", "corrected", "preliminary"})
_IN_ERROR: Final = "entered-in-error"
_BESIDE: Final = frozenset({
    "Patient", "Device", "DeviceMetric", "Practitioner", "PractitionerRole", "Organization", "Provenance", "Encounter",
    "OperationOutcome", "RelatedPerson", "Location",
})  # fmt: skip
"""What stands in a Bundle beside its observations, and is not for here."""


class _Place(NamedTuple):
    path: str
    resource: Any


class Fhir:
    """Resources of FHIR R4 (``port.Format``)."""

    name = "fhir"
    summary = "FHIR R4: Observation and Bundle, with LOINC and UCUM codes"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for type_, codes in _CODES.items():
            yield FormatEntry(codes.replace(" ", ", "), type_)
        yield FormatEntry(", ".join(sorted(_PRESSURE)), "blood_pressure", "by its components")
        yield FormatEntry("entered-in-error", "what is gone")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """Each Observation becomes an event or a refusal; one that was entered in error takes its event back."""
        document = read_document(message.payload)
        scribe, records = Scribe(self.name, message, "fhir"), Records()
        for path, resource in _resources(document):
            if isinstance(resource, dict):
                kind = text_or_none(resource, "resourceType")
                if kind in _BESIDE and path:
                    continue
                if kind != "Observation":
                    refusal = RefusedError(Reason.UNKNOWN_TYPE, "resourceType", "the resource is no Observation")
                    yield records.refuse(path, resource, refusal)
                    continue
                if text_or_none(resource, "status") == _IN_ERROR and (name := _name(resource)):
                    yield Gone(name)
                    continue

            def read(record: Record) -> Iterator[Event | Named]:
                event = _event(scribe, record)
                name = _name(record)
                yield Named(event, name) if name else event

            yield from records.read(path, resource, read)
        return state


def _resources(document: Any) -> Iterator[_Place]:
    """The resources of a message and where they are."""
    if isinstance(document, list):
        for place, each in enumerate(document):
            yield _Place(f"[{place}]", each)
    elif isinstance(document, dict) and document.get("resourceType") == "Bundle":
        for place, entry in enumerate(items(document, "entry")):
            yield _Place(f"entry[{place}].resource", entry.get("resource") if isinstance(entry, dict) else entry)
    elif isinstance(document, dict):
        yield _Place("", document)
    else:
        raise RefusedError(Reason.MALFORMED, None, "no resource, no Bundle and no array of resources")


def _name(resource: Record) -> str | None:
    """What the source calls the resource: its id, else its first identifier."""
    own = text_or_none(resource, "id")
    if own:
        return f"id {own};"
    found = resource.get("identifier")
    first = found[0] if isinstance(found, list) and found else None
    if isinstance(first, dict) and text_or_none(first, "value"):
        return f"identifier {first.get('system') or ''} {first['value']};"
    return None


def _event(scribe: Scribe, resource: Record) -> Event:
    if text_or_none(resource, "status") not in _FINAL:
        raise RefusedError(Reason.NOT_ALLOWED, "status", "the observation is not final, and none that is preliminary")
    code = _code(inner(resource, "code"), "code")
    if code in _PRESSURE:
        type_, value = "blood_pressure", _pressure(resource)
    else:
        type_ = TYPE_OF[code]
        field = first_field(type_)
        value = {field: _quantity(type_, field, inner(resource, "valueQuantity"), "valueQuantity", resource)}
    start, end = _when(scribe, type_, resource)
    name = _name(resource)
    device = text_or_none(inner(resource, "device"), "display")
    return scribe.event(
        type_,
        value,
        start,
        end,
        key=("name", name) if name else (),
        version=_version(resource),
        device={"model": device[:64]} if device else {},
    )


def _code(concept: Record, field: str, known: Any = None) -> str:
    """The first LOINC code of a concept that is known. Raises RefusedError."""
    codes = [
        str(each.get("code"))
        for each in items(concept, "coding")
        if isinstance(each, dict) and each.get("system") in (_LOINC, None)
    ]
    found = next((code for code in codes if code in (known or TYPE_OF) or (known is None and code in _PRESSURE)), None)
    if found is None:
        said = printable(", ".join(codes)) if codes else "it"
        raise RefusedError(Reason.UNKNOWN_TYPE, f"{field}.coding", f"{said} is no LOINC code that has a type here")
    return found


def _quantity(type_: str, field: str, quantity: Record, place: str, holder: Record) -> float:
    if not quantity:
        absent = "; it says why it is absent" if "dataAbsentReason" in holder else ""
        raise RefusedError(Reason.MISSING_FIELD, place, f"{place} is missing{absent}")
    if quantity.get("comparator") is not None:
        raise RefusedError(Reason.UNKNOWN_FIELD, f"{place}.comparator", "a bound of a number is not the number")
    with inside(f"{place}"):
        amount = number(quantity, "value")
    ucum = quantity.get("system") == _UCUM
    unit = text_or_none(quantity, "code" if ucum else "unit") or text_or_none(quantity, "unit" if ucum else "code")
    own = _OWN.get(next(each for each in CATALOGUE[type_].quantities if each.field == field).unit, ())
    return in_field(type_, field, amount, unit, own, place=f"{place}.code" if ucum else f"{place}.unit")


def _pressure(resource: Record) -> dict[str, float]:
    value: dict[str, float] = {}
    for place, component in enumerate(items(resource, "component")):
        path = f"component[{place}]"
        each = as_record(component)
        try:
            part = _PARTS[_code(inner(each, "code"), "code", _PARTS)]
        except RefusedError:
            continue  # mean pressure, and what else a cuff says
        value[part] = _quantity("blood_pressure", part, inner(each, "valueQuantity"), f"{path}.valueQuantity", each)
    for part in ("systolic", "diastolic"):
        if part not in value:
            raise RefusedError(Reason.MISSING_FIELD, "component", f"no component is the {part} one")
    return value


def _when(scribe: Scribe, type_: str, resource: Record) -> tuple[Moment | Day, Moment | None]:
    """When it was. Raises RefusedError for an amount without an interval."""
    kind, zone = CATALOGUE[type_].kind, scribe.message.declared.zone
    moment_field = next((field for field in ("effectiveDateTime", "effectiveInstant") if field in resource), None)
    span = inner(resource, "effectivePeriod")
    if kind is TimeKind.DAILY:
        said = span.get("start") if span else resource.get(moment_field or "effectiveDateTime")
        return day(said, moment_field or "effectivePeriod.start", zone), None
    if span:
        with inside("effectivePeriod"):
            start, end = moment_in(span, "start", zone), moment_in(span, "end", zone)
        return start, end
    if kind in {TimeKind.INTERVAL, TimeKind.SESSION}:
        raise RefusedError(Reason.MISSING_FIELD, "effectivePeriod", f"{type_} is an amount of an interval")
    return moment_in(resource, moment_field or "effectiveDateTime", zone), None


def _version(resource: Record) -> Any:
    """When the resource was last changed, in milliseconds; the order of arrival where it does not say."""
    meta = inner(resource, "meta")
    return moment_in(meta, "lastUpdated").us // 1000 if text_or_none(meta, "lastUpdated") else "latest"
