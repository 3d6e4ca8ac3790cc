"""The bridge's own presence: a retained status that says whether it runs, since when, and which version."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from healthsync_mqtt import __version__
from healthsync_mqtt.model.times import iso


class Presence(StrEnum):
    """The words of every status topic, the devices' too."""

    online = "online"
    offline = "offline"
    #: said by the will: the connection broke
    lost = "lost"


def status_message(
    presence: Presence, since_us: int, *, session: str, sinks: Sequence[Mapping[str, str]] = ()
) -> bytes:
    """A status payload. ``session`` names this run, so that a late message of an earlier one can be told apart."""
    return json.dumps(
        {
            "status": presence.value,
            "since": iso(since_us),
            "session": session,
            "version": __version__,
            "sinks": list(sinks),
        }
    ).encode()


class Announcer:
    """Says that the bridge is online, again whenever a sink has changed, and once that it leaves."""

    def __init__(
        self,
        since_us: int,
        session: str,
        sinks: Callable[[], Sequence[Mapping[str, str]]],
        changed: asyncio.Event,
    ) -> None:
        self._since_us = since_us
        self._session = session
        self._sinks = sinks
        self._changed = changed
        self._left = False

    def message(self, presence: Presence) -> bytes:
        """The status payload of this moment."""
        return status_message(presence, self._since_us, session=self._session, sinks=self._sinks())

    async def run(self, say: Callable[[bytes], None]) -> None:
        """Announce for ever."""
        while True:
            if not self._left:
                say(self.message(Presence.online))
            await self._changed.wait()
            self._changed.clear()

    def farewell(self, say: Callable[[bytes], None]) -> None:
        """The bridge leaves: nothing is said after this."""
        self._left = True
        say(self.message(Presence.offline))
