"""What every way out for the bridge's own messages promises (``bridge.ports.Outlet``), as tests that any runs through.

Subclass ``OutletContract`` in a test module and give it a ``way`` fixture: the outlet, and who listens at its end.
"""

import asyncio
from typing import Protocol

from bridge.ports import Outlet

_RECEIPTS = "users/alice/devices/watch/receipts"
_MOST = 1_048_576
"""Payloads that are longer are not tried."""
_TURNS = 10


class WayOut(Protocol):
    """An outlet, and who listens at its end."""

    @property
    def outlet(self) -> Outlet:
        """What is tried."""

    def listen(self, topic: str) -> None:
        """Somebody wants what comes on this topic, from now on."""

    def heard(self) -> list[tuple[str, bytes, bool]]:
        """Topic, payload and retain flag of what has come, in order."""

    def away(self) -> None:
        """Nobody hears anything from now on."""


async def _heard(way: WayOut) -> list[tuple[str, bytes, bool]]:
    """What has come when everything has had its turn."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    return way.heard()


class OutletContract:
    """The tests."""

    async def test_who_listens_gets_what_is_sent_whole_and_in_order(self, way: WayOut) -> None:
        way.listen(_RECEIPTS)
        for n in range(20):
            assert way.outlet.listening(_RECEIPTS)
            assert way.outlet.send(_RECEIPTS, b'{"seq": %d}' % n)
        assert await _heard(way) == [(_RECEIPTS, b'{"seq": %d}' % n, False) for n in range(20)]

    async def test_what_there_is_room_for_is_taken_and_what_there_is_not_goes_nowhere(self, way: WayOut) -> None:
        way.listen(_RECEIPTS)
        room = way.outlet.room(_RECEIPTS)
        assert room > 0
        assert way.outlet.send(_RECEIPTS, b"x" * min(room, _MOST))
        if room < _MOST:
            assert not way.outlet.send(_RECEIPTS, b"x" * (room + 1))
        assert [len(payload) for _, payload, _ in await _heard(way)] == [min(room, _MOST)]

    async def test_without_anybody_there_it_is_said_and_nothing_raises(self, way: WayOut) -> None:
        way.listen(_RECEIPTS)
        way.away()
        assert not way.outlet.listening(_RECEIPTS)
        way.outlet.send(_RECEIPTS, b"to nobody")
        assert way.outlet.room(_RECEIPTS) >= 0
        assert await _heard(way) == []
