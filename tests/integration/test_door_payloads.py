"""Hostile payloads through the whole service: attack cases T33 to T36. Each is rejected with a reason."""

import gzip
import json
from collections.abc import Callable

import pytest

from tests.support.inprocess import Bystander, House
from tests.support.peer import event

HEAD = b'{"id":"x","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":'


def bpm(number: bytes) -> bytes:
    return HEAD + b'{"bpm":' + number + b"}}"


def truncated(data: bytes) -> bytes:
    return gzip.compress(data)[:-6]


def corrupt(data: bytes) -> bytes:
    packed = bytearray(gzip.compress(data))
    packed[-5] ^= 1
    return bytes(packed)


#: name → (the payload, the reasons that fit)
REJECTED: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    # T33: numbers
    "NaN": (lambda: bpm(b"NaN"), {"bad_number", "malformed"}),
    "Infinity": (lambda: bpm(b"Infinity"), {"bad_number", "malformed"}),
    "-Infinity": (lambda: bpm(b"-Infinity"), {"bad_number", "malformed"}),
    "1e999": (lambda: bpm(b"1e999"), {"bad_number", "malformed", "out_of_range"}),
    "4301 digits": (lambda: bpm(b"9" * 4301), {"bad_number", "malformed", "out_of_range"}),
    "2^63": (lambda: bpm(b"9223372036854775808"), {"bad_number", "out_of_range"}),
    "true": (lambda: bpm(b"true"), {"wrong_type", "bad_number"}),
    "text": (lambda: bpm(b'"72"'), {"wrong_type", "bad_number"}),
    "version 2^63": (lambda: event("x", version=2**63), {"bad_number", "wrong_type", "out_of_range"}),
    # T34: JSON
    "depth 100,000": (lambda: b"[" * 100_000, {"too_deep", "malformed"}),
    "deep value": (lambda: HEAD + b'{"a":' * 5000 + b"1" + b"}" * 5001, {"too_deep"}),
    "60,000 keys": (lambda: b"{" + b'"k":1,' * 60_000 + b'"k":1}', {"too_large"}),
    "repeated key": (lambda: bpm(b'70,"bpm":71'), {"repeated_key"}),
    "repeated id": (lambda: event("x")[:-1] + b',"id":"y"}', {"repeated_key"}),
    "trailing bytes": (lambda: event("x") + b"x", {"malformed"}),
    "two values": (lambda: event("x") + event("y"), {"malformed"}),
    "empty": (lambda: b"", {"malformed"}),
    "UTF-16": (lambda: event("x").decode().encode("utf-16"), {"malformed"}),
    "BOM": (lambda: b"\xef\xbb\xbf" + event("x"), {"malformed"}),
    "bad UTF-8": (lambda: event("x").replace(b'"x"', b'"\xff"'), {"malformed", "bad_string"}),
    "surrogate": (lambda: event("x").replace(b'"x"', b'"\\ud800"'), {"malformed", "bad_string", "bad_id"}),
    "NUL": (lambda: event("x\0"), {"bad_string", "bad_id"}),
    # T35: compression
    "bomb": (lambda: gzip.compress(b" " * 50_000_000), {"decompress_limit"}),
    "nested gzip": (lambda: gzip.compress(gzip.compress(event("x"))), {"malformed", "decompress_limit"}),
    "empty members": (lambda: gzip.compress(b"") * 2000 + gzip.compress(event("x")), {"decompress_limit", "malformed"}),
    "truncated gzip": (lambda: truncated(event("x")), {"malformed", "decompress_limit"}),
    "wrong CRC": (lambda: corrupt(event("x")), {"malformed", "decompress_limit"}),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd" + b"\0" * 50, {"malformed"}),
    "brotli": (lambda: b"\xce\xb2\xcf\x81" + b"\0" * 50, {"malformed"}),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
async def test_a_hostile_payload_is_rejected_and_nothing_else_happens(house: House, bob: Bystander, name: str) -> None:
    payload, reasons = REJECTED[name]
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    await peer.publish(alice.events, payload())
    receipt = await peer.receipt()
    assert receipt.stored == []
    assert {entry.code for entry in receipt.rejected} <= reasons
    assert len(receipt.rejected) == house.counters.rejected == len(house.rejections("alice")) > 0
    await peer.publish(alice.events, event("good"))
    assert (await peer.receipt()).stored == ["good"]
    await house.still_serves(bob)


async def test_odd_numbers_that_are_numbers_are_kept(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    body = b'{"id":"%s","type":"body_temperature","start_time":"2026-01-01T00:00:00Z","value":{"celsius":%s}}'
    for name, number in ((b"a", b"36.6"), (b"b", b"3.66e1"), (b"c", b"366e-1")):
        await peer.publish(alice.events, body % (name, number))
        assert (await peer.receipt()).stored == [name.decode()]
    bodies = [json.loads(record.body)["value"]["celsius"] for record in house.service.reader.read(0, 10)]
    assert bodies == [36.6, 36.6, 36.6]
    await house.still_serves(bob)


async def test_one_bad_event_among_five_hundred(house: House, bob: Bystander) -> None:
    """T36: 499 stored, one quarantined, and the device is told which."""
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    events = [json.loads(event(f"e{n}", bpm=900 if n == 321 else 60)) for n in range(500)]
    await peer.publish(alice.events, json.dumps({"batch": "b-17", "events": events}).encode())
    receipt = await peer.receipt()
    assert (receipt.batch, receipt.stored, receipt.duplicate) == ("b-17", 499, 0)
    assert [(entry.index, entry.id, entry.code) for entry in receipt.rejected] == [(321, "e321", "out_of_range")]
    assert len(house.stored("alice")) == 499
    assert house.rejections("alice") == [("out_of_range", "e321")]
    await house.still_serves(bob)


async def test_gzip_of_good_events_is_read(house: House) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    await peer.publish(alice.events, gzip.compress(event("packed")))
    assert house.stored("alice") == ["packed"]
