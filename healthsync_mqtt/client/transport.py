"""The port between the device client and MQTT; ``mqtt.client.MqttTransport`` is the real one."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from healthsync_mqtt.mqtt.links.client import ConnectionLostError

__all__ = ["Connection", "ConnectionLostError", "Transport"]


class Connection(Protocol):
    """One live connection. Every method raises ConnectionLostError once it is gone; it never comes back."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1; return when the server acknowledged it (which is not yet a receipt)."""
        ...

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1. Raises DeniedError when the server refuses the topic."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """(topic, payload) of every arriving message, until the connection is lost."""
        ...


class Transport(Protocol):
    """Makes connections for one device."""

    def connect(self, token: str) -> AbstractAsyncContextManager[Connection]:
        """Connect and log in. Raises ConnectionLostError when unreachable, DeniedError when refused."""
        ...
