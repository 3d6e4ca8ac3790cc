"""What people write down in Health Auto Export: moods, medicines, symptoms, the cycle.

Its words are in the language of the phone. One that is not known is kept as a label and counts as nothing; where it
would say which thing it is, it is refused.
"""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.health_auto_export.metrics import source_of
from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.document import Record, items, number, number_or_none, text, text_or_none, whole
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.formats.reading.words import underscored
from healthsync_mqtt.model.event_type import Words
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.types.mind import ASSOCIATIONS, LABELS

_KINDS: Final = {
    "daily_mood": "mood", "dailymood": "mood", "mood": "mood",
    "momentary_emotion": "emotion", "momentaryemotion": "emotion", "emotion": "emotion",
}  # fmt: skip
_STATUS: Final = {
    "taken": "taken",
    "skipped": "skipped",
    "snoozed": "snoozed",
    "not interacted": "not_interacted",
    "not logged": "not_logged",
    "notification not sent": "not_logged",
}
_SEVERITY: Final = {
    "unspecified": "unspecified", "not present": "not_present", "mild": "mild", "moderate": "moderate",
    "severe": "severe", "present": "unspecified",
}  # fmt: skip
_SYMPTOMS: Final = underscored(
    "abdominal cramps",
    "acne",
    "appetite changes",
    "bladder incontinence",
    "bloating",
    "chest tightness or pain",
    "chills",
    "constipation",
    "coughing",
    "diarrhea",
    "dizziness",
    "dry skin",
    "fainting",
    "fatigue",
    "fever",
    "generalized body ache",
    "hair loss",
    "headache",
    "heartburn",
    "loss of smell",
    "loss of taste",
    "lower back pain",
    "nausea",
    "night sweats",
    "rapid pounding or fluttering heartbeat",
    "runny nose",
    "shortness of breath",
    "sinus congestion",
    "skipped heartbeat",
    "sore throat",
    "vomiting",
    "wheezing",
) | {"body and muscle ache": "generalized_body_ache"}
_MENTAL: Final = underscored("mood changes", "memory lapse", "sleep changes")
_REPRODUCTIVE: Final = underscored("breast pain", "pelvic pain", "vaginal dryness", "hot flashes")

_FLOWS: Final = underscored("unspecified", "none", "light", "medium", "heavy")
_RESULTS: Final = underscored(
    "negative", "positive", "indeterminate", "high", "estrogen surge", "luteinizing hormone surge"
)
_MUCUS: Final = underscored("dry", "sticky", "creamy", "watery", "egg white")
_METHODS: Final = underscored(
    "unspecified", "oral", "implant", "injection", "intrauterine device", "intravaginal ring", "patch"
)
_PROTECTION: Final = {
    "unspecified": "unknown",
    "protection used": "protected",
    "protection not used": "unprotected",
}

#: A name of the cycle in English: our type, its field, its words, and the word for one that is not known.
_CYCLE: Final = {
    "menstrual flow": ("menstrual_flow", "flow", _FLOWS, "unspecified"),
    "menstruation": ("menstrual_flow", "flow", _FLOWS, "unspecified"),
    "intermenstrual bleeding": ("intermenstrual_bleeding", "flow", _FLOWS, "unspecified"),
    "spotting": ("intermenstrual_bleeding", "flow", _FLOWS, "unspecified"),
    "ovulation test result": ("ovulation_test", "result", _RESULTS, "indeterminate"),
    "ovulation test": ("ovulation_test", "result", _RESULTS, "indeterminate"),
    "cervical mucus quality": ("cervical_mucus", "appearance", _MUCUS, "unknown"),
    "cervical mucus": ("cervical_mucus", "appearance", _MUCUS, "unknown"),
    "contraceptive": ("contraceptive", "method", _METHODS, "unspecified"),
    "sexual activity": ("sexual_activity", "protection", _PROTECTION, "unknown"),
}

CYCLE_TYPES: Final = tuple(dict.fromkeys(type_ for type_, *_ in _CYCLE.values()))


def read_mood(scribe: Scribe, record: Record) -> Iterator[Event]:
    """A state of mind. Raises RefusedError."""
    start = scribe.moment_in(record, "start")
    value: dict[str, Any] = {"valence": whole(number(record, "valence"))}
    kind = _KINDS.get(_folded(record, "kind").replace(" ", "_"))
    if kind:
        value["kind"] = kind
    for field, known in (("labels", LABELS), ("associations", ASSOCIATIONS)):
        value |= _known(record, field, known)
    own = text_or_none(record, "id")
    app = source_of(record)
    key: tuple[object, ...] = ("id", own.upper()) if own else ("mood", start.text, app or "")
    yield scribe.event("state_of_mind", value, start, app=app, key=key)


def _known(record: Record, field: str, known: Words) -> dict[str, list[str]]:
    """The words of a list that are words of ours; the others are in some language."""
    words = ["_".join(each.casefold().split()) for each in items(record, field) if isinstance(each, str)]
    found = list(dict.fromkeys(each for each in words if each in known.words))
    return {field: found} if found else {}


def read_medicine(scribe: Scribe, record: Record) -> Iterator[Event]:
    """What became of a planned dose; only what was taken, or says so in words that are not known, has an amount."""
    name = text(record, "displayText").strip()
    start = scribe.moment_in(record, "start")
    planned = scribe.moment_in(record, "scheduledDate") if record.get("scheduledDate") else start
    word = text_or_none(record, "status")
    status = _STATUS.get((word or "").casefold(), "unknown")
    value: dict[str, Any] = {"status": status, "medication": name[:256]}
    if word and status == "unknown":
        value["label"] = word[:128]
    dose = number_or_none(record, "dosage")
    if dose is not None and status in {"taken", "unknown"}:
        value["dose"] = whole(dose)
        form = text_or_none(record, "form")
        if form:
            value["dose_unit"] = form[:64]
    app = source_of(record)
    key = ("planned", planned.text, name, app or "")
    yield scribe.event("medication_dose", value, start, app=app, key=key)


def read_symptom(scribe: Scribe, record: Record) -> Iterator[Event]:
    """A symptom under its name; one in words that are not known is another one, with its label. Raises RefusedError."""
    start = scribe.moment_in(record, "start")
    end = scribe.moment_in(record, "end") if record.get("end") is not None else None
    name, severity = text(record, "name").strip(), text_or_none(record, "severity")
    folded = _folded(record, "name")
    type_, symptom = "symptom", _SYMPTOMS.get(folded, "other")
    for other, words in (("mental_symptom", _MENTAL), ("reproductive_symptom", _REPRODUCTIVE)):
        if folded in words:
            type_, symptom = other, words[folded]
    value: dict[str, Any] = {"symptom": symptom}
    if type_ == "symptom" and symptom == "other":
        value["label"] = name[:128]
    known = _SEVERITY.get((severity or "").casefold())
    if known:
        value["severity"] = known
    elif severity and type_ == "symptom":
        value["severity_label"] = severity[:128]
    app = source_of(record)
    key = ("symptom", name, start.text, app or "")
    yield scribe.event(type_, value, start, end, app=app, key=key)


def read_cycle(scribe: Scribe, record: Record) -> Iterator[Event]:
    """What belongs to the cycle. Raises RefusedError for a name that is not known: it would say what it is."""
    start = scribe.moment_in(record, "start")
    end = scribe.moment_in(record, "end") if record.get("end") is not None else None
    name = text(record, "name").strip()
    row = _CYCLE.get(_folded(record, "name"))
    if row is None:
        raise RefusedError(Reason.UNKNOWN_TYPE, "name", f"{printable(name)} is nothing of the cycle that is known here")
    type_, field, words, otherwise = row
    word = text_or_none(record, "value")
    found = words.get((word or "").casefold())
    value: dict[str, Any] = {field: found or otherwise}
    if word and found is None:
        value["label"] = word[:128]
    if type_ == "menstrual_flow" and isinstance(record.get("isCycleStart"), bool):
        value["cycle_start"] = record["isCycleStart"]
    app = source_of(record)
    yield scribe.event(type_, value, start, end, app=app, key=("cycle", start.text, app or ""))


def _folded(record: Record, field: str) -> str:
    return " ".join((text_or_none(record, field) or "").casefold().replace("_", " ").split())
