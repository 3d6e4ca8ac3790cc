"""The device client's transport without a network, for tests: a service in memory, which takes what is published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from healthsync_mqtt.client.transport import Answer, ConnectionLostError
from healthsync_mqtt.errors import DeniedError


class Taken(NamedTuple):
    """One message that was published."""

    topic: str
    payload: bytes
    retain: bool


class MemoryTransport:
    """``client.transport.Transport``: every connection is to the same service, which a test speaks for."""

    def __init__(self) -> None:
        self.published: list[Taken] = []
        self.tokens: list[str] = []
        self.subscribed: list[str] = []
        #: what the service does with the next connections: refuses the login, or cannot be reached
        self.denies = False
        self.away = False
        #: topics that nobody may subscribe to
        self.forbidden: set[str] = set()
        self._live: list[MemoryConnection] = []

    @asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator["MemoryConnection"]:
        """See ``client.transport.Transport.connect``."""
        if self.away:
            raise ConnectionLostError("the service cannot be reached")
        if self.denies:
            raise DeniedError("the service refuses the login")
        self.tokens.append(token)
        connection = MemoryConnection(self)
        self._live.append(connection)
        try:
            yield connection
        finally:
            connection.lose()
            self._live.remove(connection)

    def say(self, topic: str, payload: bytes) -> None:
        """Send a message to every live connection."""
        for connection in self._live:
            connection.hear(topic, payload)

    def drop(self) -> None:
        """End every live connection."""
        for connection in self._live:
            connection.lose()


class MemoryConnection:
    """``client.transport.DeviceConnection``. Like MQTT 3.1.1, it says nothing more than that a message was taken."""

    tells = False
    renews = False

    def __init__(self, service: MemoryTransport) -> None:
        self._service = service
        self._inbox: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._lost = False

    def hear(self, topic: str, payload: bytes) -> None:
        """A message of the service has arrived."""
        self._inbox.put_nowait((topic, payload))

    def lose(self) -> None:
        """The connection is over."""
        self._lost = True
        self._inbox.put_nowait(None)

    async def renew(self, token: str) -> None:  # noqa: ARG002
        """Not here: see ``renews``."""
        raise ConnectionLostError("this service takes no new token")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer | None:
        """Take the message."""
        self._alive()
        self._service.published.append(Taken(topic, payload, retain))
        return None

    async def subscribe(self, topic: str) -> None:
        """Note the topic, or refuse it."""
        self._alive()
        if topic in self._service.forbidden:
            raise DeniedError(f"the service refuses {topic}")
        self._service.subscribed.append(topic)

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """What the service says, until the connection is lost."""
        while (message := await self._inbox.get()) is not None:
            yield message
        raise ConnectionLostError("the connection is over")

    def _alive(self) -> None:
        if self._lost:
            raise ConnectionLostError("the connection is over")
