"""Revocation: what the registry takes away is taken away here too, within a second, whatever else waits.

Where very many lose their right at once they do so some at a time: the end of a connection, with its status, its will
and its session, takes half a millisecond of the loop, and others wait for that.

The registry is read in a thread of its own (``Newcomers``), for the shared ones may all be waiting for something. A
loss is forgotten only once it had its effect, so that an error in between costs a quarter of a second and no more.

A right that ended takes its session with it. One that is only another now (a reader of several persons of whom one was
erased) closes the connection, and what is left of it goes on where it was.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.newcomers import Newcomers

_AT_ONCE: Final = 4
"""Losses that have their effect before others have a turn, or a 64th of them, so that all have it within a second."""
_TIMES: Final = 64
_TURN_S: Final = 0.005


def taking_away(directory: Directory, door: FrontDoor) -> Iterator[None]:
    """Let every loss have its effect at the door: some with each step, which may be taken at leisure."""
    lost = sorted(directory.lost().items(), key=lambda each: (not each[1].whole, each[0]))
    most = max(_AT_ONCE, -(-len(lost) // _TIMES))
    for start in range(0, len(lost), most):
        some = dict(lost[start : start + most])
        door.revoke([client_id for client_id, loss in some.items() if loss.whole])
        for client_id, loss in some.items():
            if not loss.whole and (principal := directory.principal(client_id)) is not None:
                door.amend(principal)
        directory.told(some)
        yield


class Revocations:
    """``look`` is called again and again; ``consents_read`` after each reading, on the event loop."""

    def __init__(
        self, directory: Directory, newcomers: Newcomers, door: FrontDoor, consents_read: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._newcomers = newcomers
        self._door = door
        self._consents_read = consents_read
        self._void_tokens = directory.revoked_tokens
        self._denied = directory.denied

    async def look(self) -> None:
        """Read what changed, and act on what could be read. StoreError or ConfigError: something could not."""
        try:
            await self._newcomers.read()
        finally:
            await self._act()

    async def _act(self) -> None:
        directory = self._directory
        for _ in taking_away(directory, self._door):
            await asyncio.sleep(_TURN_S)
        if (void := directory.revoked_tokens) is not self._void_tokens:
            self._door.void(lambda login: login.jti in void)
            self._void_tokens = void
        if new := (denied := directory.denied) - self._denied:
            self._door.void(lambda login: login.serial in new)
        self._denied = denied
        self._consents_read()
