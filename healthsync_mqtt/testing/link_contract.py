"""What every connection to a broker promises (``mqtt.links.port.BrokerLink``), as tests that any of them runs through.

Subclass ``LinkContract`` in a test module and give it a ``far`` fixture: a way to connect, and the broker behind it.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from healthsync_mqtt.mqtt.codec import encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Puback, Publish
from healthsync_mqtt.mqtt.links.port import BrokerLink, ConnectionLostError, UnansweredMessage

_TOPIC = "users/alice/canonical/steps"
_WITHIN_S = 120.0
_TURNS = 50
MOST = 2_000
"""The longest packet that the broker takes."""


class FarBroker(Protocol):
    """A broker that takes packets of ``MOST`` bytes, and the bridge's way to it."""

    def connect(self, arrived: Callable[[list[Publish]], None]) -> AbstractAsyncContextManager[BrokerLink]:
        """A new connection; ``arrived`` is called with what the broker says. The broker keeps what it took before."""

    def taken(self) -> list[tuple[str, bytes, bool]]:
        """Topic, payload and retain flag of what the broker has taken, in order."""

    def acknowledged(self) -> list[int]:
        """Packet ids that the bridge has acknowledged, in order."""

    def goodbyes(self) -> int:
        """How many connections have ended with a DISCONNECT."""

    def say(self, messages: Sequence[Publish]) -> None:
        """Send these on the live connection."""

    def hold(self) -> None:
        """Acknowledge nothing from now on, until ``answer``."""

    def answer(self, count: int, code: int = 0) -> None:
        """Acknowledge so many of the oldest messages that are held, with this reason code if the version has one."""

    def forbid(self, topic_filter: str) -> None:
        """Refuse subscriptions to it."""

    def drop(self) -> None:
        """Break the live connection."""


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(_WITHIN_S):
        while not condition():  # noqa: ASYNC110  # on a socket no event says it
            await asyncio.sleep(0.001)


async def _a_while() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _over(link: BrokerLink) -> None:
    async with asyncio.timeout(_WITHIN_S):
        with pytest.raises(ConnectionLostError):
            await link.ended()


def _message(number: int) -> Publish:
    return Publish(b"users/alice/events", b"%d" % number, 1, packet_id=number)


class LinkContract:
    """The tests."""

    async def test_what_is_sent_is_taken_as_it_was_in_order_and_its_answer_told_once(self, far: FarBroker) -> None:
        told: list[tuple[int, int]] = []
        async with far.connect(_nobody) as link:
            assert link.alive
            for n in range(30):
                done = lambda answer, n=n: told.append((n, answer.reason))  # noqa: E731
                assert link.send(_TOPIC, b"%d" % n, retain=not n, done=done)
            await until(lambda: len(told) >= 30)
            await _a_while()
            assert told == [(n, 0) for n in range(30)]
            assert far.taken() == [(_TOPIC, b"%d" % n, not n) for n in range(30)]
            assert link.send(_TOPIC, b"nobody asks")
            await until(lambda: len(far.taken()) == 31)

    async def test_what_comes_is_handed_over_in_order_and_acknowledged_by_nobody_else(self, far: FarBroker) -> None:
        got: list[Publish] = []
        async with far.connect(got.extend) as link:
            far.say([_message(n) for n in range(1, 41)])
            await until(lambda: len(got) >= 40)
            await link.subscribe(["a/b"])  # a round trip
            assert far.acknowledged() == []
            assert [(message.topic, message.payload, message.packet_id) for message in got] == [
                (b"users/alice/events", b"%d" % n, n) for n in range(1, 41)
            ]
            link.acknowledge(encode_pubacks([1, 2, 3]))
            link.acknowledge(b"")
            link.acknowledge(encode_pubacks([5, 4]))
            await until(lambda: len(far.acknowledged()) >= 5)
            assert far.acknowledged() == [1, 2, 3, 5, 4]

    async def test_the_oldest_message_without_an_answer_is_known(self, far: FarBroker) -> None:
        """Also when the connection is over: it may be why."""
        far.hold()
        async with far.connect(_nobody) as link:
            assert link.oldest_owed() is None
            for n in range(3):
                link.send(_TOPIC, b"x" * (100 + n))
            await until(lambda: len(far.taken()) == 3)
            owed = link.oldest_owed()
            assert isinstance(owed, UnansweredMessage)
            assert owed.topic == _TOPIC.encode()
            assert owed.size >= len(_TOPIC) + 100
            far.answer(2)
            await until(lambda: (link.oldest_owed() or owed).size > owed.size + 1)
            far.drop()
            await _over(link)
            assert link.oldest_owed() is not None

    async def test_an_answer_says_no(self, far: FarBroker) -> None:
        """Where the version has a word for it."""
        far.hold()
        told: list[Puback] = []
        async with far.connect(_nobody) as link:
            link.send(_TOPIC, b"x", done=told.append)
            await until(lambda: len(far.taken()) == 1)
            far.answer(1, 0x97)
            await until(lambda: len(told) == 1)
            assert told[0].reason == (0x97 if link.agreed.version == 5 else 0)
            assert link.oldest_owed() is None

    async def test_a_filter_has_a_code_each(self, far: FarBroker) -> None:
        far.forbid("b/#")
        async with far.connect(_nobody) as link:
            codes = await link.subscribe(["a/+", "b/#", "c"])
            assert [code >= 0x80 for code in codes] == [False, True, False]
            assert link.alive

    async def test_what_has_no_room_is_not_taken_and_hurts_nobody(self, far: FarBroker) -> None:
        async with far.connect(_nobody) as link:
            room = link.room(_TOPIC)
            assert 0 < room < MOST
            assert room > link.room(_TOPIC + "/žluť") > 0
            assert not link.send(_TOPIC, b"x" * (room + 1))
            assert link.send(_TOPIC, b"x" * room)
            await until(lambda: len(far.taken()) == 1)
            assert far.taken() == [(_TOPIC, b"x" * room, False)]
            assert link.alive

    async def test_what_comes_during_a_pause_is_there_after_it(self, far: FarBroker) -> None:
        got: list[Publish] = []
        async with far.connect(got.extend) as link:
            link.pause()
            link.pause()
            far.say([_message(n) for n in range(1, 4)])
            await _a_while()
            assert got == []
            link.resume()
            link.resume()
            await until(lambda: len(got) >= 3)
            far.say([_message(4)])
            await until(lambda: len(got) >= 4)
            assert [message.packet_id for message in got] == [1, 2, 3, 4]

    async def test_a_connection_that_is_over_takes_nothing_more(self, far: FarBroker) -> None:
        far.hold()
        told: list[Puback] = []
        async with far.connect(_nobody) as link:
            link.send(_TOPIC, b"on its way", done=told.append)
            await until(lambda: len(far.taken()) == 1)
            far.drop()
            await _over(link)
            await _over(link)
            assert not link.alive
            assert not link.send(_TOPIC, b"never", done=told.append)
            link.acknowledge(encode_pubacks([1]))
            link.pause()
            link.resume()
            async with asyncio.timeout(_WITHIN_S):
                with pytest.raises(ConnectionLostError):
                    await link.subscribe(["a"])
            await link.close()
        assert (told, far.acknowledged(), far.goodbyes()) == ([], [], 0)
        assert [payload for _, payload, _ in far.taken()] == [b"on its way"]

    async def test_no_acknowledgement_crosses_to_the_next_connection(self, far: FarBroker) -> None:
        async with far.connect(_nobody) as first:
            far.drop()
            await _over(first)
        async with far.connect(_nobody) as second:
            first.acknowledge(encode_pubacks([1]))
            assert not first.send(_TOPIC, b"never")
            assert second.send(_TOPIC, b"now")
            await second.subscribe(["a"])
            assert far.acknowledged() == []
            assert [payload for _, payload, _ in far.taken()] == [b"now"]

    async def test_only_close_says_goodbye(self, far: FarBroker) -> None:
        async with far.connect(_nobody) as link:
            pass
        await _over(link)
        async with far.connect(_nobody) as link:
            await link.close()
            await link.close()
            assert not link.alive
            await _over(link)
            assert not link.send(_TOPIC, b"never")
        await until(lambda: far.goodbyes() > 0)
        assert (far.goodbyes(), far.taken()) == (1, [])


def _nobody(_messages: list[Publish]) -> None:
    """Nothing is expected."""
