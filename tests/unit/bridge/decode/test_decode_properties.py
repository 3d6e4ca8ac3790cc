"""Properties of the decoder that hold for every input."""

import gzip
import json
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Decoded, Event, Op
from healthsync_mqtt.model.record import Record, canonical_dict, canonical_json
from healthsync_mqtt.model.times import iso
from tests.unit.bridge.decode.examples import END, EXAMPLE_VALUES, NOW_US, ORIGIN, event, payload, read

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=12)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
plain_text = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Co")),
    min_size=1,
    max_size=20,
)
plain_scalars = (
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | plain_text
)


@st.composite
def good_events(draw: st.DrawFn) -> dict:
    name = draw(st.sampled_from(sorted(CATALOGUE)))
    offset = draw(st.sampled_from(["Z", "+00:00", "+05:30", "-11:00"]))
    sent = event(
        id=draw(plain_text),
        type=draw(st.sampled_from([name, *CATALOGUE[name].aliases])),
        start_time=f"2026-11-21T06:00:00.{draw(st.integers(0, 999_999)):06d}{offset}",
        value=EXAMPLE_VALUES[name],
    )
    if CATALOGUE[name].max_span_us is not None:
        sent |= {"start_time": "2026-11-23T06:00:00Z", "end_time": END}
    quantities = CATALOGUE[name].quantities
    if "amount" in CATALOGUE[name].forms:
        low, high = quantities[0].low, quantities[0].high
        sent["value"] = {quantities[0].field: draw(st.floats(low, high) | st.integers(ceil(low), int(high)))}
    unknown = st.dictionaries(plain_text, plain_scalars, max_size=3)
    extras = {
        "user_id": "alice",
        "device": {"model": draw(plain_text), **draw(unknown)},
        "utc_offset": draw(st.integers(-64_800, 64_800)),
        "source": {"recording": draw(st.sampled_from(["auto", "manual"]))},
        "version": draw(st.integers(0, 2**53)),
    }
    known = {"platform", "manufacturer", "type", "os_version", "app_version", "firmware"}
    extras["device"] = {
        k: v for k, v in extras["device"].items() if k not in known and (k != "model" or type(v) is str)
    }
    return sent | {key: extras[key] for key in draw(st.sets(st.sampled_from(sorted(extras))))}


def sane(decoded: Decoded, data: bytes) -> None:
    assert decoded.total == len(decoded.events) + len(decoded.rejections)
    assert decoded.total >= 1
    indexes = [e.index for e in decoded.events] + [r.index for r in decoded.rejections]
    assert sorted(indexes) == list(range(decoded.total))
    for got in decoded.events:
        assert list(json.loads(got.body)) == [
            k for k in ("value", "device", "utc_offset", "source") if k in json.loads(got.body)
        ]
    for refusal in decoded.rejections:
        assert refusal.message
        beside = refusal.id is refusal.type is None and refusal.index > 0  # of what is around events nothing is kept
        assert refusal.raw or beside or not data


def again(got: Event) -> bytes:
    """The envelope that the canonical event would be sent in."""
    envelope = {"id": got.id, "type": got.type, "version": got.version, "start_time": iso(got.start_us)}
    if got.end_us is not None:
        envelope["end_time"] = iso(got.end_us)
    if got.op == Op.DELETE:
        envelope["op"] = "delete"
    return json.dumps(envelope | json.loads(got.body)).encode()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    for sent in (data, b"{" + data, b"[" + data + b"]", gzip.compress(data), b"\x1f\x8b\x08" + data):
        sane(decode(sent, ORIGIN, NOW_US), sent)


@settings(deadline=None)
@given(json_values)
def test_any_json(value):
    for sent in (json.dumps(value).encode(), payload(value), payload(value, event())):
        sane(decode(sent, ORIGIN, NOW_US), sent)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(event(device=1, source=1, op=1, version=1, end_time=1))), json_values))
def test_any_json_in_any_field(changes):
    sent = payload(event(**changes), event(id="good"), batch="b")
    got = read(sent)
    sane(got, sent)
    assert any(e.id == "good" for e in got.events)


@settings(max_examples=200, deadline=None)
@given(good_events(), st.data())
def test_any_mutation_of_good_json(good, data):
    sent = bytearray(payload(good))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(sent) - 1))
        piece = data.draw(st.binary(max_size=2) | st.sampled_from([b'"', b"\\", b",", b":", b"{", b"]", b'"id":1,']))
        sent[at : at + data.draw(st.integers(0, 2))] = piece
    for delivery in (bytes(sent), b"[" + sent + b"]", b'{"batch":"b","events":[' + sent + b"]}"):
        sane(decode(delivery, ORIGIN, NOW_US), delivery)


def unambiguous(data: bytes) -> bool:
    """Whether no object in the JSON repeats a key."""

    def once(pairs: list) -> dict:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    try:
        json.loads(data, object_pairs_hook=once)
    except AssertionError:
        return False
    return True


members = st.tuples(
    st.sampled_from(['"device"', '"d\\u0065vice"', '"source"', '"utc_offset"', '"op"']),
    st.sampled_from(["", " ", "\n"]),
    st.lists(
        st.sampled_from(
            [
                '"a":1',
                '"a" :2',
                '"b":":"',
                '"b":" :"',
                '"c":"\\":"',
                '":":3',
                '"x":"\\u0022:"',
                '"\\u0061":4',
                '"model":"m"',
            ]
        ),
        max_size=4,
    ),
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(members, max_size=3), st.sampled_from(['{"bpm":72}', '{"bpm":72,"bpm" :73}', '{"bpm":72,"source":":"}'])
)
def test_no_spelling_hides_a_repeated_key(fields, value):
    text = "".join(
        f",{name}{blank}:" + ("null" if "utc" in name else '"upsert"' if "op" in name else "{" + ",".join(parts) + "}")
        for name, blank, parts in fields
    )
    sent = f'{{"id":"a","type":"hr","start_time":"2026-11-23T06:00:00Z","value":{value}{text}}}'.encode()
    for delivery in (sent, b'{"batch":"b","events":[' + sent + b"]}"):
        got = read(delivery)
        assert bool(got.events) == unambiguous(sent)


@settings(deadline=None)
@given(good_events())
def test_canonical_events_decode_to_themselves(sent):
    got = read(payload(sent))
    assert got.rejections == []
    assert read(again(got.events[0])).events == got.events


@settings(deadline=None)
@given(good_events())
def test_every_json_spelling_is_the_same_event(sent):
    compact = read(payload(sent))
    for spelling in (json.dumps(sent, ensure_ascii=True, indent=1), json.dumps(sent, ensure_ascii=False)):
        assert compact[:4] == read(spelling.encode())[:4]


@settings(deadline=None)
@given(good_events())
def test_the_canonical_json_is_json_and_says_what_was_sent(sent):
    (got,) = read(payload(sent)).events
    record = Record(
        99, "alice", "w", None, got.id, got.type, got.start_us, got.end_us, NOW_US, got.version, got.op, got.body, 7
    )
    canonical = json.loads(canonical_json(record))
    assert canonical == canonical_dict(record)
    assert (canonical["id"], canonical["seq"], canonical["version"]) == (sent["id"], 7, sent.get("version", 0))
    assert canonical["utc_offset" if "utc_offset" in sent else "seq"] == sent.get("utc_offset", 7)
    assert canonical.get("device", {}) == sent.get("device", {})


@settings(max_examples=50, deadline=None)
@given(st.lists(good_events() | st.builds(event, value=json_values), min_size=2, max_size=6), st.randoms())
def test_permuting_a_batch_permutes_the_results(events, random):
    order = list(range(len(events)))
    random.shuffle(order)

    def outcomes(sent: list) -> list:
        got = read(payload(*sent, batch="b"))
        by_index = {o.index: o._replace(index=0) for o in [*got.events, *got.rejections]}
        return [by_index[i] for i in range(len(sent))]

    straight = outcomes(events)
    assert outcomes([events[i] for i in order]) == [straight[i] for i in order]


@pytest.mark.shared_data
def test_recordings_in_other_formats_are_refused_not_misread(shared_data: Path):
    recordings = sorted(p for p in shared_data.rglob("*") if p.suffix in {".json", ".fit", ".xml", ".csv"})
    assert recordings
    for path in recordings:
        data = path.read_bytes()
        got = read(data)
        sane(got, data)
        assert got.events == []


@pytest.mark.shared_data
def test_recorded_heart_rates_pass_as_a_series(shared_data: Path):
    rows = (shared_data / "fit" / "garmin-edge-500-activity-records.csv").read_text().splitlines()
    rates = [int(cell) for row in rows[1:] for cell in [row.split(",")[rows[0].split(",").index("heart_rate")]] if cell]
    got = read(event(start_time="2026-11-22T06:00:00Z", value={"samples": [[i, r] for i, r in enumerate(rates)]}))
    assert json.loads(got.events[0].body)["value"]["samples"][-1] == [len(rates) - 1, rates[-1]]
