"""Refusing is bounded by what was sent: bytes read over all passes, and nothing that grows faster than they do."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.decode.delivery import MOST_PASSES, PIECEWISE, QUICK, QUICK_IF_BAD, decode, decode_if_quick
from bridge.decode.exact_json import MOST_EXPLAINED
from bridge.decode.recover import MOST_STEPS, LostError, take_apart
from healthsync_mqtt.model.event import REFUSAL_WORK
from healthsync_mqtt.model.reasons import Reason
from tests.support.steps import calls
from tests.unit.bridge.decode.examples import NOW_US, ORIGIN, event, payload, read

GOOD = payload(event(id="good"))
SERIES = "[[" + "],[".join(["0,72"] * 149_000 + ["0,900"]) + "]]"

pieces = st.sampled_from([
    GOOD, GOOD.replace(b"72", b"900"), GOOD.replace(b"72", b"NaN"), GOOD.replace(b"good", b"a\\x41"),
    GOOD.replace(b"72", b"072"), GOOD.replace(b"good", "ü\u202e".encode()), b'{"id":"a","id":"b"}',
    b"[[[[" * 8 + b"]]]]" * 8,
    b"1", b'"text"', b"{}", b"[", b'"', b'],"more":[', b'],"batch":["b"',
    GOOD.replace(b'"value"', b'"device":{"model":"\\u00e9"},"value"'),
])  # fmt: skip


def within_bounds(data: bytes) -> None:
    got = decode(data, ORIGIN, NOW_US)
    assert got.size <= got.cost <= MOST_PASSES * got.size + MOST_EXPLAINED


@settings(max_examples=60, deadline=None)
@given(st.lists(pieces, max_size=8), st.integers(1, 60), st.sampled_from([b"[%b]", b'{"batch":"b","events":[%b]}']))
def test_every_payload_costs_a_constant_times_its_unfolded_bytes(parts, times, wrapper):
    data = wrapper % b",".join(parts * times)
    within_bounds(data)
    within_bounds(gzip.compress(data))


def test_what_is_well_is_read_once():
    for data in (GOOD, payload(*[event()] * 500), payload(*[event()] * 50, batch="b"), gzip.compress(GOOD)):
        got = decode(data, ORIGIN, NOW_US)
        assert (got.rejections, got.cost) == ([], got.size)


@pytest.mark.parametrize(("data", "times"), [
    (GOOD.replace(b'"bpm":72', b'"samples":' + SERIES.encode()), 3),
    (b'{"batch":"b","events":[%b]}' % b",".join([GOOD.replace(b"72", b"900")] * 500), 3),
    (b'{"batch":"b","events":[%b]}' % b",".join([b"[]"] * 340_000), 3),
    (b"[NaN," + b",".join([b"{}"] * 340_000) + b"]", 4),
    (b'{"id":"a","a":[NaN,%b]}' % b",".join([b"{}"] * 340_000), 6),
], ids=["samples", "bad events", "lists", "objects", "objects in an object"])  # fmt: skip
def test_the_dearest_payloads_are_read_few_times(data: bytes, times: int):
    got = decode(data, ORIGIN, NOW_US)
    assert got.events == []
    assert got.cost <= times * got.size


SAMPLES = ",".join(f"[{n},72]" for n in range(9_999))
LARGE_EVENTS = {
    "levels that do not close": b"[" * 16_000,
    "levels that close": b"[" * 8_000 + b"]" * 8_000,
    "levels of objects": b'{"events":' * 1_600,
    "levels beside texts": b'[{"a":' * 2_500 + b'"\\"]"' + b"}]" * 2_500,
    "the last sample out of range": GOOD.replace(b'"bpm":72', f'"samples":[{SAMPLES},[9999,900]]'.encode()),
    "the first sample is no number": GOOD.replace(b'"bpm":72', f'"samples":[["a",1],{SAMPLES}]'.encode()),
}


@pytest.mark.parametrize("name", LARGE_EVENTS)
def test_refusing_one_event_is_no_call_for_each_of_its_brackets_or_samples(name: str):
    """A call takes as long as reading twenty bytes: with one for each, 16 KB of brackets were 20 ms of the loop."""
    data = LARGE_EVENTS[name]
    read(data)  # what is made once is made
    made = calls(lambda: read(data))
    assert made < 1_000 + len(data) // 20, made
    (refused,) = read(data).rejections
    assert refused.reason in {Reason.TOO_DEEP, Reason.OUT_OF_RANGE, Reason.WRONG_TYPE}


def test_the_size_is_that_of_what_unfolds():
    data = payload(*[event(id=f"{n * 7919:x}{n}") for n in range(100)])
    assert decode(gzip.compress(data), ORIGIN, NOW_US).size == len(data)


def test_levels_that_are_too_deep_are_stepped_through_a_bounded_number_of_times():
    take_apart(b"[" + b"[" * 1100 + b"]" * 1100 + b"]", 16, 10)
    with pytest.raises(LostError):
        take_apart(b"[" + b"[" * MOST_STEPS + b"]" * MOST_STEPS + b"]", 16, 10)


def test_what_is_long_is_read_an_event_at_a_time_and_others_are_let_in_between():
    pauses: list[None] = []
    events = [event(id=f"e{n}", device={"model": "x" * 1000}) for n in range(200)]
    events[7] = event(value={"bpm": 900})
    data = payload(*events)
    assert len(data) > PIECEWISE
    got = decode(data, ORIGIN, NOW_US, pause=lambda: pauses.append(None))
    assert (len(got.events), len(got.rejections)) == (199, 1)
    assert len(pauses) == 1 + 2 * 200, "before all of it, where one is taken out, and where it is read"


@pytest.mark.parametrize(("data", "least"), [
    (b"[" * 65_000 + b"]" * 65_000, 65_536 // 512),
    (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 40_000 // 512),
    (b"[%b]" % b",".join([b"[" * 2_000 + b"]" * 2_000] * 20), 65_536 // 512 + 16),
    (b"[%b]" % b",".join([GOOD.replace(b"72", b"NaN")] * 500), 3 * 500),
    (b"[%b]" % b",".join([GOOD.replace(b"72", b'72,"text":"%b"' % (b"x" * 1_500))] * 400), 2 * 400),
    (b'{"batch":"b","events":[%b]}' % b",".join([GOOD.replace(b"72", b"900")] * 500), 3 * 500),
], ids=["levels", "objects", "events of levels", "no JSON", "long texts", "out of range"])  # fmt: skip
def test_no_stretch_of_reading_what_is_bad_is_long(data: bytes, least: int):
    """Whoever waits meanwhile waits for a stretch: levels took 17 ms in one go, and 500 events 20."""
    pauses: list[None] = []
    got = decode(data, ORIGIN, NOW_US, pause=lambda: pauses.append(None))
    assert got.rejections
    assert len(pauses) >= least - 2


# -- a bad event costs its neighbours nothing

BAD = {
    "a raw newline": GOOD.replace(b"good", b"a\nb"),
    "an escape that is none": GOOD.replace(b"good", b"\\x41"),
    "a leading zero": GOOD.replace(b"72", b"072"),
    "NaN beside deep nesting": GOOD.replace(b"72", b"NaN").replace(b"}}", b'},"x":' + b"[" * 40 + b"]" * 40 + b"}"),
    "1,100 levels": GOOD.replace(b"72", b"[" * 1100 + b"]" * 1100),
    "a bare word": b"undefined",
    "half a surrogate": GOOD.replace(b"good", b"\\ud800"),
    "a trailing comma": GOOD.replace(b"}}", b"},}"),
    "bytes that are no UTF-8": GOOD.replace(b"good", b"\xff"),
    "a repeated key": GOOD.replace(b"}}", b'},"id":"again"}'),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(
    "wrapper", [b"[%b, %b,%b]", b'{"batch":"b","events":[%b,%b,%b]}', b'{"events":[%b,%b,%b],"batch":"b"}']
)
def test_a_bad_event_costs_its_neighbours_nothing(name: str, wrapper: bytes):
    got = read(wrapper % (GOOD, BAD[name], GOOD))
    assert [each.index for each in got.events] == [0, 2]
    assert [(each.index, each.raw) for each in got.rejections] == [(1, BAD[name])]
    assert got.batch == (None if wrapper.startswith(b"[") else "b")


@pytest.mark.parametrize("data", [
    b'{"batch":"b","events":["oops',
    b'{"events":[{"oops],"batch":"b"}',
    b'{"batch":"b","events":[]}',
    b'{"batch":"b","more":1,"events":[]}',
    b'{"batch":"b","events":{}}',
    b'{"batch":"b","events":[%b]}' % b",".join([GOOD] * 501),
    b'{"batch":"b","events":[%b]}' % (b" " * 1_048_576),
    b'{"batch":"b","events":[%b]}' % (b"[" * 100_000),
], ids=[
    "open text", "open text, batch last", "empty", "more", "no list", "too many", "too large", "too deep",
])  # fmt: skip
def test_the_batch_id_is_told_whatever_is_wrong_with_the_rest(data: bytes):
    got = read(data)
    assert (got.batch, got.events, len(got.rejections)) == ("b", [], 1)


BESIDE = {
    "cut": (b'{"batch":"b","events":[%b,%b', "malformed", None),
    "cut in an event": (b'{"batch":"b","events":[%b,%b,{"id":"c', "malformed", None),
    "cut behind the events": (b'{"batch":"b","events":[%b,%b]', "malformed", None),
    "cut in a field behind them": (b'{"batch":"b","events":[%b,%b],"batch_of', "malformed", None),
    "an open text": (b'{"batch":"b","events":[%b,%b "oops', "malformed", None),
    "an open text, batch last": (b'{"events":[%b,%b "oops],"batch":"b"}', "malformed", None),
    "a comma too many": (b'{"batch":"b","events":[%b,%b,]}', "malformed", None),
    "something behind it": (b'{"batch":"b","events":[%b,%b]}x', "malformed", None),
    "levels that do not close": (b'{"batch":"b","events":[%b,%b,' + b"[" * 70_000, "too_deep", None),
    "a field too many": (b'{"batch":"b","events":[%b,%b],"more":1}', "unknown_field", "more"),
    "a field too many before": (b'{"more":[{"id":1}],"batch":"b","events":[%b,%b]}', "unknown_field", "more"),
    "two too many": (b'{"batch":"b","more":NaN,"most":1,"events":[%b,%b]}', "unknown_field", "more"),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("packed", [bytes, lambda data: gzip.compress(data, 0)], ids=["plain", "gzip"])
def test_what_is_wrong_around_events_costs_them_nothing(name: str, packed: Callable[[bytes], bytes]) -> None:
    made, reason, field = BESIDE[name]
    data = made % (GOOD, GOOD.replace(b"good", b"too"))
    got = read(packed(data))
    assert got.batch == "b"
    assert [(each.index, each.id) for each in got.events] == [(0, "good"), (1, "too")]
    assert [(each.index, each.id, each.reason.value, each.field, each.raw) for each in got.rejections] == [
        (2, None, reason, field, b"")
    ]
    assert got.cost <= MOST_PASSES * len(data)


def test_of_a_batch_that_is_cut_and_has_a_field_too_many_both_are_told() -> None:
    got = read(b'{"batch":"b","more":1,"events":[%b,{},%b,{' % (GOOD, GOOD))
    assert [each.index for each in got.events] == [0, 2]
    told = [(each.index, each.reason.value, each.raw) for each in got.rejections]
    assert told == [(1, "missing_field", b"{}"), (3, "malformed", b""), (4, "unknown_field", b"")]


@pytest.mark.parametrize("made", [
    b'{"batch":"b","batch":"b","events":[%b', b'{"batch":"b","events":[%b],"events":[%b',
    b'{"batch":"b","events":[%b],"more":1,"batch":"c"}', b'{"batch":"b","events":[%b],"batch":',
])  # fmt: skip
def test_a_batch_that_names_a_key_twice_is_refused_whole_though_it_is_cut(made: bytes) -> None:
    data = made.replace(b"%b", GOOD)
    got = read(data)
    assert (got.events, [each.reason for each in got.rejections]) == ([], [Reason.REPEATED_KEY])


def test_an_object_that_does_not_name_itself_a_batch_is_refused_whole() -> None:
    """It may be an event with a field that it does not have, of any type."""
    for data in (b'{"id":"a","type":"hr","events":[%b]}' % GOOD, b'{"id":"a","type":"hr","events":[%b,' % GOOD):
        got = read(data)
        assert (got.events, [each.raw for each in got.rejections]) == ([], [data])


LONG = b'{"batch":"b","events":[%b]}' % b",".join([GOOD] * 20_000)
NOISE = b'{"batch":"b","events":["%b"]}' % random.Random(1).randbytes(20_000).hex().encode()


@pytest.mark.parametrize("data", [
    gzip.compress(LONG), gzip.compress(NOISE)[:-9], gzip.compress(NOISE) + b"more",
    gzip.compress(b" " * 200_000 + LONG), gzip.compress(NOISE)[:-8] + bytes(8),
    gzip.compress(random.Random(1).randbytes(1_100_000)),
], ids=["more than may unfold", "cut", "something behind it", "late", "damaged", "no JSON"])  # fmt: skip
def test_the_batch_id_of_a_packed_batch_is_told_where_its_beginning_has_it(data: bytes, request):
    """A device that packs too large a batch was told of a refusal, and not of which batch."""
    got = read(data)
    assert (got.events, len(got.rejections)) == ([], 1)
    assert got.batch == (None if request.node.callspec.id in {"late", "no JSON"} else "b")


def test_a_batch_id_that_is_unclear_is_none():
    assert read(b'{"batch":"a","batch":"b","events":[%b]}' % GOOD).batch is None
    assert read(b'{"batch":"%b","events":[}' % (b"x" * 65)).batch is None


# -- one reader

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["bpm", "samples", "source", "stages", "items", "name", "meal", "x"]), inner, max_size=3),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    values,
    st.sampled_from(["hr", "glucose", "bp", "sleep", "food", "steps", "weight"]),
    st.sampled_from(["upsert", "delete"]),
)
def test_the_short_way_accepts_nothing_that_the_exact_reader_refuses(value, name, op):
    sent = event(type=name, value=value, op=op, end_time="2026-11-23T07:00:00Z")
    text = json.dumps(sent)
    short = read(text.encode())
    spelled = read(text.replace('"id"', '"\\u0069d"').encode())  # an escape is not for the short way
    assert short.events == spelled.events
    assert [each[:5] for each in short.rejections] == [each[:5] for each in spelled.rejections]


def test_what_is_refused_on_the_event_loop_is_a_hundred_and_thirty_events_at_most():
    """Five hundred tiny ones fitted into what was quick: 11 ms of the loop at once, and 56 ms of others' waits."""
    tiny = b"[%b]" % b",".join([b"[" * 15 + b"1" + b"]" * 15] * (QUICK_IF_BAD // 32))
    assert len(tiny) <= QUICK_IF_BAD + 2
    refused = decode(tiny, ORIGIN, NOW_US).rejections
    assert 100 < len(refused) <= 130
    assert decode_if_quick(b"[%b]" % b",".join([b"{}"] * 500) + b" " * QUICK_IF_BAD, ORIGIN, NOW_US) is None


def test_the_page_about_limits_states_these_bounds():
    page = (Path(__file__).parents[4] / "docs" / "howto" / "limits.md").read_text()
    assert MOST_PASSES == 6
    assert "more than six times" in page
    assert f"{MOST_EXPLAINED // 1024} KiB\nonce more" in page
    assert f"past\n{PIECEWISE // 1024} KiB" in page
    assert f"{MOST_STEPS:,}" in page
    assert f"past {QUICK // 1024} KiB unfolded, or past {QUICK_IF_BAD // 1024} KiB" in page
    assert f"a refused event as {REFUSAL_WORK:,} bytes" in page


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_others_are_let_in_before_a_long_payload_that_is_good_is_read_in_one_step(
    packed: Callable[[bytes], bytes],
) -> None:
    samples = ",".join(f"[{second},60]" for second in range(20_000))
    made = '{"id":"s","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T06:00:00Z"'
    pauses: list[None] = []
    got = decode(
        packed(f'{made},"value":{{"samples":[{samples}]}}}}'.encode()),
        ORIGIN,
        NOW_US,
        pause=lambda: pauses.append(None),
    )
    assert len(got.events) == 1
    assert pauses
