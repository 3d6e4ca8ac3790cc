"""What every transport of the device client promises (``client.transport``), as tests that any of them runs through.

Subclass ``TransportContract`` in a test module and give it a ``served`` fixture: the transport, and a way to say what
the service behind it does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import pytest

from healthsync_mqtt.client.transport import ConnectionLostError, Transport
from healthsync_mqtt.errors import DeniedError

_TOPIC = "users/alice/devices/watch/events"
_WITHIN_S = 20.0


class Served(Protocol):
    """A transport and the service behind it."""

    @property
    def transport(self) -> Transport:
        """What is tried."""

    def published(self) -> list[tuple[str, bytes, bool]]:
        """Topic, payload and retain flag of what the service has taken, in order."""

    def say(self, topic: str, payload: bytes) -> None:
        """Send a message on the live connection."""

    def drop(self) -> None:
        """End the live connection, without a word."""

    def deny(self) -> None:
        """Refuse logins from now on."""

    def leave(self) -> None:
        """Be out of reach from now on."""

    def forbid(self, topic: str) -> None:
        """Refuse subscriptions to this topic."""


async def lost(action: Callable[[], Awaitable[object]]) -> None:
    """The connection is told to be lost, if not at once then soon: what was on its way may still have gone out."""
    async with asyncio.timeout(_WITHIN_S):
        with suppress(ConnectionLostError):
            while True:
                await action()


class TransportContract:
    """The tests."""

    async def test_what_is_published_was_taken_when_it_returns(self, served: Served) -> None:
        async with served.transport.connect("token") as connection:
            await connection.publish(_TOPIC, b"one")
            assert served.published() == [(_TOPIC, b"one", False)]
            await connection.publish("users/alice/devices/watch/status", b"two", retain=True)
            assert served.published()[1:] == [("users/alice/devices/watch/status", b"two", True)]

    async def test_several_may_be_on_their_way_at_once_and_arrive_in_order(self, served: Served) -> None:
        async with served.transport.connect("token") as connection:
            await asyncio.gather(*(connection.publish(_TOPIC, b"%d" % n) for n in range(50)))
            assert [payload for _, payload, _ in served.published()] == [b"%d" % n for n in range(50)]

    async def test_messages_arrive_in_order(self, served: Served) -> None:
        async with served.transport.connect("token") as connection:
            await connection.subscribe("a/receipts")
            for n in range(3):
                served.say("a/receipts", b"%d" % n)
            got = []
            async with asyncio.timeout(_WITHIN_S):
                async for topic, payload in connection.messages():
                    got.append((topic, payload))
                    if len(got) == 3:
                        break
            assert got == [("a/receipts", b"%d" % n) for n in range(3)]

    async def test_a_refused_login_and_a_refused_topic_are_denied(self, served: Served) -> None:
        served.forbid("b/receipts")
        async with served.transport.connect("token") as connection:
            with pytest.raises(DeniedError):
                await connection.subscribe("b/receipts")
            await connection.publish(_TOPIC, b"still there")
        served.deny()
        with pytest.raises(DeniedError):
            async with served.transport.connect("token"):
                pass

    async def test_a_service_out_of_reach_is_a_lost_connection(self, served: Served) -> None:
        served.leave()
        with pytest.raises(ConnectionLostError):
            async with served.transport.connect("token"):
                pass

    async def test_a_lost_connection_stays_lost_and_the_next_one_works(self, served: Served) -> None:
        async with served.transport.connect("token") as connection:
            await connection.publish(_TOPIC, b"first")
            served.drop()
            await lost(lambda: connection.publish(_TOPIC, b"never"))
            await lost(lambda: connection.subscribe("a/receipts"))
            async with asyncio.timeout(_WITHIN_S):
                with pytest.raises(ConnectionLostError):
                    async for _ in connection.messages():
                        pass
        async with served.transport.connect("token") as again:
            await again.publish(_TOPIC, b"second")
            with pytest.raises(ConnectionLostError):
                await connection.publish(_TOPIC, b"never")
            assert served.published()[-1][1] == b"second"

    async def test_it_is_over_when_its_block_ends(self, served: Served) -> None:
        async with served.transport.connect("token") as connection:
            pass
        await lost(lambda: connection.publish(_TOPIC, b"never"))
