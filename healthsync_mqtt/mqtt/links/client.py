"""MQTT connections as a client, over aiomqtt: the only file that touches aiomqtt's and paho's private names.

One client object per connection: paho keeps unacknowledged messages and sends them again when *its* object reconnects,
which would double what the caller's own outbox sends again.
"""

import asyncio
import contextlib
import math
import ssl
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from healthsync_mqtt.errors import ConfigError, DeniedError, UnavailableError

_MAX_QUEUED = 65_535
_REFUSED = 0x80


class ConnectionLostError(UnavailableError):
    """The service could not be reached, or the connection to it ended."""

    reason: ClassVar[str] = "connection_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWill:
    """What the server publishes, retained at QoS 1, when the connection ends without DISCONNECT."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTransport:
    """How one client connects: MQTT 3.1.1 with a persistent session, over TLS unless the host is loopback."""

    host: str
    port: int
    client_id: str
    username: str
    tls: ssl.SSLContext | None
    will: LastWill | None = None
    keep_alive: int = 30
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.tls is None and not _is_loopback(self.host):
            raise ConfigError(
                f"refusing to send a token to {self.host} without TLS",
                hint="use the mqtts port and the service's ca_file; plain MQTT is for this machine only",
            )

    @contextlib.asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator["MqttConnection"]:
        """Connect and log in with ``token``. Raises DeniedError when refused, ConnectionLostError otherwise."""
        client = aiomqtt.Client(
            self.host,
            self.port,
            username=self.username,
            password=token,
            identifier=self.client_id,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=False,
            will=aiomqtt.Will(self.will.topic, self.will.payload, qos=1, retain=True) if self.will else None,
            keepalive=self.keep_alive,
            timeout=self.timeout,
            tls_context=self.tls,
            max_inflight_messages=_MAX_QUEUED,
            max_queued_outgoing_messages=0,
        )
        # The caller bounds what is in flight; aiomqtt's warning at ten would be noise.
        client.pending_calls_threshold = sys.maxsize
        try:
            await client.__aenter__()
        except MqttConnectError as error:
            _drop(client)
            raise _refusal(error) from None
        except (aiomqtt.MqttError, ssl.SSLError, OSError) as error:
            _drop(client)
            raise ConnectionLostError(
                f"cannot connect to {self.host}:{self.port}: {_plain(error)}", hint=_hint(error)
            ) from None
        except BaseException:
            _drop(client)
            raise
        try:
            yield MqttConnection(client)
        finally:
            try:
                await client.__aexit__(None, None, None)
            except aiomqtt.MqttError:
                _drop(client)
            except BaseException:
                _drop(client)
                raise
            finally:
                _retrieve(client)


class MqttConnection:
    """One live connection; see ``client.transport.Connection`` for the contract."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1 and wait for the PUBACK, however long the server holds it back."""
        try:
            # Raced against the end of the connection, which aiomqtt does not tell a waiting publish about.
            await self._or_lost(self._client.publish(topic, payload, qos=1, retain=retain, timeout=math.inf))
        except (aiomqtt.MqttError, ValueError) as error:
            raise ConnectionLostError(f"the connection ended while publishing: {_plain(error)}") from None

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1. Raises DeniedError when the server refuses the topic."""
        try:
            codes = await self._client.subscribe(topic, qos=1)
        except (aiomqtt.MqttError, ValueError) as error:
            raise ConnectionLostError(f"the connection ended while subscribing: {_plain(error)}") from None
        if any(_code(code) >= _REFUSED for code in codes):
            raise DeniedError(
                f"the service refused the subscription to {topic}", hint="see: healthsync topic list (roles)"
            )

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """(topic, payload) as they arrive. Raises ConnectionLostError at the end of the connection."""
        try:
            async for message in self._client.messages:
                payload = message.payload
                yield str(message.topic), payload if isinstance(payload, bytes) else b""
        except aiomqtt.MqttError as error:
            raise ConnectionLostError(f"the connection ended: {_plain(error)}") from None

    async def _or_lost(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(call)
        ended = self._client._disconnected  # noqa: SLF001
        try:
            await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionLostError("the connection ended while publishing")
            await task
        finally:
            task.cancel()
            # What the call says after its end is said to nobody, and that is no fault to be reported.
            task.add_done_callback(lambda over: over.cancelled() or over.exception())


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A client context, TLS 1.2 or newer, that trusts ``ca_file`` alone, or the system's CAs without one.

    Raises ConfigError when the file is unreadable.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the CA file {ca_file}: {error.strerror or error}",
            hint="copy certs/ca.crt from the service's data directory",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TidySocket
    return context


class _TidySocket(ssl.SSLSocket):
    """Closed when the handshake fails; paho drops such a socket open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature is ssl's
        try:
            super().do_handshake(block)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _code(code: object) -> int:
    value = getattr(code, "value", code)
    return value if isinstance(value, int) else 0


_CREDENTIAL_CODES = {2, 4, 5, 133, 134, 135}  # CONNACK of 3.1.1, and as paho 2 renames them


def _refusal(error: MqttConnectError) -> DeniedError | ConnectionLostError:
    if _code(error.rc) in _CREDENTIAL_CODES:
        return DeniedError(
            "the service refused the login", hint="issue a new token: healthsync device token USER DEVICE"
        )
    return ConnectionLostError("the service is not ready to accept connections", hint="see: healthsync status")


def _plain(error: BaseException) -> str:
    return str(error) or error.__class__.__name__


def _hint(error: BaseException) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "pass the CA file of this service (certs/ca.crt in its data directory) and a host name it is made for"
    return "start the service: healthsync up"


def _drop(client: aiomqtt.Client) -> None:
    """Close the socket of a connection that could not be closed in order."""
    with contextlib.suppress(Exception):
        client._client._sock_close()  # noqa: SLF001
    _retrieve(client)


def _retrieve(client: aiomqtt.Client) -> None:
    """Look at futures that nobody awaits any more, so that asyncio does not report them."""
    for future in (client._connected, client._disconnected):  # noqa: SLF001
        if future.done() and not future.cancelled():
            future.exception()
