"""The menstrual cycle, and what belongs to reproduction: stored and shown only where that was agreed to by name."""

from typing import Final

from healthsync_mqtt.model.entries import instant, parts
from healthsync_mqtt.model.event_type import Daily, EventType, Flag, Part, Quantity, Sensitivity, Text, TimeKind, Words

_DAY_US: Final = 86_400_000_000
_PRIVATE = Sensitivity.REPRODUCTIVE

_FLOWS = ("unspecified", "none", "light", "medium", "heavy")
_RESULTS = ("negative", "positive", "indeterminate")
_SITE = Words("site", ("armpit", "finger", "forehead", "mouth", "rectum", "ear", "vagina", "wrist", "unknown"))


def _observed(name: str, words: Words, *optional: Part, aliases: tuple[str, ...] = ()) -> EventType:
    """``label`` is the word of a source, where it is none of ours."""
    example = {words.field: words.words[1]}
    said = (*optional, Text("label", 128))
    return parts(name, TimeKind.INSTANT, (words,), said, example=example, aliases=aliases, sensitivity=_PRIVATE)


TYPES = (
    parts(
        "menstruation",
        TimeKind.SESSION,
        (Words("flow", _FLOWS),),
        (Flag("predicted"),),
        example={"flow": "medium"},
        aliases=("menstruation_period", "period"),
        daily=Daily.LONGEST,
        sensitivity=_PRIVATE,
        max_span_us=60 * _DAY_US,
    ),
    _observed("menstrual_flow", Words("flow", _FLOWS), Flag("cycle_start"), aliases=("menstruation_flow",)),
    _observed("intermenstrual_bleeding", Words("flow", _FLOWS), aliases=("spotting",)),
    _observed(
        "ovulation_test",
        Words(
            "result", ("negative", "positive", "high", "estrogen_surge", "luteinizing_hormone_surge", "indeterminate")
        ),
        aliases=("ovulation_test_result",),
    ),
    _observed(
        "cervical_mucus",
        Words("appearance", ("dry", "sticky", "creamy", "watery", "egg_white", "unusual", "unknown")),
        Words("sensation", ("light", "medium", "heavy", "unknown")),
        aliases=("cervical_mucus_quality",),
    ),
    _observed("sexual_activity", Words("protection", ("unknown", "protected", "unprotected"))),
    _observed("pregnancy_test", Words("result", _RESULTS), aliases=("pregnancy_test_result",)),
    _observed("progesterone_test", Words("result", _RESULTS), aliases=("progesterone_test_result",)),
    _observed(
        "contraceptive",
        Words(
            "method",
            ("unspecified", "oral", "implant", "injection", "intrauterine_device", "intravaginal_ring", "patch"),
        ),
    ),
    parts(
        "pregnancy",
        TimeKind.SESSION,
        (Words("state", ("pregnant", "lactating", "postpartum")),),
        example={"state": "pregnant"},
        sensitivity=_PRIVATE,
        max_span_us=1100 * _DAY_US,
    ),
    instant(
        "basal_body_temperature",
        Quantity("celsius", "Cel", 30, 45, usual=36.4),
        "basal_body_temp",
        daily=Daily.LAST,
        sensitivity=_PRIVATE,
        extras=(_SITE,),
    ),
    _observed(
        "reproductive_symptom",
        Words("symptom", ("breast_pain", "pelvic_pain", "vaginal_dryness", "hot_flashes", "menstrual_cramps", "other")),
        Words("severity", ("unspecified", "not_present", "mild", "moderate", "severe")),
    ),
)
