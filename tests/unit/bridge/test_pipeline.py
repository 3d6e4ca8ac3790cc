"""The pipeline: nothing is acknowledged before its commit, a failing one loses nothing, and the counters balance."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.errors import StoreError
from tests.unit.bridge.bench import Bench, delivery, event, origin, until


class PermanentError(StoreError):
    retryable = False


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.close()


async def test_no_acknowledgement_and_no_receipt_before_the_commit(bench: Bench) -> None:
    bench.log.gate.clear()
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("a"))])
    await until(lambda: bench.log._staged is not None)
    for _ in range(100):
        await until(lambda: True)
    assert (source.tokens, bench.outbox.sent, bench.counters.in_flight) == ([], [], 1)
    bench.log.gate.set()
    await bench.settle()
    assert source.tokens == [1]
    assert source.stored_then == [1]
    assert bench.outbox.sent[0][1]["stored"] == ["a"]
    assert bench.heads == [1]


async def test_what_arrives_during_a_commit_shares_the_next_one(bench: Bench) -> None:
    bench.log.gate.clear()
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("a"))])
    await until(lambda: bench.log._staged is not None)
    for token in range(2, 50):
        bench.pipeline.submit([delivery(source, token, event(f"e{token}"))])
    bench.log.gate.set()
    await bench.settle()
    assert bench.log.commits == 2
    assert source.calls == [[1], list(range(2, 50))]


async def test_acknowledgements_come_in_order_and_once_a_source(bench: Bench) -> None:
    one, other = bench.source(), bench.source()
    bench.pipeline.submit(
        [delivery(one if number % 2 else other, number, event(f"e{number}")) for number in range(1, 41)]
    )
    await bench.settle()
    assert one.calls == [list(range(1, 41, 2))]
    assert other.calls == [list(range(2, 41, 2))]


async def test_rejected_and_duplicate_events_are_acknowledged_too(bench: Bench) -> None:
    source = bench.source()
    bench.pipeline.submit(
        [
            delivery(source, 1, event("a")),
            delivery(source, 2, event("a")),
            delivery(source, 3, event("b", bpm=900)),
            delivery(source, 4, b"no json"),
        ]
    )
    await bench.settle()
    assert source.tokens == [1, 2, 3, 4]
    counters = bench.counters.snapshot()
    assert (counters["received"], counters["stored"], counters["duplicate"], counters["rejected"]) == (4, 1, 1, 2)
    assert counters["rejected_by_reason"] == {"malformed": 1, "out_of_range": 1}
    reader = bench.log.reader()
    assert [(row.reason, row.raw) for row in reader.rejected()][1] == ("malformed", b"no json")


async def test_a_failing_commit_is_tried_again_and_nobody_is_told(bench: Bench) -> None:
    bench.log.faults = [StoreError("the disk is full"), StoreError("the disk is full")]
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("a"))])
    await until(lambda: not bench.pipeline.healthy)
    bench.pipeline.submit([delivery(source, 2, event("b"))])
    assert (source.tokens, bench.outbox.sent, bench.balanced()) == ([], [], True)
    await bench.settle()
    assert bench.pipeline.healthy
    assert source.tokens == [1, 2]
    assert bench.ids() == ["a", "b"]
    assert bench.balanced()


async def test_a_failure_for_good_acknowledges_nothing_and_is_reported(bench: Bench) -> None:
    told = bench.told
    bench.log.faults = [PermanentError("the disk failed")]
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, [event("a"), event("b")])])
    await bench.settle()
    assert [str(error) for error in told] == ["the disk failed"]
    assert (source.tokens, bench.ids()) == ([], [])
    assert bench.counters.failed == 2
    assert bench.balanced()


@pytest.mark.parametrize("where", ["write", "commit", "acknowledge"])
async def test_a_surprise_ends_the_service_and_not_in_silence(bench: Bench, monkeypatch, where: str) -> None:
    told = bench.told
    source = bench.source()

    def surprise(*_: object) -> None:
        raise OverflowError("nobody thought of this")

    target = {"write": (bench.log, "stage"), "commit": (bench.log, "commit"), "acknowledge": (source, "acknowledge")}
    monkeypatch.setattr(*target[where], surprise)
    bench.pipeline.submit([delivery(source, 1, event("a"))])
    await bench.settle()
    assert len(told) == 1
    assert source.tokens == []
    assert bench.balanced()


async def test_back_pressure_goes_on_and_off_again() -> None:
    bench = Bench(backlog_limit=4000)
    try:
        bench.log.gate.clear()
        source = bench.source()
        assert not bench.pipeline.submit([delivery(source, 1, event("a"))])
        full = [bench.pipeline.submit([delivery(source, n, event(f"e{n}"))]) for n in range(2, 20)]
        assert not full[0]
        assert full[-1]
        assert source.resumed == 0
        bench.log.gate.set()
        await bench.settle()
        assert source.resumed == 1
        assert not bench.pipeline.submit([delivery(source, 20, event("last"))])
        await bench.settle()
        assert len(source.tokens) == 20
    finally:
        bench.close()


async def test_a_chore_is_durable_with_the_next_commit_even_without_events(bench: Bench) -> None:
    bench.chores.add(lambda journal: journal.keep_cursors({"subscriber:app": 7}))
    await bench.settle()
    assert bench.log.reader().cursor("subscriber:app") == 7


async def test_stopping_counts_what_nobody_was_told_about_as_failed(bench: Bench) -> None:
    bench.log.gate.clear()
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("a"))])
    bench.pipeline.stop()
    assert bench.counters.failed == 1
    bench.log.gate.set()
    await bench.settle()
    assert source.tokens == []
    assert bench.balanced()


async def test_receipts_go_to_the_sender_one_for_each_batch_and_one_for_the_rest(bench: Bench) -> None:
    source = bench.source()
    bench.log.gate.clear()
    bench.pipeline.submit([delivery(source, 1, event("first"))])
    await until(lambda: bench.log._staged is not None)
    bench.pipeline.submit(
        [
            delivery(source, 2, {"batch": "b-17", "events": [event("a"), event("a"), event("b", bpm=900)]}),
            delivery(source, 3, event("c")),
            delivery(source, 4, [event("c"), event("d")]),
            delivery(source, 5, event("x"), origin("bob", "phone")),
        ]
    )
    bench.log.gate.set()
    await bench.settle()
    mine = "users/alice/devices/watch/receipts"
    receipts = [message for topic, message in bench.outbox.sent if topic == mine][1:]
    assert receipts[0]["batch"] == "b-17"
    assert (receipts[0]["stored"], receipts[0]["duplicate"]) == (1, 1)
    assert [(entry["index"], entry["code"], entry["field"]) for entry in receipts[0]["rejected"]] == [
        (2, "out_of_range", "value.bpm")
    ]
    assert (receipts[1]["stored"], receipts[1]["duplicate"], receipts[1]["rejected"]) == (["c", "d"], ["c"], [])
    assert {receipt["epoch"] for receipt in receipts} == {bench.log.epoch}
    assert [m["stored"] for topic, m in bench.outbox.sent if topic == "users/bob/devices/phone/receipts"] == [["x"]]


async def test_admins_hear_of_rejections_without_the_payload(bench: Bench) -> None:
    bench.pipeline.submit([delivery(bench.source(), 1, event("secret-id", bpm=987))])
    await bench.settle()
    (notice,) = [message for topic, message in bench.outbox.sent if topic == "bridge/main/rejected"]
    assert notice["reason"] == "out_of_range"
    assert notice["user_id"] == "alice"
    assert "987" not in json.dumps(notice)
    assert "secret-id" not in json.dumps(notice)


async def test_nothing_is_made_for_nobody(bench: Bench) -> None:
    bench.outbox.ears = set()
    bench.pipeline.submit([delivery(bench.source(), 1, [event("a"), event("b", bpm=900)])])
    await bench.settle()
    assert bench.outbox.sent == []


_EVENTS = st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.booleans(), st.sampled_from(["alice", "bob"]))


@given(
    groups=st.lists(st.lists(_EVENTS, max_size=6), max_size=8),
    faults=st.lists(st.booleans(), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_counters_balance_and_the_state_is_the_highest_rank(groups, faults) -> None:
    import asyncio

    async def run() -> None:
        bench = Bench()
        bench.pipeline._retry_s = 0.0
        try:
            source = bench.source()
            token = 0
            best: dict[tuple[str, str], int] = {}
            for group in groups:
                bench.log.faults += [StoreError("full")] * (faults.pop() if faults else 0)
                for name, version, good, user in group:
                    token += 1
                    sent = event(name, version=version, bpm=72 if good else 900)
                    bench.pipeline.submit([delivery(source, token, sent, origin(user))])
                    assert bench.balanced()
                    if good:
                        best[user, name] = max(best.get((user, name), 0), version)
                await until(lambda: bench.pipeline.healthy)
            await bench.settle()
            assert bench.balanced()
            assert bench.counters.in_flight == 0
            assert source.tokens == list(range(1, token + 1))
            latest = bench.log.reader().read(0, 1000)
            assert {(record.user, record.id): record.version for record in latest} == best
        finally:
            bench.close()

    asyncio.run(run())


async def test_messages_are_counted_by_outcome_and_commits_by_duration(bench: Bench) -> None:
    source = bench.source()
    for token, payload in enumerate((event("a"), event("a"), b"no json", [event("a"), event("b")])):
        bench.pipeline.submit([delivery(source, token, payload)])
        await bench.settle()
    shown = bench.counters.snapshot()
    assert [shown[f"messages_{name}"] for name in ("received", "stored", "duplicate", "rejected")] == [4, 2, 1, 1]
    assert sum(shown["commit_buckets"]) == shown["commits"] == bench.log.commits
    assert shown["last_commit_us"] > 0
    bench.log.gate.clear()
    bench.pipeline.submit([delivery(source, 9, event("c"))])
    await until(lambda: bench.pipeline.commit_running_s > 0)
    bench.pipeline.stop()
    bench.log.gate.set()
    assert bench.counters.snapshot()["messages_failed"] == 1
    assert bench.counters.messages_in_flight == 0
