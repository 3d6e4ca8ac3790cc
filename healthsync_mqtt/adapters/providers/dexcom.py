"""Dexcom's records as events. ``systemTime`` is UTC, however it is written; the offset is what ``displayTime`` says.

A receiver's ``displayTime`` has no offset, and its clock may be wrong: none is made of the difference. What a sensor
says beyond its range (``high``, ``low``) is kept beside the number.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from healthsync_mqtt.adapters.capability import AskingBudget, AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.cloud import (
    Asked,
    Cloud,
    CloudEndpoint,
    CloudFault,
    Failed,
    Question,
    judged,
    utc_time,
)
from healthsync_mqtt.adapters.mapping.answers import (
    AnswerKind,
    AnswerReading,
    ProviderMapping,
    Written,
    name_of,
    no_type,
    nothing,
)
from healthsync_mqtt.adapters.mapping.rules import FieldRow, number_at
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.formats.port import FormatEntry
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import Record, text, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment, moment
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_LISTS: Final = ("records",)
_BEYOND: Final = frozenset({"high", "low"})
_INSULIN: Final = {"fastActing": "bolus", "longActing": "basal"}

#: Of what a user enters, by Dexcom's word: our type, its field and Dexcom's unit of it.
_ENTERED: Final = {
    "carbs": FieldRow("value", "food", "g", "carbohydrate_g", about="carbs"),
    "insulin": FieldRow("value", "insulin_delivery", "[IU]", "units", about="insulin"),
    "bloodGlucose": FieldRow("value", "glucose", "mg/dL", about="bloodGlucose, in the unit that it says"),
    "exercise": FieldRow("value", "workout", "min", "active_s", about="exercise, as long as it says"),
}
_GLUCOSE: Final = FieldRow("value", "glucose", "mg/dL", about="in the unit that it says")
_CONDITIONS: Final = {
    "illness": "symptom",
    "highSymptoms": "symptom",
    "lowSymptoms": "symptom",
    "stress": "mental_symptom",
}


def _at(record: Record) -> Moment:
    """The moment in UTC, and the offset of the clock that showed it, where that is said."""
    there = moment(text(record, "systemTime"), "systemTime", "UTC")
    shown, offset = text_or_none(record, "displayTime"), None
    if shown is not None:
        try:
            offset = moment(shown, "displayTime").offset_s
        except RefusedError:
            offset = None  # a clock without an offset, or a broken one: nothing is made of it
    return Moment(there.us, offset)


def _glucose(reading: AnswerReading, record: Record, specimen: str, **source: Any) -> Iterator[Written]:
    name = name_of(record, "recordId")
    found = number_at(record, "value")
    if found is None:
        return
    value = {"mg_dl": in_field("glucose", "mg_dl", found, text_or_none(record, "unit"), place="unit")}
    yield reading.event(
        "glucose", value | {"specimen": specimen}, _at(record), record=name, source={"record_id": name} | source
    )


def _egv(reading: AnswerReading, record: Record) -> Iterator[Written]:
    said = {}
    for field in ("status", "trend"):
        word = text_or_none(record, field)
        if word and (field == "trend" or word in _BEYOND):
            said[field] = word[:64]
    yield from _glucose(reading, record, "interstitial_fluid", **said)


def _calibration(reading: AnswerReading, record: Record) -> Iterator[Written]:
    yield from _glucose(reading, record, "capillary_blood")


def _entered(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """What a user entered; notes are free text, and not taken."""
    name, at = name_of(record, "recordId"), _at(record)
    sort = text(record, "eventType")
    part = text_or_none(record, "eventSubType")
    type_ = _CONDITIONS.get(part or "") if sort == "health" else getattr(_ENTERED.get(sort), "type", None)
    if type_ is None:
        what = printable(f"{sort} {part}" if part else sort)
        raise RefusedError(Reason.UNKNOWN_TYPE, "eventType", f"there is no type here for {what}")
    if text_or_none(record, "eventStatus") == "deleted":
        yield reading.gone(type_, at, record=name)
        return
    source = {"record_id": name, "recording": "manual"}
    if sort == "bloodGlucose":
        yield from _glucose(reading, record, "capillary_blood", recording="manual")
        return
    if sort == "health":
        label = {"label": part} if type_ == "symptom" else {}
        yield reading.event(type_, {"symptom": "other"} | label, at, record=name, source=source)
        return
    rule = _ENTERED[sort]
    found = number_at(record, "value")
    if found is None:
        return
    amount = in_field(rule.type, rule.ours, found, rule.unit)
    value: dict[str, Any] = {rule.ours: amount}
    end = None
    if sort == "insulin":
        value["reason"] = _INSULIN.get(part or "", "unknown")
    if sort == "exercise":
        value = {"activity": "other"} | ({"name": f"{part} exercise"[:64]} if part else {}) | value
        end = at.later(amount)
    yield reading.event(rule.type, value, at, end, record=name, source=source)


MAPPING: Final = ProviderMapping(
    "dexcom",
    "Dexcom",
    (
        AnswerKind("egvs", _egv, (_GLUCOSE,), lists=_LISTS, aliases=("egv",)),
        AnswerKind(
            "events",
            _entered,
            tuple(_ENTERED.values()),
            (FormatEntry("events: health", "symptom", "stress is a mental_symptom"),),
            lists=_LISTS,
            aliases=("event",),
        ),
        AnswerKind("calibrations", _calibration, (_GLUCOSE,), lists=_LISTS, aliases=("calibration",)),
        AnswerKind("alerts", no_type("an alert"), lists=_LISTS),
        AnswerKind("devices", nothing, lists=_LISTS),
        AnswerKind("data_range", nothing, aliases=("dataRange",)),
    ),
)


def _asked(collection: str) -> Callable[[Asked], Question]:
    def question(asked: Asked) -> Question:
        # Its times are UTC and say nothing of it.
        query = {"startDate": utc_time(asked.start)[:-1], "endDate": utc_time(asked.end)[:-1]}
        return f"/v3/users/self/{collection}", query, None

    return question


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """There is one scope, so that 403 is no missing one: a token of one region is good at its address only."""
    failed = judged(answer, document)
    if failed is not None and failed.fault is CloudFault.not_granted:
        return Failed(CloudFault.user, hint=_REGION)
    if failed is not None and failed.fault is CloudFault.gone:
        return Failed(CloudFault.ours, hint=_REGION)  # nothing is asked for by its name
    return failed


_REGION: Final = "is the account of another region? its address goes into adapters.dexcom.base_url: api.dexcom.eu, .jp"
CLOUD: Final = Cloud(
    base_url="https://api.dexcom.com",
    auth_url="https://api.dexcom.com/v2/oauth2/login",
    token_url="https://api.dexcom.com/v2/oauth2/token",  # noqa: S106  # an address
    endpoints=(
        CloudEndpoint(kind="egvs", question=_asked("egvs")),
        CloudEndpoint(kind="events", question=_asked("events")),
        CloudEndpoint(kind="calibrations", question=_asked("calibrations")),
    ),
    judge=_judged,
)


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="dexcom",
            title="Dexcom",
            auth=AuthMethod.oauth2,
            delivery=frozenset({DeliveryWay.poll}),
            budgets=(AskingBudget(60_000, 3_600),),
            history_days=90,
            again_days=1,
            scopes=("offline_access",),
            about="data comes one to three hours late",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
