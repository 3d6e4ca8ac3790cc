"""What an HTTP answer to a write means: a table in code, pure.

The answers are those documented for InfluxDB 2.x and Cloud (204; 400 invalid, 422 partly written, 401, 403, 404, 413,
429, 503 with Retry-After), 3 Core (a 400 that lists the refused lines of a partial write) and 1.8.

Two rules keep a wrong guess from losing a line. A line is refused only on evidence that names it: the server quoted
it, said that it dropped as many lines as were sent, or refused it when it was sent alone. And only the server's own
words about lines are a verdict on them (``_of_the_server``): what a proxy, a login page or a server of another kind
answers is an outage, whatever its status and however often this server has accepted lines before.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, NamedTuple

from healthsync_mqtt.sinks.influx.line import ServerAnswer

MAX_WAIT_S = 900.0
_MAX_MESSAGE = 200
_MAX_READ = 20_000
_IN_QUOTES = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAME = re.compile(r"[A-Za-z][A-Za-z_-]{0,63}")
_WITH_DIGITS = re.compile(r"\S*\d\S*")
_HARMLESS = re.compile(r"dropped=\d+|[a-z]+(?:8|16|32|64)[,.;:]?")


class Means(Enum):
    """What to do next."""

    #: written
    ADVANCE = auto()
    #: the lines named are refused for good; send the others again, which overwrites what was written of them
    REFUSE = auto()
    #: the lines named may be the cause: send each alone, the others together
    SUSPECT = auto()
    #: some line is the cause, nobody says which: send halves
    BISECT = auto()
    #: too large: send halves
    HALVE = auto()
    #: later
    WAIT = auto()
    #: the server itself fails on this request, in words that do not blame a line: later, after a while in halves
    DOUBT = auto()
    #: not before an operator has changed something
    PAUSE = auto()


class AnswerVerdict(NamedTuple):
    """``lines`` are places in what was sent, ``wait_s`` what the server asked for, ``message`` free of lines."""

    means: Means
    reason: str = ""
    lines: tuple[int, ...] = ()
    wait_s: float | None = None
    message: str = ""
    hint: str = ""


_AGAIN = "it is tried again by itself"
FAULTS: Mapping[str, tuple[str, str]] = {
    "unreachable": ("there is no connection to it", "does the server run, and is the URL its own?"),
    "timeout": ("it did not answer in time", "does the server run, and is the URL its own?"),
    "reset": (
        "it closed the connection before it answered",
        "something closed the connection: is it https:// that the server wants?",
    ),
    "tls": ("the TLS handshake failed", "name the CA of its certificate: --ca-file"),
    "unreadable": ("it answered, but not in HTTP", "is the URL the server's own?"),
}
"""What went wrong before an answer came, in words, and what to look at; by ``ServerAnswer.fault``."""

_PAUSES = {
    401: ("unauthorized", "the token is not accepted: healthsync sink set NAME --token-file FILE"),
    402: ("payment_required", "the account behind this token may not write: look at its plan"),
    403: ("forbidden", "the token may not write to this bucket: give it write permission"),
    404: ("not_found", "the organisation, bucket or database does not exist: create it, or correct the sink"),
    405: ("wrong_url", "this URL takes no writes: correct the sink's URL and dialect"),
    410: ("wrong_url", "this URL takes no writes any more: correct the sink's URL"),
}
_LATER = frozenset({408, 425, 429})
_QUOTED = re.compile(r"unable to parse '((?:[^'\\]|\\.)*)'")
_DROPPED = re.compile(r"\bdropped=(\d+)")
_RETENTION = re.compile(r"retention", re.IGNORECASE)
_CONFLICT = re.compile(r"field type conflict|type mismatch|invalid column type|expected type", re.IGNORECASE)
#: How InfluxDB begins when it speaks of lines; no other of its answers has these words.
_ABOUT_LINES = re.compile(
    r"unable to parse '|partial write|line protocol|parsing failed for write_lp|field type conflict"
    r"|points? (?:beyond|outside) retention policy",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(
    r"request too large|batch is too large|Request Entity Too Large|max request size .* exceeded", re.IGNORECASE
)
#: A full cache or queue, a time-out: it passes without any change to the lines.
_OVERLOADED = re.compile(
    r"cache-max-memory-size|timeout|timed out|queue|too many|shutting down|starting", re.IGNORECASE
)


def judge(answer: ServerAnswer, lines: Sequence[str], now: datetime) -> AnswerVerdict:
    """What the answer to ``lines`` means."""
    status = answer.status
    if status == 204:
        return AnswerVerdict(Means.ADVANCE)
    if status == 0:
        return unanswered(answer)
    if status in {400, 422}:
        return _bad_lines(answer, lines) if _of_the_server(answer, _ABOUT_LINES) else _unexpected(answer, lines)
    if status == 413 or (status == 500 and _TOO_LARGE.match(answer.body)):
        return _too_large(answer, lines)
    if status in _PAUSES:
        reason, hint = _PAUSES[status]
        return AnswerVerdict(Means.PAUSE, reason, message=_said(answer.body, lines) or f"status {status}", hint=hint)
    if status == 500 and _of_the_server(answer, _ABOUT_LINES):
        return _bad_lines(answer, lines)  # 2.0 and 2.1 answer so for retention and type conflicts
    if status in _LATER or status >= 500:
        return _later(answer, lines, now)
    return _unexpected(answer, lines)


def judge_deletion(answer: ServerAnswer, now: datetime) -> AnswerVerdict:
    """What the answer to the deletion of one point means: done, REFUSE (kept aside, the others go on), later, or pause.

    1.x answers a statement that failed with 200 too, and a server that knows no DELETE with the rows of something.
    """
    if answer.status == 204 or (answer.status == 200 and _ran(answer.body)):
        return AnswerVerdict(Means.ADVANCE)
    if answer.status in {200, 400, 404, 405, 422, 501}:
        return AnswerVerdict(
            Means.REFUSE,
            "cannot_delete",
            message=_said(answer.body, ()) or f"status {answer.status}",
            hint="if this server deletes no points: healthsync sink set NAME --deletes mark",
        )
    verdict = judge(answer, (), now)
    waits = answer.status == 413 or verdict.means in {Means.HALVE, Means.BISECT, Means.DOUBT}
    if not waits:
        return verdict
    hint = f"look at the server's own log ({_AGAIN})"
    return AnswerVerdict(Means.WAIT, "unavailable", message=verdict.message or f"status {answer.status}", hint=hint)


def unanswered(answer: ServerAnswer) -> AnswerVerdict:
    """What it means that no answer came: later."""
    fault = answer.fault or "unreachable"
    words, hint = FAULTS[fault]
    return AnswerVerdict(Means.WAIT, fault, message=words, hint=f"{hint} ({_AGAIN})")


def _ran(body: str) -> bool:
    results = _json(body).get("results")
    return isinstance(results, list) and all(
        isinstance(one, dict) and not one.keys() - {"statement_id"} for one in results
    )


def _of_the_server(answer: ServerAnswer, words: re.Pattern[str]) -> bool:
    """Whether this is InfluxDB speaking: an object in JSON with its member for what it says, and these words there."""
    detail = _json(answer.body)
    said = detail.get("message", detail.get("error"))
    return isinstance(said, str) and bool(words.search(said))


def _unexpected(answer: ServerAnswer, lines: Sequence[str]) -> AnswerVerdict:
    return AnswerVerdict(
        Means.PAUSE,
        "unexpected_answer",
        message=f"status {answer.status}: {_said(answer.body, lines)}".rstrip(": "),
        hint="no server of this dialect answers a write so (a proxy or login page?): correct the URL or the dialect",
    )


def _too_large(answer: ServerAnswer, lines: Sequence[str]) -> AnswerVerdict:
    if len(lines) > 1 or (_TOO_LARGE.search(answer.body) and not answer.body.lstrip().startswith("<")):
        return AnswerVerdict(Means.HALVE, "too_large", message="the request is larger than the server takes")
    return AnswerVerdict(
        Means.PAUSE, "too_large", message="something before the server takes no request of one line",
        hint="raise the limit of the proxy before the server",
    )  # fmt: skip


def _later(answer: ServerAnswer, lines: Sequence[str], now: datetime) -> AnswerVerdict:
    status = answer.status
    reason = "rate_limited" if status == 429 else "timeout" if status == 408 else "unavailable"
    said = _said(answer.body, lines) if _json(answer.body) else ""
    doubtful = status == 500 and said and not _OVERLOADED.search(answer.body)
    hint = "the server asks for fewer requests" if status == 429 else "look at the server's own log"
    return AnswerVerdict(
        Means.DOUBT if doubtful else Means.WAIT,
        "server_error" if doubtful else reason,
        wait_s=retry_after_s(answer.retry_after, now),
        message=f"status {status}: {said}".rstrip(": "),
        hint=f"{hint} ({_AGAIN})",
    )


def retry_after_s(text: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header (a number or a date), 0 to 900; None without a usable one."""
    if text is None:
        return None
    text = text.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        return min(float(text), MAX_WAIT_S)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), MAX_WAIT_S)


def _bad_lines(answer: ServerAnswer, lines: Sequence[str]) -> AnswerVerdict:
    detail = _json(answer.body)
    said = _said(answer.body, lines)
    reason = _reason(said)
    listed = _listed(detail, lines)
    if listed:
        return AnswerVerdict(Means.REFUSE, _reason(f"{said} {detail['data']}"), listed, message=said)
    dropped = _DROPPED.search(answer.body)
    if lines and dropped and int(dropped[1]) >= len(lines):
        return AnswerVerdict(Means.REFUSE, reason, tuple(range(len(lines))), message=said)
    suspects = _suspects(detail, answer.body, lines)
    if len(lines) > 1 and suspects:
        return AnswerVerdict(Means.SUSPECT, reason, suspects, message=said)
    return AnswerVerdict(Means.BISECT, reason, message=said)


def _listed(detail: dict[str, Any], lines: Sequence[str]) -> tuple[int, ...]:
    """The lines that a partial write of 3 Core lists, where number and text agree with what was sent."""
    entries = detail.get("data")
    if not isinstance(entries, list):
        return ()
    places = set()
    for entry in entries:
        number = entry.get("line_number") if isinstance(entry, dict) else None
        original = entry.get("original_line") if isinstance(entry, dict) else None
        if type(number) is not int or not isinstance(original, str) or not 1 <= number <= len(lines):
            continue
        if original and lines[number - 1].startswith(original.rstrip("\n")):  # it may be cut, never changed
            places.add(number - 1)
    return tuple(sorted(places))


def _suspects(detail: dict[str, Any], body: str, lines: Sequence[str]) -> tuple[int, ...]:
    quoted = set(_QUOTED.findall(str(detail.get("message") or detail.get("error") or body)))
    found = {place for place, line in enumerate(lines) if line in quoted}
    number = detail.get("line")
    if type(number) is int and 1 <= number <= len(lines):
        found.add(number - 1)
    return tuple(sorted(found))


def _json(body: str) -> dict[str, Any]:
    try:
        detail = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return detail if isinstance(detail, dict) else {}


def _said(body: str, lines: Sequence[str]) -> str:
    """What the server said, short and without what it quoted of ours: no line, no text in quotes, no number."""
    detail = _json(body)
    said = str(detail.get("message") or detail.get("error") or body)[:_MAX_READ]
    for line in lines:
        if line in said:
            said = said.replace(line, "…")
    said = _IN_QUOTES.sub(lambda found: found[0] if _NAME.fullmatch(found[0].strip("'\"")) else "…", said)
    said = _WITH_DIGITS.sub(lambda found: found[0] if _HARMLESS.fullmatch(found[0]) else "…", said)
    return said[:_MAX_MESSAGE]


def _reason(said: str) -> str:
    if _RETENTION.search(said):
        return "outside_retention"
    if _CONFLICT.search(said):
        return "type_conflict"
    return "refused"
