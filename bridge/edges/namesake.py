"""Two bridges with one id: they take the connection from each other, and the younger one stops.

A broker keeps one connection a client id, so no two are ever connected at once. What they see of each other is the
retained status that they share: whoever finds the other's there, after its own had been, knows that the other lives.
Until that is certain no delivery is taken, so that nothing is acknowledged by the one that stops.
"""

import asyncio
import json
from collections.abc import Coroutine
from enum import Enum, auto
from typing import Any, ClassVar, Final, NamedTuple

from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.links.port import BrokerLink
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_ECHO_S: Final = 2.0
"""A broker that has said nothing for so long will not say it: what waits for us comes before our own status."""
_ECHO_MOST_S: Final = 60.0
GRACE_S: Final = 3.0
"""Longer than a bridge that lost its connection takes to connect again."""
_ENOUGH: Final = 2
_REFUSED: Final = 128


class NamesakeError(ConflictError):
    """An older bridge with this id is at work."""

    reason: ClassVar[str] = "bridge_id_taken"


class Status(NamedTuple):
    """What a status message says of a run: ``since`` and ``session`` order all runs the same way for both."""

    since: str
    session: str
    status: str = ""


class OtherBridge(Enum):
    """What is known of another bridge."""

    #: there is none, or it left, or it is the younger one
    NONE = auto()
    #: it may be dead, or come back in a moment
    PERHAPS = auto()
    #: it has spoken after us, again and again
    LIVES = auto()


def read_status(payload: bytes) -> Status | None:
    """None for what is no status."""
    try:
        said = json.loads(payload)
        return Status(*(str(said[key]) for key in ("since", "session", "status")))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


class NamesakeWatch:
    """The decision. ``saw`` is told, at each connection, whose status stood there before ours. Pure."""

    def __init__(self, own: Status) -> None:
        self._own = own
        self._spoken = False
        self._count = 0

    def saw(self, other: Status | None) -> OtherBridge:
        """What stood there; our own status stands there from now on."""
        spoken, self._spoken = self._spoken, True
        if other is None or other.session == self._own.session or other.status == "offline":
            self._count = 0
            return OtherBridge.NONE
        if other[:2] > self._own[:2]:
            return OtherBridge.NONE
        self._count += spoken
        return OtherBridge.LIVES if self._count >= _ENOUGH else OtherBridge.PERHAPS

    def alone(self) -> None:
        """Nobody took the connection while we waited for it."""
        self._count = 0


class Namesake:
    """Finds out, at the start of each connection, whether another bridge has this id."""

    def __init__(self, bridge_id: str, topic: str, *, grace_s: float = GRACE_S) -> None:
        self._bridge_id = bridge_id
        self._topic = topic
        self._grace_s = grace_s
        self._sightings: NamesakeWatch | None = None
        self._own: Status | None = None
        self._before: Status | None = None
        self._echo = asyncio.Event()
        self._deaf = False
        #: when something came last, by the loop's clock
        self._heard = 0.0

    def hears(self, message: Publish) -> bool:
        """Whether the message is a bridge's status; taken note of."""
        self._heard = asyncio.get_running_loop().time()
        if message.topic != self._topic.encode():
            return False
        said = read_status(message.payload)
        if said is not None and self._own is not None and said.session == self._own.session and not message.retain:
            self._echo.set()
        elif said is not None and not self._echo.is_set():
            self._before = said
        return True

    async def look(self, link: BrokerLink, online: bytes) -> None:
        """Return when this bridge may work. NamesakeError; ConnectionLostError when the connection is taken away.

        ``online`` is what we say of ourselves. A broker that lets a bridge not read its status is worked with unseen.
        """
        if self._deaf:
            return
        own = self._begin(online)
        sightings = self._sightings = self._sightings or NamesakeWatch(own)
        (code,) = await link.subscribe((self._topic,), qos=0, retained=True)
        if code >= _REFUSED:
            self._deaf = True
            log.warning("bridge.namesake_unseen", fix="renew the broker's access rules: bridges read their own status")
            return
        link.send(self._topic, online, retain=True)
        # What stood there comes before what is said now.
        if not await self._echoes(link):
            self._deaf = True
            log.warning("bridge.namesake_unseen", fix="let the broker keep retained messages")
            return
        other = sightings.saw(self._before)
        if other is OtherBridge.LIVES:
            raise NamesakeError(
                f"a bridge with the id {self._bridge_id} is at work already",
                hint="stop that one, or give this one an id of its own: bridge.id, and --shard for its part of users",
            )
        if other is OtherBridge.PERHAPS:
            log.warning("bridge.namesake_perhaps", bridge=self._bridge_id, wait_s=self._grace_s)
            await _happens(link, asyncio.Event().wait(), self._grace_s)
            sightings.alone()
        elif self._before is not None and self._before[:2] > own[:2] and self._before.status != "offline":
            log.error("bridge.namesake", bridge=self._bridge_id, fix="stop the bridge that was started later")

    async def _echoes(self, link: BrokerLink) -> bool:
        """Whether our own status comes back, behind all that waited for us. ConnectionLostError."""
        loop = asyncio.get_running_loop()
        began = self._heard = loop.time()
        while (now := loop.time()) < min(self._heard + _ECHO_S, began + _ECHO_MOST_S):
            if await _happens(link, self._echo.wait(), self._heard + _ECHO_S - now):
                return True
        return False

    def _begin(self, online: bytes) -> Status:
        own = self._own = read_status(online)
        assert own is not None
        self._before = None
        self._echo.clear()
        return own


async def _happens(link: BrokerLink, event: Coroutine[Any, Any, object], seconds: float) -> bool:
    """Whether it happens in time; ConnectionLostError when the connection ends first."""
    waiting = [asyncio.ensure_future(event), asyncio.ensure_future(link.ended())]
    try:
        done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if waiting[1] in done:
            waiting[1].result()
        return waiting[0] in done
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
