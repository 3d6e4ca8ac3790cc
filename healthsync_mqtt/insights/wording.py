"""What a language model is asked and what is taken of its answer: the sentences and figures of a week. Pure.

Nothing else of a person goes out: no name, no day, no id, no event. What comes back is kept only if it says no number
that did not go out: a model that makes up a reading is not quoted.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.summaries.day import day_number

KIND: Final = "report"
"""Of what a model phrased, among the kinds of insights."""
MOST_FINDINGS: Final = 40
MOST_SENT: Final = 32_768
"""Bytes of a question."""
MOST_SAID: Final = 4_000
"""Characters of a report."""
_MOST_TOKENS: Final = 700
_COUNTS: Final = frozenset(map(float, range(11)))
"""Small numbers that a text counts with: two findings, seven days."""
_INSTRUCTION: Final = (
    "You phrase a short weekly report for the person whose findings follow, as a list in JSON, each with a sentence and"
    " its figures. Use plain, calm words and at most 150 words. Say nothing that is not in the findings: no other"
    " number, no cause, no diagnosis, no advice about medicines. If findings belong together, say so once."
    " Answer with the report alone, without a heading or a list."
)
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_GROUPED: Final = re.compile(r"(?<=\d),(?=\d{3}\b)")
_UNSEEN: Final = re.compile(r"(?:[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069])+")
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class ToldFinding(NamedTuple):
    """A finding of the week: its day, the types that it rests on, the event that it was told as."""

    day: int
    types: frozenset[str]
    event: Mapping[str, Any]


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]


_read: Final = msgspec.json.Decoder(_Answer).decode


def question(model: str, week: Sequence[ToldFinding]) -> tuple[bytes, Sequence[ToldFinding]]:
    """The body of the request, and the findings in it: the newest ones that fit."""
    taken = list(week[-MOST_FINDINGS:])
    while True:
        body = _encode(_asked(model, taken))
        if len(body) <= MOST_SENT or len(taken) <= 1:
            return body, taken
        taken = taken[len(taken) // 2 :]


def _asked(model: str, week: Sequence[ToldFinding]) -> dict[str, Any]:
    shown = [{"sentence": each.event["sentence"], "figures": each.event["figures"]} for each in week]
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": _INSTRUCTION},
            {"role": "user", "content": _encode(shown).decode()},
        ],
        "max_tokens": _MOST_TOKENS,
        "temperature": 0.2,
        "stream": False,
    }


def report_of(answer: bytes, model: str, week: Sequence[ToldFinding]) -> InsightFinding:
    """The report in an answer. InputError for an answer that is none, or one that is not to be shown."""
    try:
        choices = _read(answer).choices
    except msgspec.DecodeError as error:
        raise InputError("it did not answer as OpenAI's API does", hint="insights.model.url ends with /v1") from error
    said = choices[0] if choices else None
    if said is None or said.finish_reason not in {None, "stop"} or not said.message.content:
        raise InputError("it came to no end", hint="a model that thinks at length needs more room than a report has")
    lines = (line.strip() for line in _UNSEEN.sub(" ", said.message.content).splitlines())
    text = "\n".join(line for line in lines if line)
    if not text or len(text) > MOST_SAID:
        raise InputError(f"it said {len(text)} characters", hint=f"1 to {MOST_SAID} are a report")
    if made_up := sorted(_numbers(text) - _sent(week)):
        raise InputError(f"it said {len(made_up)} numbers that it was not told", hint="ask a larger model")
    first, last = min(_day(each, "from") for each in week), max(_day(each, "to") for each in week)
    basis = Basis(
        types=tuple(sorted({name for each in week for name in each.types})),
        first_day=first,
        last_day=last,
        days=7,
        readings=sum(each.event["rests_on"]["readings"] for each in week),
    )
    figures: dict[str, float | str] = {"findings": float(len(week)), "model": model}
    return InsightFinding(subject="week", what="phrased", sentence=text, basis=basis, figures=figures)


def _day(finding: ToldFinding, name: str) -> int:
    return day_number(finding.event["rests_on"][name])


def _sent(week: Sequence[ToldFinding]) -> set[float]:
    found = set(_COUNTS)
    for each in week:
        found |= _numbers(each.event["sentence"])
        for figure in each.event["figures"].values():
            if isinstance(figure, str):
                found |= _numbers(figure)
            else:
                found |= {abs(round(float(figure), decimals)) for decimals in range(4)} | {abs(float(figure))}
    return found


def _numbers(text: str) -> set[float]:
    found = set()
    for each in _NUMBER.findall(_GROUPED.sub("", text)):
        parts = each.replace(",", ".").split(".")
        found |= {float(".".join(parts))} if len(parts) <= 2 else set(map(float, parts))
    return found
