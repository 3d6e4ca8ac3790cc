"""A message of very many events is stored in parts, others' commits between them; its sender is told after the last."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bridge.jobs.release import Release
from bridge.pipeline import LONE_PART_EVENTS, PART_EVENTS
from bridge.pressure import PLENTY
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.formats.port import AppMessage, Fold, Gone, Made, RefusedRecord
from healthsync_mqtt.identity.consent.decisions import in_force
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError
from tests.support.consent import agreeing_to_all, grant
from tests.support.patience import PATIENCE_S, until
from tests.unit.bridge.bench import Bench, GatedLog, Notes, delivery, event

MANY = 4 * PART_EVENTS + 30


class Series:
    """A test's format: ``n`` events of one name, and a sum of all that was sent as what is remembered."""

    name = "series"
    summary = "a test's"
    roots = ()
    remembers: frozenset[str] = frozenset()
    mended = True

    def takes(self) -> tuple[()]:
        return ()

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        words = json.loads(message.payload)
        if not self.mended:
            raise RefusedError(Reason.MALFORMED, None, "not yet")
        if "gone" in words:
            yield Gone(words["gone"])
        for number in range(words.get("n", 0)):
            made = {"type": words.get("type", "steps"), "id": f"{words['name']}-{number}"}
            made |= {"value": {"steps": 5} if made["type"] == "steps" else {"bpm": 60}}
            made |= {"start_time": "2026-05-03T06:00:00Z"}
            if made["type"] == "steps":
                made |= {"end_time": "2026-05-03T07:00:00Z"}
            yield Made(made | words.get("more", {}), number, "", f"{words['name']}/{number}")
        for number in range(words.get("bad", 0)):
            yield RefusedRecord(number, f"place {number}", Reason.MALFORMED, "is wrong", {"no": number}, "steps")
        name = words["name"].encode()
        return state if state.endswith(name) else state + name


@pytest.fixture(autouse=True)
def form(monkeypatch: pytest.MonkeyPatch) -> Series:
    series = Series()
    monkeypatch.setattr("bridge.pipeline.FORMATS", {"series": series})
    monkeypatch.setattr("bridge.jobs.release.FORMATS", {"series": series})
    # Few events are many parts, whether others send or not; what each of the two comes to has a test of its own.
    monkeypatch.setattr("bridge.pipeline.LONE_PART_EVENTS", PART_EVENTS)
    return series


def message(
    source: Notes, words: dict[str, Any], *, token: int = 1, user: str = "alice", device: str = "phone"
) -> Delivery:
    topic = f"users/{user}/devices/{device}/formats/series"
    made = delivery(source, token, json.dumps(words).encode())
    return made._replace(origin=Origin(user, device, None, topic), form="series")


class Rows:
    """What each commit has staged."""

    def __init__(self, log: GatedLog) -> None:
        self.staged: list[tuple[list[str], int]] = []
        self._stage = log.stage
        log.stage = self._noted  # type: ignore[method-assign]

    def _noted(self, items: Sequence[Any], rejected: Sequence[Any], received_us: int) -> list[int]:
        self.staged.append(([item.event.id for item in items], len(rejected)))
        return self._stage(items, rejected, received_us)


def remembered(log: GatedLog, user: str = "alice") -> bytes:
    return log.reader().format_state(user, "phone", "series")


def names(log: GatedLog, prefix: str = "") -> list[tuple[str, str]]:
    return log.reader().format_records("alice", "phone", "series", prefix, 10_000)


async def test_a_long_message_holds_no_other_device_of_its_user_up_while_somebody_waits_who_has_little() -> None:
    bench = Bench(backlog_limit=1 << 20)
    phone, watch, other = bench.source(), bench.source(), bench.source()
    try:
        bench.log.gate.clear()
        bench.pipeline.submit([message(phone, {"name": "a", "n": MANY})])
        await until(lambda: bench.pipeline._waiting.long_work > 0)
        assert bench.pipeline.backlog > (1 << 20) // PLENTY, "it would be plenty"
        bench.pipeline.submit([delivery(other, 1, event("b1"), Origin("bob", "d", None, "t"))])
        assert bench.pipeline.hurried
        assert not bench.pipeline.submit([delivery(watch, 1, event("w1"))])
        bench.log.gate.set()
        await bench.settle()
        assert (phone.tokens, watch.tokens, other.tokens) == ([1], [1], [1])
        assert bench.pipeline.backlog == 0
        assert not bench.pipeline._pressure._decoded_of
    finally:
        bench.close()


async def test_a_long_message_is_stored_in_parts_and_acknowledged_after_the_last() -> None:
    bench = Bench()
    rows, source = Rows(bench.log), bench.source()
    try:
        bench.pipeline.submit([message(source, {"name": "a", "n": MANY})])
        await bench.settle()
        assert [len(items) for items, _ in rows.staged] == [*[PART_EVENTS] * 4, 30]
        assert bench.log.commits == 5
        assert bench.ids() == [f"a-{number}" for number in range(MANY)]
        assert (source.tokens, source.stored_then) == ([1], [MANY])
        (receipt,) = [told for topic, told in bench.outbox.sent if topic.endswith("/receipts")]
        assert (receipt["batch"], receipt["stored"], receipt["duplicate"]) == ("series", MANY, 0)
        assert remembered(bench.log) == b"a"
        assert len(names(bench.log)) == MANY
        found = bench.counters.snapshot()
        assert (found["messages_stored"], found["messages_received"], found["stored"]) == (1, 1, MANY)
        assert bench.pipeline.backlog == 0
        assert bench.balanced()
    finally:
        bench.close()


@pytest.mark.parametrize("other", ["an event", "a short message of an app"])
async def test_parts_are_large_where_nobody_else_sends_and_small_from_when_somebody_does(
    monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setattr("bridge.pipeline.LONE_PART_EVENTS", LONE_PART_EVENTS)
    monkeypatch.setattr("bridge.pace._OTHERS_S", PATIENCE_S)  # a busy machine may take longer to all parts
    bench = Bench()
    rows, phone, watch = Rows(bench.log), bench.source(), bench.source()
    sent = event("w"), {"name": "w", "n": 1}

    class Sends:
        """After the second commit, once."""

        def committed(self, _: object) -> None:
            if bench.log.commits == 2:
                made = delivery(watch, 1, sent[0]) if other == "an event" else message(watch, sent[1], device="scale")
                bench.pipeline.submit([made])
                bench.log.gate.clear()

    bench.pipeline._observers += (Sends(),)
    try:
        bench.pipeline.submit([message(phone, {"name": "a", "n": 4 * LONE_PART_EVENTS})])
        await until(lambda: not bench.log.gate.is_set() and not bench.pipeline._aside.lines)
        bench.log.gate.set()
        await bench.settle()
        sizes = [len(items) for items, _ in rows.staged if items[0].startswith("a-")]
        assert sizes[:2] == [LONE_PART_EVENTS] * 2
        assert set(sizes[3:]) == {PART_EVENTS}
        assert sum(sizes) == 4 * LONE_PART_EVENTS
        assert (phone.tokens, watch.tokens) == ([1], [1])
    finally:
        bench.close()


async def test_others_are_stored_between_two_parts_and_never_behind_more_than_one() -> None:
    """They waited for the commit of 45,000 events: 1.6 s."""
    bench = Bench()
    rows, phone, watch = Rows(bench.log), bench.source(), bench.source()
    numbers = iter(range(1, 1_000))

    class Watch:
        """Another device, of the same user, sends its next event when the last one is stored."""

        def committed(self, _: object) -> None:
            if not phone.tokens:
                bench.pipeline.submit([delivery(watch, number := next(numbers), event(f"w{number}"))])

    bench.pipeline._observers += (Watch(),)
    bench.pipeline._pace.wait_s = lambda _now: 0.0  # type: ignore[method-assign]  # see the test of rests
    try:
        bench.pipeline.submit([message(phone, {"name": "a", "n": MANY})])
        await bench.settle()
        of_parts = [bool(items) and items[0].startswith("a-") for items, _ in rows.staged]
        assert of_parts == [True, False] * 5
        assert watch.tokens == list(range(1, len(watch.tokens) + 1))
        assert phone.tokens == [1]
    finally:
        bench.close()


async def test_what_its_connection_sent_before_and_behind_it_keeps_its_place() -> None:
    bench = Bench()
    source = bench.source()
    bench.log.gate.clear()
    try:
        bench.pipeline.submit([delivery(bench.source(), 9, event("runs"))])
        await until(lambda: bench.log._staged is not None)
        before = delivery(source, 1, event("before"))
        bench.pipeline.submit([before, message(source, {"name": "a", "n": MANY}, token=2)])
        await until(lambda: not bench.pipeline._aside.lines)
        bench.pipeline.submit([delivery(source, 3, event("behind"))])
        bench.log.gate.set()
        await bench.settle()
        assert source.tokens == [1, 2, 3]
        assert bench.ids() == ["runs", "before", *(f"a-{number}" for number in range(MANY)), "behind"]
        assert bench.balanced()
    finally:
        bench.close()


async def test_long_messages_take_turns() -> None:
    bench = Bench()
    rows = Rows(bench.log)
    bench.log.gate.clear()
    one, other = bench.source(), bench.source()
    try:
        bench.pipeline.submit([delivery(bench.source(), 9, event("runs"))])
        await until(lambda: bench.log._staged is not None)
        bench.pipeline.submit([message(one, {"name": "a", "n": MANY})])
        bench.pipeline.submit([message(other, {"name": "b", "n": 2 * PART_EVENTS}, user="bob")])
        await until(lambda: not bench.pipeline._aside.lines)
        bench.log.gate.set()
        await bench.settle()
        assert [items[0][0] for items, _ in rows.staged] == ["r", "a", "b", "a", "b", "a", "a", "a"]
        assert (one.tokens, other.tokens) == ([1], [1])
    finally:
        bench.close()


async def test_a_part_whose_commit_fails_is_written_again_and_nothing_else() -> None:
    bench = Bench()
    bench.pipeline._retry_s = 0.0
    rows, source = Rows(bench.log), bench.source()
    commit, count = bench.log.commit, 0

    def failing() -> int:
        nonlocal count
        count += 1
        if count == 3:
            bench.log.rollback()
            raise StoreError("the disk is full")
        return commit()

    bench.log.commit = failing
    try:
        bench.pipeline.submit([message(source, {"name": "a", "n": MANY})])
        await bench.settle()
        assert [items[0] for items, _ in rows.staged] == [f"a-{n * PART_EVENTS}" for n in (0, 1, 2, 2, 3, 4)]
        assert source.tokens == [1]
        assert len(names(bench.log)) == MANY
        assert bench.counters.snapshot()["stored"] == MANY
        assert bench.balanced()
    finally:
        bench.close()


class KilledLog(GatedLog):
    """The service is killed after so many commits: they are durable, and nobody is told of the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.kill: Callable[[], object] = bool

    def commit(self) -> int:
        self.left -= 1
        if not self.left:
            self.kill()
        return super().commit()


async def _delivered(log: KilledLog, words: dict[str, Any], commits: int) -> bool:
    """Send a message to a service that is killed after so many commits; whether it was acknowledged."""
    bench = Bench(log=log, gate=agreeing_to_all("alice"))
    loop, source = asyncio.get_running_loop(), bench.source()
    log.left, log.kill = commits, lambda: loop.call_soon_threadsafe(bench.pipeline.stop)
    bench.pipeline.submit([message(source, words)])
    await bench.settle()
    bench.close()
    log.rollback()
    log._memories.clear()
    return bool(source.tokens)


async def test_killed_between_parts_it_is_sent_again_and_everything_is_there_once() -> None:
    """Names go with their events, what is remembered with the last part: a message that was cut is as if begun anew."""
    chance = random.Random(13)  # a test's
    log = KilledLog()
    cuts = 0
    for number in range(12):
        words = {"name": f"m{number}", "n": chance.randrange(PART_EVENTS, MANY)}
        while not await _delivered(log, words, chance.randrange(1, 8)):
            cuts += 1
            stored = {record.id for record in log.committed.log}
            named = {event_id for _, event_id in names(log, words["name"] + "/")}
            assert named == {each for each in stored if each.startswith(words["name"] + "-")}
            whole = len(named) == words["n"]
            assert remembered(log).endswith(words["name"].encode()) == whole
    assert cuts > 5
    assert len({record.id for record in log.committed.log}) == len(log.committed.log)
    assert remembered(log) == b"".join(b"m%d" % number for number in range(12))


async def test_what_was_taken_back_before_a_kill_keeps_no_name() -> None:
    log = KilledLog()
    assert await _delivered(log, {"name": "a", "n": MANY}, 0)
    gone = {"name": "none", "gone": "a/"}
    assert not await _delivered(log, gone, 2)
    assert [record.op for record in log.committed.log].count(1) == 2 * PART_EVENTS
    assert len(names(log)) == MANY - 2 * PART_EVENTS
    assert await _delivered(log, gone, 0)
    assert names(log) == []
    assert [record.op for record in log.committed.log].count(1) == MANY


async def test_consent_that_is_taken_back_between_parts_holds_for_those_that_follow() -> None:
    gate = ConsentGate(in_force(grant("alice", ["steps"])))
    bench = Bench(gate=gate)
    source = bench.source()

    class Withdraws:
        def committed(self, _: object) -> None:
            gate.replace(in_force(grant("alice", ["heart_rate"])))

    bench.pipeline._observers += (Withdraws(),)
    try:
        bench.pipeline.submit([message(source, {"name": "a", "n": MANY})])
        await bench.settle()
        assert len(bench.ids()) == PART_EVENTS
        assert bench.counters.snapshot()["rejected_by_reason"] == {"no_consent": MANY - PART_EVENTS}
        (receipt,) = [told for topic, told in bench.outbox.sent if topic.endswith("/receipts")]
        assert receipt["stored"] == PART_EVENTS
        assert len(receipt["rejected"]) + receipt.get("unlisted", 0) == MANY - PART_EVENTS
        assert [each["index"] for each in receipt["rejected"]][:3] == [PART_EVENTS, PART_EVENTS + 1, PART_EVENTS + 2]
        assert remembered(bench.log) == b"", "it may hold something of what is not agreed to any more"
        assert source.tokens == [1]
        assert bench.balanced()
    finally:
        bench.close()


async def test_many_refusals_of_a_message_are_parts_too_and_its_receipt_lists_what_has_room() -> None:
    bench = Bench()
    rows, source = Rows(bench.log), bench.source()
    try:
        bad = 30 * PART_EVENTS
        bench.pipeline.submit([message(source, {"name": "a", "n": 3, "bad": bad})])
        await bench.settle()
        assert bench.told == []
        assert max(refused for _, refused in rows.staged) <= PART_EVENTS // 2
        assert sum(refused for _, refused in rows.staged) == bad
        assert bench.log.commits == 61
        sizes = [len(payload) for topic, payload in bench.outbox.messages if topic.endswith("/receipts")]
        (receipt,) = [told for topic, told in bench.outbox.sent if topic.endswith("/receipts")]
        assert receipt["stored"] == 3
        assert len(receipt["rejected"]) + receipt["unlisted"] == bad
        assert 60_000 < sizes[0] <= 65_000, "as much as a client takes"
        assert [each["index"] for each in receipt["rejected"]] == list(range(len(receipt["rejected"])))
        counted = bench.counters.snapshot()
        assert (counted["rejected"], counted["messages_stored"]) == (bad, 1)
        assert bench.balanced()
    finally:
        bench.close()


async def test_a_refused_message_that_is_tried_again_goes_in_parts_and_leaves_the_quarantine_with_the_last(
    form: Series,
) -> None:
    bench = Bench(gate=agreeing_to_all("alice"))
    try:
        form.mended = False
        bench.pipeline.submit([message(bench.source(), {"name": "a", "n": MANY})])
        await bench.settle()
        form.mended = True
        before = bench.log.commits
        kept: list[int] = []

        class Looks:
            def committed(self, _: object) -> None:
                kept.append(len(bench.log.reader().rejected()))

        bench.pipeline._observers += (Looks(),)
        release = Release(bench.pipeline, bench.chores, bench.log.reader())
        assert await release.release(1) == {"number": 1, "outcome": "released"}
        assert bench.log.commits == before + 5
        assert kept == [1, 1, 1, 1, 0]
        assert len(names(bench.log)) == MANY
        assert remembered(bench.log) == b"a"
        assert bench.balanced()
    finally:
        bench.close()


async def test_a_stop_between_two_parts_tells_nobody() -> None:
    bench = Bench()
    source = bench.source()

    class Stops:
        def committed(self, _: object) -> None:
            bench.pipeline.stop()

    bench.pipeline._observers += (Stops(),)
    try:
        bench.pipeline.submit([message(source, {"name": "a", "n": MANY})])
        await bench.settle()
        assert (source.tokens, len(bench.ids())) == ([], PART_EVENTS)
        assert bench.counters.snapshot()["failed"] == MANY - PART_EVENTS
        assert bench.balanced()
    finally:
        bench.close()


async def test_parts_rest_while_others_send_and_chores_do_not_wait_for_them() -> None:
    bench = Bench()
    phone, watch = bench.source(), bench.source()
    rest_s = 0.01
    bench.pipeline._pace.wait_s = lambda _now: rest_s  # type: ignore[method-assign]
    try:
        bench.pipeline.submit([message(phone, {"name": "a", "n": MANY})])
        await until(lambda: bench.pipeline._resting is not None)
        commits = bench.log.commits
        bench.pipeline.submit([delivery(watch, 1, event("w"))])
        bench.chores.add(lambda journal: journal.keep_cursors({"sink:main": 3}))
        await until(lambda: watch.tokens == [1])
        assert bench.log.commits == commits + 1
        assert bench.log.reader().cursor("sink:main") == 3
        assert bench.ids() == ["w"]
        rest_s = 0.0
        await bench.settle()
        assert phone.tokens == [1]
    finally:
        bench.close()


async def test_messages_of_other_apps_are_read_while_a_long_one_waits_for_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They waited until nearly all of it was stored."""
    monkeypatch.setattr("bridge.pipeline._AHEAD", 10)
    bench = Bench()
    one, other = bench.source(), bench.source()
    try:
        bench.log.gate.clear()
        bench.pipeline.submit([message(one, {"name": "a", "n": MANY})])
        await until(lambda: bench.log._staged is not None)
        bench.pipeline.submit([message(other, {"name": "b", "n": 1}, user="bob")])
        await until(lambda: not bench.pipeline._aside.lines)
        bench.log.gate.set()
        await bench.settle()
        assert [record.id for record in bench.log.committed.log].index("b-0") < MANY
        assert (one.tokens, other.tokens) == ([1], [1])
    finally:
        bench.close()
