"""What the client promises, against a service that fails."""

import asyncio
import json
from pathlib import Path

import pytest

from healthsync_mqtt.client import Accepted, ClientState, Duplicate, MemoryOutbox, Rejected, SqliteOutbox, Stored
from healthsync_mqtt.client.exchange import settle as read_receipt
from healthsync_mqtt.client.outbox import OutboxEntry
from healthsync_mqtt.errors import ConfigError, DeniedError, InputError, UnavailableError, UsageError
from healthsync_mqtt.model.receipt import Receipt

from .fake_service import settle, until


def event(number: int | str) -> dict:
    return {"id": f"e{number}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}


async def test_one_event_is_stored_and_the_second_time_a_duplicate(make_client, service, outbox) -> None:
    async with make_client(outbox=outbox) as client:
        first = await client.publish(event(1))
        again = await client.publish(event(1))
        assert client.state is ClientState.ONLINE
    assert list(first) == [Stored(id="e1")]
    assert list(again) == [Duplicate(id="e1")]
    assert service.log["e1"] == event(1)


async def test_presence_is_born_retained_and_says_offline_before_leaving(make_client, service) -> None:
    async with make_client():
        assert service.statuses == [("online", True)]
        assert service.subscribed == ["users/alice/devices/watch/receipts"]
    assert service.statuses == [("online", True), ("offline", True)]


async def test_many_events_go_in_batches_and_the_results_keep_their_order(make_client, service, outbox) -> None:
    service.reject["e7"] = "out_of_range"
    async with make_client(outbox=outbox, batch_size=4) as client:
        results = await client.publish([event(n) for n in range(10)])
    assert [len(delivery["events"]) for delivery in service.deliveries] == [4, 4, 2]
    assert [result.id for result in results] == [f"e{n}" for n in range(10)]
    assert results[7] == Rejected(id="e7", reason="out_of_range", field="value.bpm", message="no")
    assert (results.stored, results.duplicate, results.rejected) == (9, 0, 1)
    assert not results.all_accepted


async def test_batch_size_of_one_call_limits_its_deliveries(make_client, service) -> None:
    async with make_client() as client:
        await client.publish([event(n) for n in range(5)], batch_size=2)
    assert [len(delivery["events"]) for delivery in service.deliveries] == [2, 2, 1]


async def test_mixed_batch_has_exact_counts_though_its_results_only_say_accepted(make_client, service) -> None:
    async with make_client() as client:
        await client.publish(event(0))
        results = await client.publish([event(n) for n in range(3)])
    assert all(type(result) is Accepted for result in results)
    assert (results.stored, results.duplicate, results.rejected) == (2, 1, 0)


async def test_calls_never_share_a_batch(make_client, service) -> None:
    async with make_client() as client:
        one, two = await asyncio.gather(client.publish(event(1)), client.publish(event(2)))
    assert [len(delivery["events"]) for delivery in service.deliveries] == [1, 1]
    assert (one.stored, two.stored) == (1, 1)


async def test_lost_connection_sends_again_what_was_not_receipted(make_client, service, clock, outbox) -> None:
    async with make_client(outbox=outbox, batch_size=2) as client:
        service.lose_receipts = 1
        publishing = asyncio.create_task(client.publish([event(n) for n in range(4)]))
        await until(lambda: len(service.deliveries) == 2)
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        results = await publishing
    assert results.all_accepted
    assert sorted(service.log) == ["e0", "e1", "e2", "e3"]
    assert service.connects == 2


async def test_receipts_that_the_session_kept_settle_after_a_reconnect(make_client, service, clock) -> None:
    async with make_client() as client:
        service.hold = True
        publishing = asyncio.create_task(client.publish(event(1)))
        await until(lambda: len(service.deliveries) == 1)
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        service.hold = False
        await clock.advance(60)
        assert list(await publishing) == [Stored(id="e1")]


async def test_repeated_receipts_change_nothing(make_client, service, outbox) -> None:
    service.repeat_receipts = 3
    async with make_client(outbox=outbox, max_in_flight=1, batch_size=1) as client:
        results = await client.publish([event(n) for n in range(5)])
    assert results.stored == 5
    assert len(service.deliveries) == 5


async def test_without_a_receipt_the_connection_is_given_up(make_client, service, clock) -> None:
    async with make_client(receipt_timeout=30) as client:
        service.lose_receipts = 1
        publishing = asyncio.create_task(client.publish(event(1)))
        await until(lambda: service.deliveries)
        await clock.advance(15)
        assert client.state is ClientState.ONLINE
        await clock.advance(15)
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        assert list(await publishing) == [Duplicate(id="e1")]


async def test_waits_grow_with_jitter_and_shrink_after_progress(make_client, service, clock) -> None:
    async with make_client(receipt_timeout=1e9) as client:
        service.unreachable = True
        service.drop()
        for ceiling in (1, 2, 4, 8, 16, 32, 60, 60):
            await until(lambda: client.state is ClientState.WAITING and clock.slept[-1] < 100)
            assert ceiling / 2 <= clock.slept[-1] <= ceiling
            before = len(clock.slept)
            await clock.advance(60)
            await until(lambda count=before: len(clock.slept) > count)
        service.unreachable = False
        await clock.advance(60)
        await until(lambda: client.state is ClientState.ONLINE)
        await client.publish(event(1))
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        assert clock.slept[-1] <= 1


async def test_connecting_without_progress_does_not_reset_the_wait(make_client, service, clock) -> None:
    async with make_client(receipt_timeout=1e9) as client:
        waits = []
        for _ in range(4):
            service.drop()
            await until(lambda: client.state is ClientState.WAITING)
            waits.append(clock.slept[-1])
            await clock.advance(60)
            await until(lambda: client.state is ClientState.ONLINE)
    assert waits == sorted(waits)
    assert waits[-1] >= 4


async def test_refused_login_is_not_tried_again_fast(make_client, service, clock) -> None:
    async with make_client() as client:
        service.denied = True
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        await until(lambda: client.state is ClientState.DENIED)
        assert clock.slept[-1] >= 30
        service.denied = False
        await clock.advance(60)
        await until(lambda: client.state is ClientState.ONLINE)
        assert (await client.publish(event(1))).stored == 1


async def test_refused_login_fails_waiting_calls_when_asked_to(make_client, service, clock) -> None:
    async with make_client(fail_when_denied=True) as client:
        service.hold = True
        publishing = asyncio.create_task(client.publish(event(1)))
        await until(lambda: service.deliveries)
        service.denied = True
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        with pytest.raises(DeniedError):
            await publishing
        with pytest.raises(DeniedError):
            await client.publish(event(2))


@pytest.mark.parametrize(("attribute", "error"), [("denied", DeniedError), ("unreachable", UnavailableError)])
async def test_first_attempt_that_fails_is_raised_on_entering(make_client, service, attribute, error) -> None:
    setattr(service, attribute, True)
    with pytest.raises(error):
        async with make_client():
            pass


async def test_client_that_need_not_wait_delivers_when_the_service_comes(make_client, service, clock) -> None:
    service.unreachable = True
    async with make_client(wait_connected=False) as client:
        await client.enqueue([event(1), event(2)])
        await settle()
        service.unreachable = False
        await clock.advance(60)
        await client.drain()
    assert sorted(service.log) == ["e1", "e2"]


async def test_fresh_token_is_asked_for_on_every_connection(make_client, service, clock) -> None:
    tokens = iter(["a", "b"])

    async def token() -> str:
        return next(tokens)

    async with make_client(token=token) as client:
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        await until(lambda: client.state is ClientState.ONLINE)
    assert service.tokens == ["a", "b"]


@pytest.mark.parametrize("change", ["older", "other"])
async def test_restored_service_gets_the_acknowledged_events_again(make_client, service, clock, outbox, change) -> None:
    async with make_client(outbox=outbox) as client:
        await client.publish([event(n) for n in range(5)])
        backup = dict(list(service.log.items())[:2])
        await client.publish([event(n) for n in range(5, 8)])
        service.drop()
        service.log, service.seq = backup, 2
        if change == "other":
            service.epoch, service.seq = "e2", 500
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        await client.publish(event("new"))
        await client.drain()
    assert sorted(service.log) == [*(f"e{n}" for n in range(8)), "enew"]


async def test_a_log_that_gets_another_epoch_within_a_connection_gets_the_acknowledged_events_again_once_each(
    make_client, service, outbox
) -> None:
    """Behind an external broker a connection outlives a standby that takes over without the newest rows."""
    async with make_client(outbox=outbox) as client:
        await client.publish([event(n) for n in range(5)])
        for epoch in ("e2", "e3"):
            service.log.pop("e4")
            service.epoch = epoch
            service.deliveries.clear()
            await client.publish(event(epoch))
            await client.drain()
            await client.publish(event(f"later-{epoch}"))
            assert "e4" in service.log
            sent = [each["id"] for delivery in service.deliveries for each in delivery["events"]]
            assert sent.count("e4") == 1, "seen with the next receipt, and not again with the ones behind it"
            assert sent.count(f"e{epoch}") == 1, "what the new epoch has answered is there"
        assert outbox.position() == ("e3", service.seq)
    assert service.connects == 1


async def test_an_epoch_that_comes_back_within_a_connection_is_no_new_one(make_client, service, outbox) -> None:
    """One of several bridges may not have heard yet of the epoch that another one began."""
    async with make_client(outbox=outbox) as client:
        await client.publish(event(1))
        for epoch in ("e2", "e1", "e2", "e1"):
            service.epoch = epoch
            await client.publish(event(f"{epoch}-{service.seq}"))
            await client.drain()
        sent = [each["id"] for delivery in service.deliveries for each in delivery["events"]]
        assert sent.count("e1") == 2
        position = outbox.position()
        assert position is not None
        assert position.epoch == "e2", "the epoch that came last is the log's"


async def test_what_was_answered_of_an_epoch_that_is_over_is_sent_again(make_client, service, outbox) -> None:
    """Its answer came late, behind one of the new epoch: the row it speaks of may be one of those that were lost."""
    async with make_client(outbox=outbox) as client:
        await client.publish(event("before"))
        service.hold = True
        slow = asyncio.create_task(client.publish(event("slow")))
        await until(lambda: "eslow" in service.log)
        service.epoch = "e2"
        service.log.pop("eslow")
        quick = asyncio.create_task(client.publish(event("quick")))
        await until(lambda: "equick" in service.log)
        service.queue.rotate()
        service.hold = False
        service.flush()
        await quick
        results = await slow
        assert sorted(service.log) == ["ebefore", "equick", "eslow"]
        assert list(results) == [Stored(id="eslow")]
        assert outbox.waiting() == 0
        assert outbox.position() == ("e2", service.seq)


async def test_acknowledged_events_are_kept_72_hours(make_client, service, clock, outbox) -> None:
    async with make_client(outbox=outbox, receipt_timeout=1e9) as client:
        await client.publish(event("old"))
        for _ in range(3):  # what is acknowledged is a look at the clock, and no leap counts for more than a day
            await clock.advance(23 * 3600)
            await client.publish(event("young"))
        await clock.advance(4 * 3600)
        await client.publish(event("young"))
        await clock.advance(2 * 3600)
        service.drop()
        service.log, service.seq = {}, 0
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(60)
        await client.publish(event("new"))
        await client.drain()
    assert sorted(service.log) == ["enew", "eyoung"]


async def test_durable_outbox_delivers_after_a_restart_of_the_device(make_client, service, tmp_path) -> None:
    service.hold = True
    client = make_client(outbox=SqliteOutbox(tmp_path / "outbox.db"))
    async with client:
        await client.enqueue([event(n) for n in range(3)])
        assert not await client.close(flush_s=0)
    service.hold = False
    service.queue.clear()
    async with make_client(outbox=SqliteOutbox(tmp_path / "outbox.db")) as client:
        await client.drain()
    assert len(service.log) == 3
    assert SqliteOutbox(tmp_path / "outbox.db").waiting() == 0


async def test_full_outbox_makes_the_caller_wait(make_client, service) -> None:
    service.hold = True
    async with make_client(outbox=MemoryOutbox(capacity=4), batch_size=2) as client:
        await client.enqueue([event(n) for n in range(4)])
        blocked = asyncio.create_task(client.enqueue(event(9)))
        await settle()
        assert not blocked.done()
        service.hold = False
        service.flush()
        await blocked
    assert "e9" in service.log


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_calls_at_once_are_delivered_in_their_order(make_client, service, tmp_path: Path, kind: str) -> None:
    """Also where there is no room for all: which of two values came later decides where a source counts no versions."""
    service.hold = True
    outbox = MemoryOutbox(capacity=6) if kind == "memory" else SqliteOutbox(tmp_path / "outbox.db", capacity=6)
    async with make_client(outbox=outbox, batch_size=2, max_in_flight=2) as client:
        calls = [asyncio.create_task(client.publish([event(10 * call + n) for n in range(5)])) for call in range(4)]
        await settle()
        service.hold = False
        service.flush()
        await asyncio.gather(*calls)
    assert list(service.log) == [f"e{10 * call + n}" for call in range(4) for n in range(5)]


async def test_window_bounds_what_is_on_its_way(make_client, service) -> None:
    service.hold = True
    async with make_client(max_in_flight=3, batch_size=1) as client:
        publishing = asyncio.create_task(client.publish([event(n) for n in range(10)]))
        await settle()
        assert len(service.deliveries) == 3
        service.hold = False
        service.flush()
        assert (await publishing).stored == 10


async def test_call_that_gives_up_leaves_its_events_to_be_delivered(make_client, service) -> None:
    service.hold = True
    async with make_client() as client:
        with pytest.raises(TimeoutError):
            await client.publish(event(1), within_s=0.01)
        service.hold = False
        service.flush()
        await client.drain()
    assert "e1" in service.log


async def test_close_within_its_time_even_without_receipts(make_client, service) -> None:
    service.hold = True
    async with make_client() as client:
        publishing = asyncio.create_task(client.publish(event(1)))
        await until(lambda: service.deliveries)
        assert not await client.close(flush_s=0.01)
        with pytest.raises(UnavailableError):
            await publishing
        with pytest.raises(UnavailableError):
            await client.publish(event(2))
    assert service.statuses[-1] == ("offline", True)


@pytest.mark.parametrize(
    "bad",
    [{"type": "steps"}, {"id": ""}, {"id": 7}, {"id": "x", "value": object()}, {"id": "x", "value": "y" * 900_001}],
)
async def test_what_cannot_be_an_event_is_refused_before_anything_is_handed_over(make_client, service, bad) -> None:
    async with make_client() as client:
        with pytest.raises(InputError):
            await client.publish([event(1), bad])
    assert service.log == {}


async def test_entered_once(make_client) -> None:
    client = make_client()
    async with client:
        pass
    with pytest.raises(UsageError):
        async with client:
            pass


async def test_token_never_goes_out_without_tls(make_client) -> None:
    with pytest.raises(ConfigError):
        make_client(transport=None, tls=False)


def test_batch_size_has_the_limits_of_the_service(make_client) -> None:
    with pytest.raises(UsageError):
        make_client(batch_size=501)


def entries(count: int) -> list[OutboxEntry]:
    return [OutboxEntry(n, f"e{n}", b"{}") for n in range(count)]


def receipt(**values) -> Receipt:
    return json_receipt({"epoch": "e", "seq": 1} | values)


def json_receipt(values: dict) -> Receipt:
    from healthsync_mqtt.model.receipt import parse_receipt

    return parse_receipt(json.dumps(values).encode())


def test_whole_delivery_refused_means_each_event_refused() -> None:
    got = read_receipt(entries(3), receipt(rejected=[{"index": 0, "id": None, "code": "too_many"}]))
    assert got is not None
    assert [result.reason for result in got.results] == ["too_many"] * 3


@pytest.mark.parametrize(
    "values", [{"stored": 2}, {"stored": 4}, {"stored": 2, "rejected": [{"index": 5, "id": "", "code": "x"}]}]
)
def test_receipt_that_cannot_be_about_the_batch_settles_nothing(values) -> None:
    assert read_receipt(entries(3), receipt(**values)) is None


def test_ids_in_place_of_counts_are_counted() -> None:
    got = read_receipt(entries(2), receipt(stored=["e0", "e1"], duplicate=[]))
    assert got is not None
    assert got.results == [Stored(id="e0"), Stored(id="e1")]
