"""Clients that wait for the answer to a request: one request of each at a time, and of all a bounded number."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from healthsync_mqtt.broker.embedded.ports import Requests
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.topics.registry import Channel

log = get_logger("bridge")

_MOST_AT_ONCE: Final = 100
_LINES: Final = 5


class OpenRequests:
    """Who is waiting for an answer."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._notices = Notices()

    def admit(self, channel: Channel, login: Login, answering: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Begin to answer; a client that asks again before its answer came, or one too many, is not heard."""
        client_id = login.principal.client_id
        if client_id in self._tasks or len(self._tasks) >= _MOST_AT_ONCE:
            self.warn("bridge.request_ignored", client_id, channel=channel.key)
            return False
        task = asyncio.create_task(answering(), name=f"bridge.{channel.key}")
        self._tasks[client_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(client_id, None))
        return True

    def warn(self, event: str, client_id: str, **what: str) -> None:
        """A line of log that a client causes as often as it asks: a few in a while, then with the number left out."""
        left_out = self._notices.due((event, client_id), time.monotonic(), _LINES)
        if left_out is not None:
            log.warning(event, client_id=client_id, left_out=left_out, **what)

    async def drain(self) -> None:
        """Wait for the answers that are being made."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


class Desks:
    """Hands a request to who answers those of its channel (the door's ``Requests``)."""

    def __init__(self, by_channel: Mapping[str, Requests]) -> None:
        self._by_channel = by_channel

    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        """See ``Requests``. What nobody answers here is not taken."""
        desk = self._by_channel.get(channel.key)
        return desk is not None and desk.take(channel, login, payload, answer)
