"""The port between the device client and MQTT; ``mqtt.client.MqttTransport`` is the real one."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from healthsync_mqtt.mqtt.links.client import ConnectionLostError
from healthsync_mqtt.mqtt.links.port import Answer

__all__ = ["Answer", "ConnectionLostError", "DeviceConnection", "Transport"]


class DeviceConnection(Protocol):
    """One live connection. Every method raises ConnectionLostError once it is gone; it never comes back."""

    @property
    def tells(self) -> bool:
        """Whether acknowledgements say what became of events, so that nobody has to listen for receipts."""

    @property
    def renews(self) -> bool:
        """Whether ``renew`` can be called."""

    async def renew(self, token: str) -> None:
        """Log in with another token on this connection. Raises ConnectionLostError when it is refused."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer | None:
        """Send at QoS 1; return when the server acknowledged it (which is not yet a receipt).

        None: it was acknowledged, and nothing more can be said, as in MQTT 3.1.1.
        """
        ...

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1. Raises DeniedError when the server refuses the topic."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """(topic, payload) of every arriving message, until the connection is lost."""
        ...


class Transport(Protocol):
    """Makes connections for one device."""

    def connect(self, token: str) -> AbstractAsyncContextManager[DeviceConnection]:
        """Connect and log in. Raises ConnectionLostError when unreachable, DeniedError when refused."""
        ...
