"""Consent that is withdrawn while deliveries wait for a commit is honoured, however often the commit was tried."""

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.consent.decisions import NOBODY
from tests.support.consent import agreed, agreeing
from tests.unit.bridge.bench import Bench, delivery, event, origin, until


async def test_withdrawn_while_a_commit_is_tried_again() -> None:
    gate = agreeing("alice", "bob")
    bench = Bench(gate=gate)
    try:
        bench.log.faults = [StoreError("the disk is full")]
        source = bench.source()
        bench.pipeline.submit(
            [delivery(source, 1, event("a")), delivery(source, 2, event("b"), origin("bob", "phone"))]
        )
        await until(lambda: not bench.pipeline.healthy)
        bench.pipeline.submit([delivery(source, 3, event("c", bpm=900))])
        gate.replace(agreed("bob"))
        await bench.settle()
        assert bench.ids() == ["b"]
        assert [(row.reason, row.raw) for row in bench.log.reader().rejected()] == [("no_consent", b"")] * 2
        assert source.tokens == [1, 2, 3]
        assert bench.balanced()
    finally:
        bench.close()


async def test_withdrawn_between_arrival_and_the_first_commit() -> None:
    gate = agreeing("alice")
    bench = Bench(gate=gate)
    try:
        bench.pipeline.submit([delivery(bench.source(), 1, event("a"))])
        gate.replace(NOBODY)
        await bench.settle()
        assert bench.ids() == []
        assert bench.counters.snapshot()["rejected_by_reason"] == {"no_consent": 1}
    finally:
        bench.close()
