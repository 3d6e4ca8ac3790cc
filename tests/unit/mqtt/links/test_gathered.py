"""What is written in one turn of the loop goes at its end, in order, and much of it at once."""

import asyncio
from typing import Any

from healthsync_mqtt.mqtt.links.gathered_writes import GatheredWrites


class Told:
    """A transport as far as ``GatheredWrites`` uses one: what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.waits = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def get_write_buffer_size(self) -> int:
        return self.waits

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")


async def test_what_is_written_in_one_turn_is_one_write() -> None:
    transport = Told()
    gathered = GatheredWrites(transport)
    for each in (b"head ", b"", b"body"):
        gathered.write(each)
    assert transport.told == []
    await asyncio.sleep(0)
    assert transport.told == [b"head body"]
    gathered.write(b"the next")
    await asyncio.sleep(0)
    assert transport.told == [b"head body", b"the next"]


async def test_much_is_sent_at_once_and_counts_before_it_is_sent() -> None:
    transport = Told()
    transport.waits = 7
    gathered = GatheredWrites(transport)
    gathered.write(b"." * 60_000)
    assert gathered.get_write_buffer_size() == 60_007
    gathered.write(b"." * 6_000)
    assert [len(each) for each in transport.told] == [66_000]
    assert gathered.get_write_buffer_size() == 7
    await asyncio.sleep(0)
    assert len(transport.told) == 1


async def test_what_was_written_goes_before_the_end_and_nothing_after_it() -> None:
    for end in ("close", "abort"):
        transport = Told()
        gathered = GatheredWrites(transport)
        gathered.write(b"farewell")
        getattr(gathered, end)()
        assert transport.told == [b"farewell", end]
        await asyncio.sleep(0)
        assert transport.told == [b"farewell", end]
    transport = Told()
    gathered = GatheredWrites(transport)
    gathered.write(b"to nobody")
    transport.closing = True  # the other side went in the same turn
    await asyncio.sleep(0)
    assert transport.told == []
