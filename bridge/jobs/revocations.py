"""Revocation: what the registry takes away is taken away here too, within a second, whatever else waits.

The registry is read in a thread of its own: the shared ones may all be waiting for a file that another process holds.
A loss is forgotten only once it had its effect, so that an error in between costs a quarter of a second and no more.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins


class Revocations:
    """``look`` is called again and again; ``consents_read`` after each reading, on the event loop."""

    def __init__(
        self, directory: Directory, logins: Logins, door: FrontDoor, consents_read: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._logins = logins
        self._door = door
        self._consents_read = consents_read
        self._void_tokens = directory.revoked_tokens
        self._denied = logins.denied
        self._thread = ThreadPoolExecutor(1, "revocations")

    async def look(self) -> None:
        """Read what changed and act on it. StoreError: what was last read holds, and is acted on at the next look."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        directory, logins = self._directory, self._logins
        if lost := directory.lost():
            self._door.revoke(sorted(lost))
            directory.told(lost)
        if (void := directory.revoked_tokens) is not self._void_tokens:
            self._door.void(lambda login: login.jti in void)
            self._void_tokens = void
        if new := (denied := logins.denied) - self._denied:
            self._door.void(lambda login: login.serial in new)
        self._denied = denied
        self._consents_read()

    def close(self) -> None:
        """End the thread; a reading that is under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> None:
        self._directory.catch_up()
        self._logins.refresh()
