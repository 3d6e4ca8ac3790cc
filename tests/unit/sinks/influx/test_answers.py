"""What each HTTP answer means, as 2.x, 3 Core and 1.8 give them."""

import json
from datetime import UTC, datetime

import pytest

from healthsync_mqtt.sinks.influx.answers import Means, judge, judge_deletion, retry_after_s
from healthsync_mqtt.sinks.influx.line import ServerAnswer
from tests.support import influx_double as canned
from tests.support.influx_double import Reply

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LINES = [f"heart_rate,user=5e bpm={60 + place}.0 {place}" for place in range(4)]


def answer(reply: Reply) -> ServerAnswer:
    return ServerAnswer(reply.status, reply.body, dict(reply.headers).get("Retry-After"))


def judged(reply: Reply, lines: list[str] = LINES):
    return judge(answer(reply), lines, NOW)


@pytest.mark.parametrize(
    ("reply", "means", "reason"),
    [
        (canned.NO_CONTENT, Means.ADVANCE, ""),
        (canned.UNAUTHORIZED, Means.PAUSE, "unauthorized"),
        (canned.V1_UNAUTHORIZED, Means.PAUSE, "unauthorized"),
        (canned.FORBIDDEN, Means.PAUSE, "forbidden"),
        (canned.NO_BUCKET, Means.PAUSE, "not_found"),
        (canned.V1_NO_DATABASE, Means.PAUSE, "not_found"),
        (canned.TOO_LARGE, Means.HALVE, "too_large"),
        (canned.RATE_LIMITED, Means.WAIT, "rate_limited"),
        (canned.BUSY, Means.WAIT, "unavailable"),
        (canned.BROKEN, Means.WAIT, "unavailable"),
        (canned.BAD_GATEWAY, Means.WAIT, "unavailable"),
        (canned.LOGIN_PAGE, Means.PAUSE, "unexpected_answer"),
        (canned.REDIRECT, Means.PAUSE, "unexpected_answer"),
        (Reply(405), Means.PAUSE, "wrong_url"),
        (Reply(408), Means.WAIT, "timeout"),
        (Reply(206), Means.PAUSE, "unexpected_answer"),
    ],
)
def test_statuses(reply: Reply, means: Means, reason: str) -> None:
    verdict = judged(reply)
    assert (verdict.means, verdict.reason) == (means, reason)
    assert verdict.hint or means is not Means.PAUSE


@pytest.mark.parametrize("fault", ["timeout", "unreachable", "reset", "tls"])
def test_no_answer_is_waited_for(fault: str) -> None:
    verdict = judge(ServerAnswer(0, fault=fault), LINES, NOW)
    assert (verdict.means, verdict.reason) == (Means.WAIT, fault)


FAULTS = ("timeout", "unreachable", "reset", "tls", "unreadable", "")
TALK = ("", "<html>", '{"message": "engine: something"}', '{"error": "timeout"}', '{"results": [{"error": "no"}]}')
ANSWERS = [ServerAnswer(0, fault=fault) for fault in FAULTS]
ANSWERS += [ServerAnswer(status, body) for status in (*range(200, 209), *range(300, 600)) for body in TALK]


def test_whatever_keeps_a_sink_from_shipping_is_said_in_words_with_what_to_do() -> None:
    """``sink status`` shows both: an outage without a fix helps nobody."""
    verdicts = [each for answer in ANSWERS for each in (judge(answer, LINES, NOW), judge_deletion(answer, NOW))]
    waits = [each for each in verdicts if each.means in {Means.WAIT, Means.PAUSE, Means.DOUBT}]
    assert {each.means for each in waits} == {Means.WAIT, Means.PAUSE, Means.DOUBT}
    assert [each for each in waits if not each.message or not each.hint] == []


def test_retry_after_is_kept() -> None:
    assert judged(canned.RATE_LIMITED).wait_s == 30.0
    assert judged(canned.BUSY).wait_s == 7.0
    assert judged(canned.BROKEN).wait_s is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0), (" 1.5 ", 1.5), ("0", 0.0), ("99999999", 900.0), ("Mon, 23 Nov 2026 06:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 05:00:00 GMT", 0.0), ("Fri, 01 Jan 2999 00:00:00 GMT", 900.0),
        ("Mon, 23 Nov 2026 06:01:00", 60.0), ("soon", None), ("-5", None), ("", None), (None, None), ("9" * 40, None),
    ],
)  # fmt: skip
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, NOW) == seconds


def test_the_lines_that_3_core_lists_are_refused() -> None:
    reply = canned.v3_partial(
        [(2, LINES[1], "invalid column type for column 'bpm', expected iox::column_type::field::float")], bool
    )
    verdict = judged(reply)
    assert (verdict.means, verdict.lines, verdict.reason) == (Means.REFUSE, (1,), "type_conflict")
    cut = canned.v3_partial([(2, LINES[1][:20], "x"), (4, LINES[3], "y")], bool)
    assert judged(cut).lines == (1, 3)


@pytest.mark.parametrize(
    "entry",
    [(3, LINES[1]), (0, LINES[0]), (9, LINES[0]), (1, ""), (True, LINES[0]), ("1", LINES[0]), (1, LINES[0] + "0")],
)
def test_a_list_that_does_not_fit_what_was_sent_is_no_evidence(entry: tuple) -> None:
    assert judged(canned.v3_partial([(*entry, "why")], bool)).means is Means.BISECT


def test_lines_that_2_x_quotes_are_tried_alone() -> None:
    verdict = judged(canned.v2_parse_error([LINES[0], LINES[2]]))
    assert (verdict.means, verdict.lines) == (Means.SUSPECT, (0, 2))
    assert judged(canned.v2_parse_error([LINES[0]]), [LINES[0]]).means is Means.BISECT
    assert judged(canned.v2_parse_error(["something else"])).means is Means.BISECT
    numbered = Reply(400, '{"code":"invalid","message":"failed to parse line protocol","line":2}')
    assert judged(numbered).lines == (1,)


def test_when_as_many_are_dropped_as_were_sent_all_are_refused() -> None:
    reply = canned.v2_partial("points beyond retention policy", 4, bool)
    assert judged(reply)[:3] == (Means.REFUSE, "outside_retention", (0, 1, 2, 3))
    assert judged(canned.v2_partial("points beyond retention policy", 1, bool)).means is Means.BISECT


@pytest.mark.parametrize(
    "reply",
    [
        canned.NOT_INFLUX,
        Reply(400, "<html><body>400 Bad Request</body></html>", (("Content-Type", "text/html"),)),
        Reply(400, f"<html><body>unable to parse '{LINES[0]}': bad</body></html>"),
        Reply(400, ""),
        Reply(400, "[]"),
        Reply(400, '{"message":"blocked by policy","dropped":4}'),
        Reply(400, '{"code":"invalid","message":"Please provide either orgID or org"}'),
        Reply(422, '{"error":"Adding a new database would exceed limit of 5 databases"}'),
        Reply(422, "dropped=4"),
    ],
)
def test_what_is_not_the_servers_own_word_about_lines_is_no_verdict_on_them(reply: Reply) -> None:
    for lines in (LINES, LINES[:1]):
        assert judged(reply, lines)[:2] == (Means.PAUSE, "unexpected_answer")


def test_a_limit_of_a_proxy_refuses_no_line() -> None:
    nginx = Reply(413, "<html><head><title>413 Request Entity Too Large</title></head></html>")
    assert judged(nginx).means is Means.HALVE
    assert judged(nginx, LINES[:1])[:2] == (Means.PAUSE, "too_large")
    assert judged(canned.TOO_LARGE, LINES[:1]).means is Means.HALVE
    assert judged(Reply(500, "max request size (10485760 bytes) exceeded")).means is Means.HALVE


def test_what_2_0_answers_with_500_about_lines_is_a_verdict_and_the_rest_is_a_doubt() -> None:
    words = "unexpected error writing points to database: partial write: points beyond retention policy dropped="
    every = judged(Reply(500, json.dumps({"code": "internal error", "message": f"{words}4"})))
    assert every[:3] == (Means.REFUSE, "outside_retention", (0, 1, 2, 3))
    some = judged(Reply(500, json.dumps({"code": "internal error", "message": f"{words}1"})))
    assert (some.means, "beyond retention policy" in some.message) == (Means.BISECT, True)
    strange = judged(Reply(500, '{"code":"internal error","message":"panic: assignment to entry in nil map"}'))
    assert (strange.means, strange.reason) == (Means.DOUBT, "server_error")
    assert "panic" in strange.message
    full = '{"error":"engine: cache-max-memory-size exceeded: (172252/50000)"}'
    assert judged(Reply(500, full)).means is Means.WAIT


def test_what_the_server_said_carries_no_value() -> None:
    for reply in (
        canned.v2_parse_error(LINES),
        canned.v3_partial([(1, LINES[0], f"bad {LINES[0]}")], bool),
        Reply(400, f"unable to parse '{LINES[2][:-3]}': bpm=62.0 is odd, got 62.0 or \"62.0\""),
        Reply(404, "no bucket 62.0"),
    ):
        message = judged(reply).message
        assert not any(value in message for value in ("60.0", "61.0", "62.0", "5e")), message
    assert "dropped=1" in judged(canned.v2_partial('field type conflict: input field "bpm"', 1, bool)).message


def test_deletions() -> None:
    assert judge_deletion(ServerAnswer(204), NOW).means is Means.ADVANCE
    assert judge_deletion(ServerAnswer(200, '{"results":[{"statement_id":0}]}\n'), NOW).means is Means.ADVANCE
    failed = '{"results":[{"statement_id":0,"error":"shard 1: fields not supported in WHERE clause during deletion"}]}'
    rows = (
        '{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["_internal"]]}]}]}'
    )
    for body in (failed, rows, "", "<html>", "[]"):
        assert judge_deletion(ServerAnswer(200, body), NOW).means is Means.REFUSE
    for status in (400, 404, 405, 501):
        verdict = judge_deletion(ServerAnswer(status), NOW)
        assert (verdict.means, verdict.reason) == (Means.REFUSE, "cannot_delete")
    assert judge_deletion(ServerAnswer(401), NOW).reason == "unauthorized"
    assert judge_deletion(ServerAnswer(503, retry_after="3"), NOW).wait_s == 3.0
    assert judge_deletion(ServerAnswer(413), NOW).means is Means.WAIT
