"""FHIR R4: an Observation, an array of them, or a Bundle.

What a number is its LOINC code says; in which unit its UCUM code, else the unit as it is written. Components of a known
code are events of their own, but those of a blood pressure, of a night and of an ECG are parts of one. A resource that
was entered in error, or that a transaction deletes, is gone. Who it is of the login says: a subject is a person of
somebody else's system.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.fhir.codes import (
    CODES,
    ECG,
    LEADS,
    LOINC,
    MDC,
    PARTS_OF_A_NIGHT,
    PARTS_OF_PRESSURE,
    PRESSURE,
    SPELLINGS,
    TYPE_OF,
    UCUM,
    codes_of,
    known_code,
)
from healthsync_mqtt.formats.fhir.sampled import read_sampled
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
    whole,
)
from healthsync_mqtt.formats.reading.moment import Day, Moment, day
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_FINAL: Final = frozenset({"final", "amended", "corrected", "preliminary"})
_IN_ERROR: Final = "entered-in-error"
_BESIDE: Final = frozenset({
    "Patient", "Device", "DeviceMetric", "Practitioner", "PractitionerRole", "Organization", "Provenance", "Encounter",
    "OperationOutcome", "RelatedPerson", "Location",
})  # fmt: skip
"""What stands in a Bundle beside its observations, and is not for here."""


class _Place(NamedTuple):
    """A resource, where it is; ``deleted`` is the name of one that a transaction takes away."""

    path: str
    resource: Any
    deleted: str | None = None


class Fhir:
    """Resources of FHIR R4 (``port.Format``)."""

    name = "fhir"
    summary = "FHIR R4: Observation and Bundle, with LOINC and UCUM codes"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for type_, codes in CODES.items():
            yield FormatEntry(codes.replace(" ", ", "), type_)
        yield FormatEntry(", ".join(sorted(PRESSURE)), "blood_pressure", "by its components")
        yield FormatEntry(", ".join(sorted(ECG)), "ecg", "an event for each lead, with valueSampledData")
        yield FormatEntry("valueSampledData", "a series", "of any type of a moment")
        yield FormatEntry("entered-in-error, DELETE", "what is gone")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """Each Observation becomes an event or a refusal; one that was entered in error takes its event back."""
        document = read_document(message.payload)
        scribe, records = Scribe(self.name, message, "fhir"), Records()
        for path, resource, deleted in _resources(document):
            if deleted is not None:
                yield Gone(deleted)
                continue
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
                name = _name(record)
                for event in _events(scribe, record):
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
            yield from _entry(f"entry[{place}]", entry)
    elif isinstance(document, dict):
        yield _Place("", document)
    else:
        raise RefusedError(Reason.MALFORMED, None, "no resource, no Bundle and no array of resources")


def _entry(path: str, entry: Any) -> Iterator[_Place]:
    """The resource of an entry; of a transaction or a history that deletes it, its name."""
    request = entry.get("request") if isinstance(entry, dict) else None
    if isinstance(request, dict):
        method = text_or_none(request, "method")
        kind, _, own = (text_or_none(request, "url") or "").partition("/")
        if method == "DELETE" and kind == "Observation" and own.partition("/")[0]:
            yield _Place(f"{path}.request", None, f"id {own.partition('/')[0]};")
            return
        if method in _NO_RESOURCE:
            return
    yield _Place(f"{path}.resource", entry.get("resource") if isinstance(entry, dict) else entry)


_NO_RESOURCE: Final = frozenset({"DELETE", "GET", "HEAD"})


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


def _events(scribe: Scribe, resource: Record) -> Iterator[Event]:
    if text_or_none(resource, "status") not in _FINAL:
        raise RefusedError(Reason.NOT_ALLOWED, "status", "the observation is not final, and none that is preliminary")
    concept = inner(resource, "code")
    if codes_of(concept, LOINC, MDC) & (ECG | LEADS.keys()):
        yield from _ecg(scribe, resource)
        return
    if known_code(concept) is None and (_parts(resource) or _has_pressure(resource)):
        if _has_pressure(resource):
            yield _event(scribe, "blood_pressure", _pressure(scribe, resource), resource, code="blood_pressure")
        for place, component, type_ in _parts(resource):
            with inside(f"component[{place}]"):
                value = _value(scribe, type_, component)
            yield _event(scribe, type_, value, resource, code=type_)
        return
    code = _code(concept, "code")
    if code in PRESSURE:
        yield _event(scribe, "blood_pressure", _pressure(scribe, resource), resource)
        return
    type_ = TYPE_OF[code]
    value = _value(scribe, type_, resource)
    if type_ == "sleep":
        value |= _night(scribe, resource)
    yield _event(scribe, type_, value, resource)


def _event(  # noqa: PLR0917  # made by the two around it
    scribe: Scribe,
    type_: str,
    value: dict[str, Any],
    resource: Record,
    end: Moment | None = None,
    code: str = "",
) -> Event:
    """An event of a resource; ``code`` tells those of one resource apart that are of one type."""
    start, last = _when(scribe, type_, resource, end)
    name = _name(resource)
    device = text_or_none(inner(resource, "device"), "display")
    return scribe.event(
        type_,
        value,
        start,
        last,
        key=("name", name, code) if name and code else ("name", name) if name else (),
        version=_version(scribe, resource),
        device={"model": device[:64]} if device else {},
    )


def _value(scribe: Scribe, type_: str, holder: Record) -> dict[str, Any]:
    """The number of a resource or component, or its series."""
    field = first_field(type_)
    data = inner(holder, "valueSampledData")
    if not data:
        return {field: _quantity(scribe, type_, field, holder)}
    with inside("valueSampledData"):
        if "samples" not in CATALOGUE[type_].forms:
            raise RefusedError(Reason.UNKNOWN_FIELD, None, f"{type_} has no series of samples")
        found = read_sampled(data, type_, field)
    samples = [
        [whole(float(place * found.apart_s)), each] for place, each in enumerate(found.numbers) if each is not None
    ]
    return {"samples": samples}


def _parts(resource: Record) -> list[tuple[int, Record, str]]:
    """The components of a panel that are of a type of ours."""
    found = []
    for place, component in enumerate(items(resource, "component")):
        known = known_code(inner(as_record(component), "code"))
        if known is not None:
            found.append((place, component, TYPE_OF[known]))
    return found


def _has_pressure(resource: Record) -> bool:
    """Whether a panel has a blood pressure among its components."""
    codes = {code for each in items(resource, "component") for code in codes_of(inner(as_record(each), "code"), LOINC)}
    return bool(codes & {"8480-6", "8462-4"})


def _night(scribe: Scribe, resource: Record) -> dict[str, float]:
    """How long each stage of a night was, in its components."""
    found: dict[str, float] = {}
    for place, component in enumerate(items(resource, "component")):
        each = as_record(component)
        for code in codes_of(inner(each, "code"), LOINC) & PARTS_OF_A_NIGHT.keys():
            with inside(f"component[{place}]"):
                found[PARTS_OF_A_NIGHT[code]] = _quantity(scribe, "sleep", PARTS_OF_A_NIGHT[code], each)
    return found


def _ecg(scribe: Scribe, resource: Record) -> Iterator[Event]:
    """An event for each lead: of the resource itself, or of its components."""
    about: dict[str, Any] = {"classification": "unknown"}
    label = next((said for each in items(resource, "interpretation") if (said := _said(each))), None)
    if label:
        about["label"] = label[:128]
    leads: list[tuple[str, Record]] = [("", resource)] if "valueSampledData" in resource else []
    for place, component in enumerate(items(resource, "component")):
        each = as_record(component)
        if "valueSampledData" in each:
            leads.append((f"component[{place}]", each))
        elif "8867-4" in codes_of(inner(each, "code"), LOINC):
            with inside(f"component[{place}]"):
                about["bpm"] = _quantity(scribe, "ecg", "bpm", each)
    if not leads:
        raise RefusedError(Reason.MISSING_FIELD, "valueSampledData", "an ECG without a waveform")
    for path, holder in leads:
        where = f"{path}.valueSampledData" if path else "valueSampledData"
        with inside(where):
            found = read_sampled(inner(holder, "valueSampledData"), "ecg", "microvolts")
            if None in found.numbers:
                raise RefusedError(Reason.MISSING_FIELD, "data", "a sample is missing, and none is made up")
        lead = next((LEADS[code] for code in codes_of(inner(holder, "code"), LOINC, MDC) if code in LEADS), "other")
        value = about | {"hz": whole(float(1 / found.apart_s)), "lead": lead, "microvolts": found.numbers}
        start, _ = _when(scribe, "heart_rate", resource)
        end = start.later(float(len(found.numbers) * found.apart_s)) if isinstance(start, Moment) else None
        yield _event(scribe, "ecg", value, resource, end, lead)


def _said(concept: Any) -> str | None:
    """The words of a concept."""
    if not isinstance(concept, dict):
        return None
    coding = concept.get("coding")
    first = coding[0] if isinstance(coding, list) and coding and isinstance(coding[0], dict) else {}
    return text_or_none(concept, "text") or text_or_none(first, "display") or text_or_none(first, "code")


def _code(concept: Record, field: str, known: Any = None) -> str:
    """The first LOINC code of a concept that is known. Raises RefusedError."""
    codes = [
        str(each.get("code"))
        for each in items(concept, "coding")
        if isinstance(each, dict) and each.get("system") in (LOINC, None)
    ]
    found = next((code for code in codes if code in (known or TYPE_OF) or (known is None and code in PRESSURE)), None)
    if found is None:
        said = printable(", ".join(codes)) if codes else "it"
        raise RefusedError(Reason.UNKNOWN_TYPE, f"{field}.coding", f"{said} is no LOINC code that has a type here")
    return found


def _quantity(scribe: Scribe, type_: str, field: str, holder: Record) -> float:
    """The number of a resource or component in the unit of a field. Raises RefusedError."""
    quantity, place = inner(holder, "valueQuantity"), "valueQuantity"
    if not quantity:
        absent = "; it says why it is absent" if "dataAbsentReason" in holder else ""
        raise RefusedError(Reason.MISSING_FIELD, place, f"{place} is missing{absent}")
    if quantity.get("comparator") is not None:
        raise RefusedError(Reason.UNKNOWN_FIELD, f"{place}.comparator", "a bound of a number is not the number")
    with inside(place):
        amount = number(quantity, "value")
    ucum = quantity.get("system") == UCUM
    unit = text_or_none(quantity, "code" if ucum else "unit") or text_or_none(quantity, "unit" if ucum else "code")
    own = SPELLINGS.get(next(each for each in CATALOGUE[type_].quantities if each.field == field).unit, ())
    said_at = f"{place}.code" if ucum else f"{place}.unit"
    return in_field(type_, field, amount, unit, own, place=said_at, declared=scribe.message.declared.unit)


def _pressure(scribe: Scribe, resource: Record) -> dict[str, float]:
    value: dict[str, float] = {}
    for place, component in enumerate(items(resource, "component")):
        each = as_record(component)
        try:
            part = PARTS_OF_PRESSURE[_code(inner(each, "code"), "code", PARTS_OF_PRESSURE)]
        except RefusedError:
            continue  # mean pressure, and what else a cuff says
        with inside(f"component[{place}]"):
            value[part] = _quantity(scribe, "blood_pressure", part, each)
    for part in ("systolic", "diastolic"):
        if part not in value:
            raise RefusedError(Reason.MISSING_FIELD, "component", f"no component is the {part} one")
    return value


def _when(
    scribe: Scribe, type_: str, resource: Record, end: Moment | None = None
) -> tuple[Moment | Day, Moment | None]:
    """When it was; ``end`` where it says no period. Raises RefusedError for an amount without an interval."""
    kind, zone = CATALOGUE[type_].kind, scribe.message.declared.zone
    moment_field = next((field for field in ("effectiveDateTime", "effectiveInstant") if field in resource), None)
    span = inner(resource, "effectivePeriod")
    if kind is TimeKind.DAILY:
        said = span.get("start") if span else resource.get(moment_field or "effectiveDateTime")
        return day(said, moment_field or "effectivePeriod.start", zone), None
    if span:
        with inside("effectivePeriod"):
            start, end = scribe.moment_in(span, "start"), scribe.moment_in(span, "end")
        return start, end
    if end is not None:
        return scribe.moment_in(resource, moment_field or "effectiveDateTime"), end
    if kind in {TimeKind.INTERVAL, TimeKind.SESSION}:
        raise RefusedError(Reason.MISSING_FIELD, "effectivePeriod", f"{type_} is an amount of an interval")
    return scribe.moment_in(resource, moment_field or "effectiveDateTime"), None


def _version(scribe: Scribe, resource: Record) -> Any:
    """When the resource was last changed, in milliseconds; the order of arrival where it does not say."""
    meta = inner(resource, "meta")
    return scribe.moment_in(meta, "lastUpdated").us // 1000 if text_or_none(meta, "lastUpdated") else "latest"
