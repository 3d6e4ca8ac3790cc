"""Who was here, on its way to the registry: noted as it happens, written in one transaction every few seconds."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bridge.ports import Commit
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.people.sightings import SeenEvent, SeenLogin
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.text import escaped
from healthsync_mqtt.mqtt.codec.packets import version_of
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    from healthsync_mqtt.model.origin import Origin

log = get_logger("bridge")

_MOST_BODY: Final = 4_096
_MOST_VERSION: Final = 80
"""Bytes of an event that is looked into for the device's version, and characters of that."""


class Sightings:
    """Everything but ``flush`` runs on the event loop and only notes; ``flush`` blocks, in a worker thread.

    It observes commits, and is told by the door who comes and goes. After a kill what the last seconds brought is
    not known.
    """

    def __init__(self, registry: Registry, *, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._registry = registry
        self._clock_us = clock_us
        self._logins: dict[str, SeenLogin] = {}
        self._left: dict[str, int] = {}
        self._events: dict[Origin, tuple[int, bytes]] = {}

    def entered(self, client_id: str, peer: str, level: int) -> None:
        """A client logged in with this protocol level of MQTT."""
        self._logins[client_id] = SeenLogin(client_id, self._clock_us(), peer, version_of(level))

    def left(self, client_id: str) -> None:
        """A client's connection has ended."""
        self._left[client_id] = self._clock_us()

    def committed(self, commit: Commit) -> None:
        """Deliveries are durable: the newest event of each device is remembered until the next flush."""
        last: Origin | None = None
        for delivery, decoded, _ in reversed(commit.outcomes):  # of a device's in a row only the newest counts
            origin = delivery.origin
            if origin is last or not decoded.events:
                continue
            last = origin
            if origin.device is not None:
                body = decoded.events[-1].body
                self._events[origin] = commit.at_us, body if len(body) <= _MOST_BODY else b""

    async def write(self) -> None:
        """``flush`` in a worker thread; a registry that cannot be written is tried again next time."""
        try:
            await asyncio.to_thread(self.flush)
        except StoreError as error:
            log.warning("bridge.sightings_not_written", error=str(error))

    def flush(self) -> None:
        """Write what was noted since the last call. StoreError: what was noted is kept, unless newer came."""
        logins, self._logins = self._logins, {}
        left, self._left = self._left, {}
        events, self._events = self._events, {}
        if not (logins or left or events):
            return
        seen = [
            SeenEvent(origin.user, origin.device, at_us, described(body))
            for origin, (at_us, body) in events.items()
            if origin.device is not None
        ]
        try:
            self._registry.sightings.note(logins.values(), seen, left.items())
        except StoreError:
            self._logins, self._left, self._events = logins | self._logins, left | self._left, events | self._events
            raise


def described(body: bytes) -> str | None:
    """What an event says of the device that made it: "watchos 11.2, app 3.1, firmware 9"; None for nothing."""
    if not body:
        return None
    device: Any = msgspec.json.decode(body).get("device")
    if not isinstance(device, dict):
        return None
    system = " ".join(str(device[key]) for key in ("platform", "os_version") if device.get(key))
    model = str(device.get("model") or "")
    more = [
        f"{word} {device[key]}" for word, key in (("app", "app_version"), ("firmware", "firmware")) if device.get(key)
    ]
    return escaped(", ".join(part for part in (model, system, *more) if part))[:_MOST_VERSION] or None
