"""How events are written out: JSON, a line each, CSV or FHIR, as the Accept header asks."""

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from healthsync_mqtt.exports.observations import Observations
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.model.record import OP_WORDS, Record, canonical_dict, canonical_json
from healthsync_mqtt.model.times import iso


class EventForm(StrEnum):
    """A media type that events are written in."""

    JSON = "application/json"
    LINES = "application/x-ndjson"
    CSV = "text/csv"
    FHIR = "application/fhir+json"


_COLUMNS: Final = (
    "seq", "id", "user_id", "device_id", "type", "start_time", "end_time", "value", "version", "op", "received_at",
)  # fmt: skip
_encode = msgspec.json.Encoder().encode
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the beginning of a text."""


def form_of(accept: str) -> EventForm:
    """The first form of an Accept header that there is; JSON without one. HttpError 406."""
    asked: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            asked.append((-float(quality), name))
        except ValueError:
            continue
    for weight, name in sorted(asked, key=lambda each: each[0]):
        if weight == 0:
            continue
        if name in {"", "*/*", "application/*"}:
            return EventForm.JSON
        if name == "text/*":
            return EventForm.CSV
        if name in set(EventForm):
            return EventForm(name)
    raise HttpError(406, "not_acceptable", "events are not written like that", hint=f"Accept: {', '.join(EventForm)}")


def as_json(events: Sequence[Record], after: str | None) -> bytes:
    """One object with all events, and where to go on."""
    return b'{"events":[%b],"next":%b}' % (b",".join(map(canonical_json, events)), _encode(after))


def as_lines(events: Sequence[Record]) -> bytes:
    """One event a line."""
    return b"".join(canonical_json(each) + b"\n" for each in events)


def as_csv(events: Sequence[Record]) -> bytes:
    """One event a row; its value is JSON."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(_COLUMNS)
    for each in events:
        event = canonical_dict(each)
        rows.writerow([_cell(event[name]) for name in _COLUMNS])
    return out.getvalue().encode()


def as_fhir(events: Sequence[Record]) -> bytes:
    """A FHIR R4 Bundle of Observations, as ``events export --format fhir`` writes it."""
    out = io.BytesIO()
    bundle = Observations(out)
    for each in events:
        bundle.take(each)
    bundle.close()
    return out.getvalue()


def written_as(form: EventForm, events: Sequence[Record]) -> bytes:
    """The events alone, in a form that has no place for where to go on."""
    match form:
        case EventForm.CSV:
            return as_csv(events)
        case EventForm.FHIR:
            return as_fhir(events)
        case _:
            return as_lines(events)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return _encode(value).decode()
    return f"'{value}" if value.startswith(_FORMULA) else value


def as_first_api(record: Record) -> dict[str, Any]:
    """An event as the first API had it: the user as a number, the app that measured it inside the value."""
    event = canonical_dict(record)
    value = dict(event["value"]) if isinstance(event["value"], dict) else {}
    app = (event.get("source") or {}).get("app")
    if app is not None:
        value["source"] = app
    return {
        "id": record.id,
        "user_id": int(record.user)
        if record.user.isdecimal() and str(int(record.user)) == record.user
        else record.user,
        "type": record.type,
        "start_time": iso(record.start_us),
        "end_time": None if record.end_us is None else iso(record.end_us),
        "value": value,
        "device": event.get("device"),
        **({"op": OP_WORDS[record.op]} if record.op else {}),
    }
