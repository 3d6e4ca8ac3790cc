"""A service that speaks MQTT 5: what became of events is read from acknowledgements, and no receipt is needed."""

import base64
import json

from healthsync_mqtt.client import ClientState, Duplicate, Rejected, Stored, TakenOverError
from healthsync_mqtt.client.exchange import told
from healthsync_mqtt.client.transport import Answer
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.model.receipt import Receipt, RejectedEvent

from .fake_service import settle, until
from .test_device_client import event

COUNTS = (("stored", "2"), ("duplicate", "1"), ("rejected", "0"), ("seq", "9"), ("epoch", "e1"))


async def test_an_acknowledgement_settles_and_receipts_are_not_asked_for(make_client, service, outbox) -> None:
    service.tells = True
    async with make_client(outbox=outbox) as client:
        assert list(await client.publish(event(1))) == [Stored(id="e1")]
        assert list(await client.publish(event(1))) == [Duplicate(id="e1")]
        results = await client.publish([event(n) for n in range(4)])
        assert (results.stored, results.duplicate, results.rejected) == (3, 1, 0)
        position = outbox.position()
    assert service.subscribed == []
    assert position == ("e1", 4)


async def test_each_rejection_is_told_with_its_reason(make_client, service) -> None:
    service.tells = True
    service.reject = {"e2": "out_of_range", "e5": "unknown_type"}
    async with make_client() as client:
        results = await client.publish([event(n) for n in range(7)])
        alone = await client.publish(event(2))
    assert results[2] == Rejected(id="e2", reason="out_of_range", field="value.bpm", message="no")
    assert results[5].reason == "unknown_type"
    assert (results.stored, results.rejected) == (5, 2)
    assert [result.reason for result in alone] == ["out_of_range"]


async def test_a_rejection_that_is_not_named_is_looked_for_in_smaller_batches(make_client, service, outbox) -> None:
    service.tells, service.named = True, 0
    service.reject = {"e2": "out_of_range", "e5": "unknown_type"}
    async with make_client(outbox=outbox) as client:
        results = await client.publish([event(n) for n in range(7)])
    assert [result.id for result in results if isinstance(result, Rejected)] == ["e2", "e5"]
    assert [result.reason for result in results if isinstance(result, Rejected)] == ["out_of_range", "unknown_type"]
    assert results.rejected == 2


async def test_a_refusal_of_the_topic_keeps_the_events_and_says_why(make_client, service, outbox) -> None:
    service.tells, service.answer = True, Answer(0x87, (), "device_events is for user=bob only")
    async with make_client(outbox=outbox, fail_when_denied=True) as client:
        await client.enqueue(event(1))
        await until(lambda: isinstance(client.last_error, DeniedError))
        assert "user=bob only" in str(client.last_error)
        assert outbox.waiting() == 1


async def test_a_quota_keeps_the_events_for_later(make_client, service, clock, outbox) -> None:
    service.tells, service.answer = True, Answer(0x97)
    async with make_client(outbox=outbox) as client:
        await client.enqueue(event(1))
        await until(lambda: client.state is ClientState.WAITING)
        assert outbox.waiting() == 1
        service.answer = None
        await clock.advance(60)
        await until(lambda: outbox.waiting() == 0)
    assert list(service.log) == ["e1"]


async def test_a_foreign_broker_that_speaks_mqtt_5_says_nothing_and_receipts_do(make_client, service) -> None:
    service.answer = Answer(0x10)
    async with make_client() as client:
        assert list(await client.publish(event(1))) == [Stored(id="e1")]
    assert service.subscribed == ["users/alice/devices/watch/receipts"]


async def test_who_was_taken_over_does_not_fight_for_the_client_id(make_client, service, clock) -> None:
    async with make_client() as client:
        service.live.end_with = TakenOverError("another connection uses the same client id", code=0x8E)
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        assert isinstance(client.last_error, TakenOverError)
        await settle()
        assert clock.slept[-1] >= 30


def token(expires: float, number: int) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires, "n": number}).encode()).decode().rstrip("=")
    return f"head.{claims}.signature"


async def test_the_next_token_is_given_on_the_live_connection(make_client, service, clock) -> None:
    service.tells = True
    made: list[str] = []

    def fresh() -> str:
        made.append(token(clock.now + 3_600, len(made)))
        return made[-1]

    async with make_client(token=fresh):
        connection = service.live
        await clock.advance(3_540)
        assert connection.renewed == []
        await clock.advance(20)
        await until(lambda: connection.renewed == made[1:] != [])
        service.renewal_fails = True
        await clock.advance(3_560)
        await until(lambda: len(made) == 3)
        service.renewal_fails = False
        await clock.advance(10)
        await until(lambda: connection.renewed == [made[1], made[3]])
        assert service.connects == 1


async def test_a_token_that_never_changes_is_not_given_again(make_client, service, clock) -> None:
    service.tells = True
    async with make_client(token=token(clock.now + 100, 1)):
        connection = service.live
        await clock.advance(90)
        await settle()
        assert connection.renewed == []


def test_what_an_acknowledgement_says_is_read_as_a_receipt() -> None:
    assert told("b", Answer(0, COUNTS)) == Receipt("e1", 9, "b", 2, 1, [])
    refused = (("stored", "0"), ("duplicate", "0"), ("rejected", "1"), ("seq", "0"), ("epoch", "e1"))
    why = (("reason", "out_of_range"), ("field", "value.bpm"))
    entry = RejectedEvent(0, None, "out_of_range", "value.bpm", "too much")
    assert told("b", Answer(0x99, refused + why, "too much")) == Receipt("e1", 0, "b", 0, 0, [entry])
    held = RejectedEvent(0, None, "out_of_range", "value.bpm", "early", held=True)
    assert told("b", Answer(0x83, (*refused, *why, ("held", "1")), "early")) == Receipt("e1", 0, "b", 0, 0, [held])
    named = (*refused, ("rejection", '{"index":3,"id":"x","code":"new_word","retry":true}'))
    assert told("b", Answer(0x99, named)) == Receipt(
        "e1", 0, "b", 0, 0, [RejectedEvent(3, "x", "new_word", retry=True)]
    )


def test_what_it_does_not_say_is_no_receipt() -> None:
    for left_out in range(5):
        assert told("b", Answer(0, COUNTS[:left_out] + COUNTS[left_out + 1 :])) is None
    for name, value in (("stored", "-1"), ("seq", "x"), ("rejected", ""), ("stored", "٣")):
        said = tuple((key, value if key == name else known) for key, known in COUNTS)
        assert told("b", Answer(0, said)) is None
    assert told("b", Answer(0, (*COUNTS, ("rejection", "{")))) is None
