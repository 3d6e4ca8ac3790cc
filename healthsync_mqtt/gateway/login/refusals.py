"""HeldRefusals of credentials that are held back: bounded, and never so that a wrong secret is answered sooner for it.

Who looks at a credential takes a place first, and keeps it while a refusal is held back. An address that has as many as
one may have is asked to come later before anybody looks, so that right and wrong ones are answered alike. Where all
places are taken, the oldest of the address that has most of them is answered early, for an address that has fewer.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST: Final = 200
MOST_OF_ADDRESS: Final = 50
"""Credentials that are looked at or whose refusal is held back, of all and of one address."""


class RefusalPlace:
    """The place of one credential."""

    def __init__(self) -> None:
        self._needed = asyncio.Event()

    async def hold(self, seconds: float) -> None:
        """Return after so long, or when another address needs the place."""
        try:
            async with asyncio.timeout(seconds):
                await self._needed.wait()
        except TimeoutError:
            pass

    def make_room(self) -> None:
        """Another address needs it."""
        self._needed.set()


class HeldRefusals:
    """The places. Addresses are those that one customer gets."""

    def __init__(self, most: int = MOST, most_of_address: int = MOST_OF_ADDRESS) -> None:
        self._most = most
        self._most_of_address = most_of_address
        #: by address, the oldest first
        self._taken: dict[str, dict[RefusalPlace, None]] = {}
        #: places that are taken
        self.total = 0

    @contextmanager
    def place(self, address: str) -> Iterator[RefusalPlace | None]:
        """A place for one credential; None: this address gets no more now, and nothing is to be looked at."""
        here = len(self._taken.get(address, ()))
        if self.total >= self._most:
            most = max(self._taken, key=lambda each: len(self._taken[each]))
            if here >= len(self._taken[most]):
                yield None
                return
            oldest = next(iter(self._taken[most]))
            self._leave(most, oldest)
            oldest.make_room()
        elif here >= self._most_of_address:
            yield None
            return
        place = RefusalPlace()
        self._taken.setdefault(address, {})[place] = None
        self.total += 1
        try:
            yield place
        finally:
            self._leave(address, place)

    def _leave(self, address: str, place: RefusalPlace) -> None:
        here = self._taken.get(address, {})
        if place in here:
            self.total -= 1
            del here[place]
            if not here:
                del self._taken[address]
