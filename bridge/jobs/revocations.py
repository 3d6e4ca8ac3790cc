"""Revocation: what the registry takes away is taken away here too, within a second, whatever else waits.

The registry is read in a thread of its own (``Newcomers``), for the shared ones may all be waiting for something. A
loss is forgotten only once it had its effect, so that an error in between costs a quarter of a second and no more.

A right that ended takes its session with it. One that is only another now (a reader of several persons of whom one was
erased) closes the connection, and what is left of it goes on where it was.
"""

from collections.abc import Callable

from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.newcomers import Newcomers


def take_away(directory: Directory, door: FrontDoor) -> None:
    """Let every loss have its effect at the door."""
    if lost := directory.lost():
        door.revoke(sorted(client_id for client_id, loss in lost.items() if loss.whole))
        for client_id, loss in sorted(lost.items()):
            if not loss.whole and (principal := directory.principal(client_id)) is not None:
                door.amend(principal)
        directory.told(lost)


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
            self._act()

    def _act(self) -> None:
        directory = self._directory
        take_away(directory, self._door)
        if (void := directory.revoked_tokens) is not self._void_tokens:
            self._door.void(lambda login: login.jti in void)
            self._void_tokens = void
        if new := (denied := directory.denied) - self._denied:
            self._door.void(lambda login: login.serial in new)
        self._denied = denied
        self._consents_read()
