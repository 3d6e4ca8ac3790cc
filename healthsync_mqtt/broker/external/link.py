"""The bridge's connection to an external broker, over aiomqtt and paho.

The only file of the bridge that uses their private names; tests/unit/external/test_private_names.py says which, and
that they still mean the same.

aiomqtt connects, keeps alive, subscribes and publishes. What arrives goes another way: paho reads three times for each
packet, wakes up for each, and acknowledges by itself (16,000 messages a second, measured). Here one read takes all
that is there, messages go to the bridge in one list, and only the other packets are handed to paho. So paho never
sees a message that it could acknowledge.
"""
# ruff: noqa: SLF001

import asyncio
import contextlib
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.subscribeoptions import SubscribeOptions

from healthsync_mqtt.broker.external.frames import BrokerProtocolError, Frames, Message
from healthsync_mqtt.broker.external.options import options, plain, refusal
from healthsync_mqtt.broker.external.port import Agreed, BrokerLostError, ProtocolRefusedError, Target
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_READ = 262_144
_RECORDS = 500
_PUBACK = 0x40
_MOST_WAITING = 200_000
"""Messages that wait for the broker to take them; beyond it receipts are dropped, and devices send again."""


class _Client(aiomqtt.Client):
    """aiomqtt with another receive path."""

    _link: "_Link"

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if not self._connected.done() and not reason_code.is_failure:
            self._link.agree(flags.session_present, properties)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        if not self._link.published(mid):
            super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        # Runs in the thread that connects.
        self._loop.call_soon_threadsafe(self._link.opened, sock)

    async def _misc_loop(self) -> None:
        # paho's version polls once a second; here a pause of ours may not look like silence of the broker.
        while self._client.loop_misc() == paho.MQTT_ERR_SUCCESS:
            await asyncio.sleep(1)
            if self._link.paused:
                self._link.touch()


class _Link:
    """See ``port.BrokerLink``."""

    def __init__(self, target: Target, on_messages: Callable[[list[Message]], None]) -> None:
        self._target = target
        self._on_messages = on_messages
        self._loop = asyncio.get_running_loop()
        self._frames = Frames(version=target.version, max_packet=target.max_packet)
        self._inbox = b""
        self._eof = False
        self._waiting: dict[int, Callable[[], None] | None] = {}
        self._agreed: Agreed | None = None
        self._socket: Any = None
        self.paused = False
        self.client = _client(target)
        self.client._link = self
        paho_client: Any = self.client._client
        self._paho = paho_client
        self._paho._sock_recv = self._hand_over

    @property
    def agreed(self) -> Agreed:
        assert self._agreed is not None
        return self._agreed

    @property
    def alive(self) -> bool:
        return self._agreed is not None and not self.client._disconnected.done()

    # -- out

    def acknowledge(self, data: bytes) -> None:
        if data and self.alive:
            self._paho._packet_queue(_PUBACK, data, 0, 0)

    def send(self, topic: str, payload: bytes, *, retain: bool = False, done: Callable[[], None] | None = None) -> bool:
        if not self.alive or len(self._waiting) >= _MOST_WAITING:
            return False
        info = self._paho.publish(topic, payload, 1, retain)
        if info.rc not in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_QUEUE_SIZE}:
            return False
        self._waiting[info.mid] = done
        return True

    def published(self, mid: int) -> bool:
        if mid not in self._waiting:
            return False
        done = self._waiting.pop(mid)
        if done is not None:
            done()
        return True

    async def subscribe(self, filters: Sequence[str]) -> list[int]:
        try:
            if self._target.version == 5:
                # 2: no retained messages. Events are not retained; what somebody retained there is not replayed.
                options = SubscribeOptions(qos=1, retainHandling=2)
                codes: Any = await self.client.subscribe([(name, options) for name in filters])
            else:
                codes = await self.client.subscribe([(name, 1) for name in filters])
        except (aiomqtt.MqttError, ValueError, OSError) as error:
            raise BrokerLostError(f"the broker closed the connection at SUBSCRIBE: {plain(error)}") from None
        return [int(getattr(code, "value", code)) for code in codes]

    async def ended(self) -> None:
        await asyncio.wait((self.client._disconnected,))
        error = self.client._disconnected.exception()
        raise BrokerLostError(f"the connection to the broker ended: {plain(error) if error else 'closed'}")

    async def close(self) -> None:
        if self.alive:
            with contextlib.suppress(aiomqtt.MqttError):
                await self.client.__aexit__(None, None, None)

    # -- in

    def opened(self, sock: Any) -> None:
        self._socket = sock
        if sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._readable)
            self.client._misc_task = self._loop.create_task(self.client._misc_loop())

    def pause(self) -> None:
        if self.alive and not self.paused:
            self.paused = True
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        if self.alive and self.paused:
            self.paused = False
            self._loop.add_reader(self._socket.fileno(), self._readable)
            self._loop.call_soon(self._readable)  # TLS may hold bytes that the socket no longer shows

    def touch(self) -> None:
        """Count this moment as one in which the broker was heard."""
        self._paho._last_bytes_received = time.monotonic()

    def agree(self, session_present: bool, properties: Any) -> None:  # noqa: FBT001
        def said(name: str, otherwise: int) -> int:
            return int(getattr(properties, name, otherwise))

        v5 = self._target.version == 5
        self._agreed = Agreed(
            version=self._target.version,
            session_present=bool(session_present),
            send_window=said("ReceiveMaximum", 65_535) if v5 else 0,
            shared_subscriptions=v5 and said("SharedSubscriptionAvailable", 1) == 1,
            max_qos=said("MaximumQoS", 2),
            retain=said("RetainAvailable", 1) == 1,
        )
        # 3.1.1 has no word for it: brokers' own limits begin at ten, and what is beyond them waits in their queues.
        self._paho._max_inflight_messages = min(self._agreed.send_window or 1_000, 1_000)

    def _readable(self) -> None:
        try:
            data = self._read()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            data = b""
        self.touch()
        if not data:
            self._end()
            return
        try:
            messages, others = self._frames.feed(data)
        except BrokerProtocolError as error:
            log.warning("bridge.broker_protocol_error", problem=str(error))
            self._end()
            return
        for packet in others:
            self._inbox = packet
            self._paho_reads()
        if messages and self.alive:
            self._on_messages(messages)

    def _read(self) -> bytes:
        """What is there. Over TLS a read gives one record, and brokers send one for each message."""
        data: bytes = self._socket.recv(_READ)
        if not data or not isinstance(self._socket, ssl.SSLSocket):
            return data
        parts = [data]
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            for _ in range(_RECORDS):
                data = self._socket.recv(_READ)
                if not data:
                    break
                parts.append(data)
            else:
                self._loop.call_soon(self._again)  # the socket may be empty, and the TLS layer not
        return b"".join(parts)

    def _again(self) -> None:
        if self.alive and not self.paused:
            self._readable()

    def _end(self) -> None:
        """Nothing more is read: let paho find the end, and whoever waits for the CONNACK too."""
        self._eof = True
        self._paho_reads()

    def _hand_over(self, size: int) -> bytes:
        """The way of paho to read: the rest of the packet that it was given."""
        if not self._inbox:
            if self._eof:
                return b""
            raise BlockingIOError
        data, self._inbox = self._inbox[:size], self._inbox[size:]
        return data

    def _paho_reads(self) -> None:
        code: Any = paho.MQTT_ERR_SUCCESS
        try:
            while code == paho.MQTT_ERR_SUCCESS:
                code = self._paho.loop_read()
                if not self._inbox:
                    break
        except Exception as error:  # noqa: BLE001  # paho passes on whatever broke; the connection is over
            if not self.client._disconnected.done():
                self.client._disconnected.set_exception(error)
        self._inbox = b""
        if code != paho.MQTT_ERR_SUCCESS and not self.client._connected.done():
            self._eof = True
            self.client._connected.set_exception(aiomqtt.MqttError("the connection ended before it was accepted"))


@contextlib.asynccontextmanager
async def open_link(target: Target, on_messages: Callable[[list[Message]], None]) -> AsyncIterator[_Link]:
    """Connect; ``on_messages`` gets what arrives, from the first read on.

    Raises DeniedError when the login is refused, ProtocolRefusedError when the version is, BrokerLostError otherwise.
    """
    link = _Link(target, on_messages)
    client = link.client
    try:
        await client.__aenter__()
    except MqttConnectError as error:
        _drop(client)
        raise refusal(error) from None
    except (aiomqtt.MqttError, ssl.SSLError, OSError) as error:
        _drop(client)
        where = f"{target.host}:{target.port}"
        if link._eof:
            raise ProtocolRefusedError(f"{where} closed the connection after CONNECT") from None
        raise BrokerLostError(f"cannot connect to {where}: {plain(error)}", hint="is the broker running?") from None
    except BaseException:
        _drop(client)
        raise
    try:
        yield link
    finally:
        _drop(client)  # without DISCONNECT: only ``close`` says goodbye, anything else is a loss and sends the will


def _client(target: Target) -> _Client:
    client = _Client(target.host, target.port, **options(target))
    client.pending_calls_threshold = sys.maxsize
    client._client.manual_ack_set(True)
    client._client.connect_timeout = target.timeout
    return client


def _drop(client: aiomqtt.Client) -> None:
    """Close the socket however far the connection came, and look at what nobody awaits any more."""
    with contextlib.suppress(Exception):
        client._client._sock_close()
    for future in (client._connected, client._disconnected):
        if future.done() and not future.cancelled():
            future.exception()
