"""The mind: what a person feels and what is asked about it, stored and shown only where that was agreed to by name."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.entries import parts
from healthsync_mqtt.model.event_type import Daily, EventType, Form, Quantity, Sensitivity, TimeKind, Words
from healthsync_mqtt.model.points import several
from healthsync_mqtt.model.shapes import fields, part, struct

_DAY_US: Final = 86_400_000_000
_PRIVATE = Sensitivity.MENTAL
_SEVERITY = Words("severity", ("unspecified", "not_present", "mild", "moderate", "severe"))

_VALENCE = Quantity("valence", "1", -1, 1, usual=0.4)
_KIND = Words("kind", ("emotion", "mood"))
LABELS = Words(
    "labels",
    (
        "amazed", "amused", "angry", "annoyed", "anxious", "ashamed", "brave", "calm", "confident", "content",
        "disappointed", "discouraged", "disgusted", "drained", "embarrassed", "excited", "frustrated", "grateful",
        "guilty", "happy", "hopeful", "hopeless", "indifferent", "irritated", "jealous", "joyful", "lonely",
        "overwhelmed", "passionate", "peaceful", "proud", "relieved", "sad", "satisfied", "scared", "stressed",
        "surprised", "worried",
    ),
)  # fmt: skip
ASSOCIATIONS = Words(
    "associations",
    (
        "community", "current_events", "dating", "education", "family", "fitness", "friends", "health", "hobbies",
        "identity", "money", "partner", "self_care", "spirituality", "tasks", "travel", "weather", "work",
    ),
)  # fmt: skip


def _state_of_mind() -> Form:
    """``{"valence": 0.4, "kind": "mood", "labels": ["calm"], "associations": ["family"]}``"""
    none: Any = msgspec.field(default_factory=list)
    lists: list[Any] = [
        (each.field, Annotated[list[part(each)], Meta(max_length=40)], none)  # type: ignore[misc]
        for each in (LABELS, ASSOCIATIONS)
    ]
    return Form(struct("StateOfMind", [*fields((_VALENCE,)), *fields((_KIND,), optional=True), *lists]))


TYPES = (
    EventType(
        name="state_of_mind",
        kind=TimeKind.INSTANT,
        quantities=(_VALENCE,),
        shapes=lambda: {_VALENCE.field: _state_of_mind()},
        daily=Daily.MEAN,
        aliases=("moods",),
        sensitivity=_PRIVATE,
        own_spread=lambda: several("state_of_mind", (_VALENCE.field,), {_KIND.field: _KIND.words}),
        example={"valence": 0.4, "kind": "mood", "labels": ["calm"], "associations": ["family"]},
    ),
    parts(
        "mindfulness",
        TimeKind.SESSION,
        (Words("activity", ("meditation", "breathing", "movement", "music", "reflection", "unguided", "unknown")),),
        example={"activity": "breathing"},
        aliases=("mindful_session", "mindfulness_session", "mindful_minutes"),
        daily=Daily.SUM,
        sensitivity=_PRIVATE,
        max_span_us=_DAY_US,
    ),
    parts(
        "mental_assessment",
        TimeKind.INSTANT,
        (Words("instrument", ("gad7", "phq9")), Quantity("score", "{score}", 0, 27, usual=4)),
        example={"instrument": "phq9", "score": 4},
        daily=Daily.LAST,
        sensitivity=_PRIVATE,
    ),
    parts(
        "mental_symptom",
        TimeKind.INSTANT,
        (Words("symptom", ("mood_changes", "memory_lapse", "sleep_changes", "panic", "other")),),
        (_SEVERITY,),
        example={"symptom": "mood_changes", "severity": "mild"},
        sensitivity=_PRIVATE,
    ),
)
