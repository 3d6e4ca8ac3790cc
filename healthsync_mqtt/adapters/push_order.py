"""What a provider pushes of an account is heard in the order in which it came: there is no asking what holds now.

A delivery that failed waits; later ones that say something of the same account wait for it, and what they say of others
does not.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from healthsync_mqtt.adapters.notices import Notice
from healthsync_mqtt.cloud_links.inbox import Delivered, NoticeInbox

Read = Callable[[bytes, int], list[Notice]]
_MOST: Final = 5_000


class PushOrder:
    """The deliveries of one worker while they are worked off."""

    def __init__(self, inbox: NoticeInbox) -> None:
        self._inbox = inbox
        self._turns: dict[str, asyncio.Lock] = {}
        #: by delivery that failed: the accounts of which it pushes something that was not heard yet
        self._left: dict[int, set[str]] = {}

    async def notices(self, read: Read, delivered: Delivered) -> list[Notice]:
        """What a delivery says. Those of a provider are read one after the other, and so come to their turns."""
        async with self._turns.setdefault(delivered.provider, asyncio.Lock()):
            body = self._inbox.begin(delivered)
            return await asyncio.to_thread(read, body, delivered.received_us)

    async def behind(self, read: Read, delivered: Delivered, pushed: set[str]) -> set[str]:
        """The accounts of these of which an earlier delivery says something that was not heard yet."""
        found: set[str] = set()
        for earlier in self._inbox.failed_before(delivered) if pushed else ():
            left = self._left.get(earlier.id)
            if left is None:  # it failed before this process began
                body = self._inbox.body(earlier)
                said = [] if body is None else await asyncio.to_thread(read, body, earlier.received_us)
                left = self._left.setdefault(earlier.id, pushed_accounts(said))
            found |= left & pushed
        return found

    def failed(self, delivered: Delivered, left: set[str]) -> None:
        """It is tried again for these accounts."""
        while len(self._left) >= _MOST:
            self._left.pop(next(iter(self._left)))
        self._left[delivered.id] = left

    def done(self, delivered: Delivered) -> None:
        """It is worked off."""
        self._left.pop(delivered.id, None)


def pushed_accounts(notices: list[Notice]) -> set[str]:
    """Those of which something is pushed."""
    return {each.account for each in notices if each.pushed}
