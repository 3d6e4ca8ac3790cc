"""What takes long to decode is decoded beside the loop: others go on, each source keeps its order, a stop waits not."""

import asyncio
import gzip
import json
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import bridge.pipeline as pipeline_module
from bridge.decode.delivery import QUICK, QUICK_IF_BAD, decode, decode_if_quick
from healthsync_mqtt.model.event import Decoded
from tests.support.patience import PATIENCE_S
from tests.unit.bridge.bench import Bench, delivery, event, until
from tests.unit.bridge.decode.examples import NOW_US, ORIGIN

NOISE = random.Random(9)
LARGE_BAD = [event(f"bad{n}", bpm=900, device={"model": NOISE.randbytes(25).hex() * 18}) for n in range(200)]


class Gates:
    """Holds the decoder's thread until it is let go on; says who it is at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.threads: list[str] = []
        self.gave_up = threading.Event()

        def gated(  # noqa: PLR0917  # as decode
            payload: bytes, origin: Any, now_us: int, limits: Any, pause: Callable[[], None], form: Any, told: Any
        ) -> Decoded:
            self.threads.append(threading.current_thread().name)
            self.entered.set()
            self.go_on.wait(PATIENCE_S)
            try:
                return decode(payload, origin, now_us, limits, pause, form, told)
            except BaseException:
                self.gave_up.set()
                raise

        monkeypatch.setattr(pipeline_module, "decode", gated)


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gates]:
    found = Gates(monkeypatch)
    yield found
    found.go_on.set()


async def test_others_are_committed_while_a_long_bad_payload_is_decoded_and_its_sender_keeps_its_order(
    gates: Gates,
) -> None:
    bench = Bench()
    try:
        sender, bystander = bench.source(), bench.source()
        bench.pipeline.submit([
            delivery(sender, 1, event("before")), delivery(sender, 2, LARGE_BAD), delivery(sender, 3, event("behind")),
        ])  # fmt: skip
        await until(gates.entered.is_set)
        bench.pipeline.submit([delivery(bystander, 1, event("other"))])
        bench.pipeline.submit([delivery(sender, 4, event("last"))])
        await until(lambda: bystander.tokens == [1])
        assert sender.tokens == [1]
        assert bench.ids() == ["before", "other"]
        assert bench.balanced()
        assert bench.pipeline.backlog > len(json.dumps(LARGE_BAD))
        gates.go_on.set()
        await bench.settle()
        assert sender.tokens == [1, 2, 3, 4]
        assert bench.ids() == ["before", "other", "behind", "last"]
        assert gates.threads == ["decode"]
        assert bench.pipeline.backlog == 0
        assert bench.counters.snapshot()["rejected"] == 200
        assert bench.balanced()
    finally:
        bench.close()


async def test_one_source_with_much_takes_turns_with_the_others(gates: Gates) -> None:
    bench = Bench()
    try:
        greedy, other = bench.source(), bench.source()
        large = [event("a", device={"model": "x" * 900, "text": "y" * 200_000})]
        bench.pipeline.submit([delivery(greedy, n, large) for n in range(1, 6)])
        bench.pipeline.submit([delivery(other, 1, large)])
        await until(gates.entered.is_set)
        gates.go_on.set()
        await until(lambda: other.tokens == [1])
        assert len(greedy.tokens) <= 3
        await bench.settle()
        assert greedy.tokens == [1, 2, 3, 4, 5]
    finally:
        bench.close()


async def test_a_drain_waits_for_what_is_decoded_aside(gates: Gates) -> None:
    bench = Bench()
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, LARGE_BAD)])
        closing = asyncio.create_task(bench.pipeline.close(PATIENCE_S))
        await until(gates.entered.is_set)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not closing.done()
        gates.go_on.set()
        await closing
        assert source.tokens == [1]
    finally:
        bench.close()


async def test_a_stop_gives_up_what_is_being_decoded_and_nobody_was_told_of_it(gates: Gates) -> None:
    bench = Bench()
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, LARGE_BAD), delivery(source, 2, event("b"))])
        await until(gates.entered.is_set)
        await bench.pipeline.close(0.01)
        kept = asyncio.create_task(bench.chores.durable(lambda _: None))
        await bench.pipeline.settle(PATIENCE_S)
        await kept
        bench.pipeline.stop()
        gates.go_on.set()
        await until(gates.gave_up.is_set)
        assert source.tokens == []
        assert bench.ids() == []
        assert bench.counters.snapshot()["messages_failed"] == 2
    finally:
        bench.close()


async def test_the_backlog_counts_what_a_waiting_payload_unfolds_to(gates: Gates) -> None:
    bench = Bench(backlog_limit=500_000)
    try:
        source = bench.source()
        folded = gzip.compress(json.dumps(LARGE_BAD).encode())
        assert 10 * len(folded) < len(json.dumps(LARGE_BAD))
        full = [bench.pipeline.submit([delivery(source, n, folded)]) for n in range(1, 4)]
        assert full == [False, False, True]
        gates.go_on.set()
        await bench.settle()
        assert source.resumed == 1
        assert bench.pipeline.backlog == 0
    finally:
        bench.close()


async def test_who_sends_what_is_dear_is_charged_and_who_does_not_is_not() -> None:
    bench = Bench()
    try:
        good, bad, gzipped, long = (bench.source() for _ in range(4))
        bench.pipeline.submit([delivery(good, n, event(f"g{n}")) for n in range(20)])
        one = json.dumps(event("bad", bpm=900)).encode()
        bench.pipeline.submit([delivery(bad, 1, one)])
        many = json.dumps([event(f"e{n}") for n in range(100)]).encode()
        bench.pipeline.submit([delivery(gzipped, 1, gzip.compress(many))])
        bench.pipeline.submit([delivery(long, 1, LARGE_BAD)])
        await bench.settle()
        assert good.charged == []
        assert 1_000 <= sum(bad.charged) <= 1_000 + 6 * len(one)
        assert gzipped.charged == [len(many) - len(gzip.compress(many))]
        assert sum(long.charged) >= 200 * 1_000
    finally:
        bench.close()


async def test_a_read_with_many_dear_payloads_holds_the_loop_for_a_few_of_them(
    gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[bytes] = []

    def counted(payload: bytes, *rest: Any) -> Decoded | None:
        at_once.append(payload)
        return decode_if_quick(payload, *rest)

    monkeypatch.setattr(pipeline_module, "decode_if_quick", counted)
    bench = Bench()
    try:
        source = bench.source()
        folded = gzip.compress(b"[" + b",".join([b"{}"] * 500) + b"]")
        bench.pipeline.submit([delivery(source, n, folded) for n in range(30)])
        assert len(at_once) == 1
        gates.go_on.set()
        await bench.settle()
        assert source.tokens == list(range(30))
    finally:
        bench.close()


def test_what_is_quick_is_told_by_length_and_not_by_promises() -> None:
    def quick(payload: bytes) -> bool:
        return decode_if_quick(payload, ORIGIN, NOW_US) is not None

    def sized(size: int, bpm: int) -> bytes:
        one = json.dumps(event("a", bpm=bpm, device={"model": NOISE.randbytes(500).hex()})).encode()
        return b"[" + b",".join([one] * (size // len(one))) + b"]"

    assert quick(sized(QUICK, 60))
    assert not quick(sized(QUICK + 3_000, 60))
    assert quick(sized(QUICK_IF_BAD, 900))
    assert not quick(sized(QUICK_IF_BAD + 3_000, 900))
    assert quick(gzip.compress(sized(QUICK, 60)))
    assert not quick(gzip.compress(sized(QUICK + 3_000, 60)))
    lying = gzip.compress(sized(QUICK + 3_000, 60))[:-4] + (500).to_bytes(4, "little")
    (refused,) = decode(lying, ORIGIN, NOW_US).rejections
    assert (refused.reason, refused.message) == ("decompress_limit", "the gzip stream expands to more than it says")


def test_the_value_of_a_delete_is_passed_over_by_its_type_and_a_walk_through_it_is_counted() -> None:
    def costs(value: Any) -> float:
        sent = json.dumps(event("d", op="delete") | {"value": value}).encode()
        got = decode(sent, ORIGIN, NOW_US)
        assert got.rejections == []
        return got.cost / len(sent)

    assert costs({"bpm": 72}) == 1
    assert costs({"bpm": [[0, 1]] * 5_000}) >= 2
