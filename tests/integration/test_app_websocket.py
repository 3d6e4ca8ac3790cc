"""Messages as long as an app's may be, over WebSocket with TLS: in one frame, in fragments, and one byte too long."""

import itertools
import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import ClientConnection

from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Packet, Puback, Publish, Suback, Subscribe
from tests.integration.test_door_listeners import WebPeer, web
from tests.support.app_login import MINUTES, app, exported, topic
from tests.support.inprocess import Bystander, House
from tests.support.peer import Identity

LONGEST = 41_943_040


def padded(size: int, days: int) -> bytes:
    """A short export with room in it, as an ECG would take: what is long here is what is carried, not what is read."""
    short = exported(5, days=days)
    return short[:-1] + b" " * (size - len(short)) + short[-1:]


def pieces(data: bytes, size: int = 65_536) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


async def greeted(socket: ClientConnection, who: Identity) -> WebPeer:
    peer = WebPeer(socket)
    await peer.send(Connect("any", True, 60, who.client_id, who.token.encode()))
    assert await peer.next() == Connack(False, 0)
    return peer


async def test_forty_megabytes_are_stored_and_a_byte_more_is_told(house: House, bob: Bystander) -> None:
    who = app(house, declared=MINUTES)
    numbers = itertools.count(1)

    def message(size: int) -> bytes:
        """A packet of so many bytes."""
        number = next(numbers)
        bare = Publish(topic(who).encode(), b"", 1, False, False, number)
        head = len(encode(bare._replace(payload=bytes(size)))) - size
        return encode(bare._replace(payload=padded(size - head, days=number)))

    async with web(house) as socket:
        peer = await greeted(socket, who)
        await peer.send(Subscribe(9, ((who.receipts, 1),)))
        assert await peer.next() == Suback(9, (1,))
        said: list[Packet] = []

        async def told() -> int:
            """Events that the receipt of the message counts; its PUBACK has come, too."""
            said[:] = [await peer.next(), await peer.next()]
            (receipt,) = [json.loads(each.payload) for each in said if isinstance(each, Publish)]
            assert [type(each) for each in said].count(Puback) == 1
            return 0 if receipt["rejected"] else int(receipt["stored"])

        await socket.send(message(LONGEST))
        assert await told() == 15
        await socket.send(pieces(message(5_000_000)))
        assert await told() == 15
        await socket.send(message(LONGEST + 6))  # the bound is of what follows the header of a packet
        assert await told() == 0
        assert b"too_large" in next(each.payload for each in said if isinstance(each, Publish))
        await socket.send(message(10_000))
        assert await told() == 15
    assert len(house.stored("alice")) == 45
    assert house.service.ground.message_room.used == 0
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.app_message": 2_000_000}])
async def test_others_are_served_while_a_long_message_comes_in_slowly(house: House, bob: Bystander) -> None:
    """Piece by piece, as from a phone: it holds its room and nobody else."""
    who = app(house, declared=MINUTES)
    data = encode(Publish(topic(who).encode(), padded(1_900_000, days=1), 1, False, False, 1))
    async with web(house) as socket:
        peer = await greeted(socket, who)
        for piece in pieces(data, 400_000):
            await socket.send(piece)
            await house.still_serves(bob)
        assert await peer.next() == Puback(1)
    assert len(house.stored("alice")) == 15
