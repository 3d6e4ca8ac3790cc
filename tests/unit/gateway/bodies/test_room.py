"""Bytes that requests hold: bodies while they arrive, answers until they are taken."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.gateway.bodies import body
from healthsync_mqtt.gateway.bodies.answers import Answers, Written
from healthsync_mqtt.gateway.bodies.body import read_body
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.bodies.room import Room
from tests.support.patience import PATIENCE_S, until

MIB = 1_048_576


def request(*parts: bytes, **headers: str) -> Request:
    """A request whose body comes in these pieces, and then not on."""
    pieces = iter(parts)

    async def receive() -> dict[str, Any]:
        piece = next(pieces, None)
        if piece is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": True}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def test_one_byte_more_than_in_flight_bytes_is_refused_at_once() -> None:
    room = Room(GatewaySettings(in_flight_bytes=2_000).in_flight_bytes, "bodies")
    with room.taken_by("alice") as take:
        take(1_200)
        with room.taken_by("bob") as other:
            other(800)
            with pytest.raises(HttpError) as said:
                other(1)
            assert (said.value.status, said.value.word) == (503, "busy")
            assert said.value.retry_after_s
        assert room.used == 1_200
    assert room.used == 0


def test_one_who_takes_a_quarter_leaves_others_room() -> None:
    room = Room(32 * MIB, "bodies")
    with room.taken_by("alice") as take, room.taken_by("bob") as other:
        take(8 * MIB)
        with pytest.raises(HttpError):
            take(1)
        with room.taken_by("alice") as again, pytest.raises(HttpError):
            again(1)
        other(MIB)


async def test_a_body_is_charged_as_it_arrives_and_not_when_it_is_there() -> None:
    room = Room(100, "bodies")

    async def reading() -> None:
        with room.taken_by("alice") as take:
            await read_body(request(b" " * 60, content_length="99"), 1_000, take)

    slow = asyncio.create_task(reading())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert room.used == 60
    with pytest.raises(HttpError) as said, room.taken_by("bob") as take:
        await read_body(request(b" " * 41), 1_000, take)
    assert said.value.status == 503
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    assert room.used == 0


@pytest.mark.parametrize("drips", [True, False])
async def test_a_body_that_drips_or_stops_is_given_up_when_its_time_is_over(
    drips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is that of the whole: a byte now and then does not lengthen it. Its room is given back."""
    monkeypatch.setattr(body, "WITHIN_S", 0.05)
    room, came = Room(MIB, "bodies"), 0

    async def receive() -> dict[str, Any]:
        nonlocal came
        if came and not drips:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        came += 1
        return {"type": "http.request", "body": b" ", "more_body": True}

    slow = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(HttpError) as said, room.taken_by("alice") as take:
            await read_body(slow, MIB, take)
    assert (said.value.status, said.value.word) == (408, "slow")
    assert came if drips else came == 1
    assert room.used == 0


async def test_an_answer_is_charged_until_its_last_piece_is_taken() -> None:
    room, sent, taken = Room(4 * MIB, "answers"), [], asyncio.Semaphore(0)

    async def send(message: Any) -> None:
        sent.append(message)
        await taken.acquire()

    asked = request()
    answers = Answers(room)
    answer = answers.answer(asked, Written.tagged(b"." * 100_000, "text/csv"), "alice")
    answering = asyncio.create_task(answer(asked.scope, asked.receive, send))
    for pieces in range(1, 5):
        await until(lambda pieces=pieces: len(sent) == pieces)  # type: ignore[misc]
        assert room.used == 100_000
        taken.release()
    await answering
    assert room.used == 0
    assert max(len(each.get("body", b"")) for each in sent) <= 65_536
    assert b"".join(each.get("body", b"") for each in sent) == b"." * 100_000
    assert dict(sent[0]["headers"])[b"content-length"] == b"100000"

    with room.taken_by("alice") as take:
        take(2 * MIB)
        with pytest.raises(HttpError) as said:
            await answers.answer(asked, Written(b"." * MIB, "text/csv"), "alice")(asked.scope, asked.receive, send)
        assert said.value.status == 503


def test_who_has_the_answer_gets_it_not_again() -> None:
    answers = Answers(Room(MIB, "answers"))
    written = Written.tagged(b"a", "text/csv")
    assert Written.tagged(b"a", "text/csv").tag == written.tag != Written.tagged(b"b", "text/csv").tag
    assert answers.answer(request(if_none_match=f'"x", {written.tag}'), written, "a").status_code == 304
