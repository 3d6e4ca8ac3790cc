"""The service in the test's own process and loop, and clients that say exactly what the test wants on the wire."""

import asyncio
import contextlib
import gc
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from bridge.app import Ready, Service
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.identity.audit import AuditLog
from healthsync_mqtt.identity.keystore import KeyStore
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.identity.tokens import TokenIssuer
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.model.receipt import Receipt, parse_receipt
from healthsync_mqtt.mqtt.codec import Decoder, encode
from healthsync_mqtt.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.storage.port import EventLog

SOON = 10.0
"""Seconds after which what should come at once counts as never coming."""

P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What CONNECT says, and where a device publishes."""

    client_id: str
    token: str
    user: str = ""
    device: str = ""

    @property
    def events(self) -> str:
        return f"users/{self.user}/devices/{self.device}/events"

    @property
    def receipts(self) -> str:
        return f"users/{self.user}/devices/{self.device}/receipts"

    @property
    def status(self) -> str:
        return f"users/{self.user}/devices/{self.device}/status"

    @property
    def commands(self) -> str:
        return f"users/{self.user}/devices/{self.device}/commands"


def event(event_id: str, bpm: float = 60, **more: Any) -> bytes:
    """A heart rate."""
    return json.dumps(
        {"id": event_id, "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": bpm}, **more}
    ).encode()


class Peer:
    """One MQTT connection over a stream; nothing is sent or acknowledged unless the test says so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = Decoder(64 * 1024 * 1024, 64 * 1024 * 1024, server=False)
        self._packets: list[Packet] = []
        self._last_id = 0

    @classmethod
    async def open(cls, address: str, *, tls: ssl.SSLContext | None = None, **options: Any) -> Self:
        host, _, port = address.rpartition(":")
        name = "localhost" if tls else None
        return cls(*await asyncio.open_connection(host, int(port), ssl=tls, server_hostname=name, **options))

    # -- sending

    def send(self, *packets: Packet | bytes) -> None:
        self.writer.write(b"".join(p if isinstance(p, bytes) else encode(p) for p in packets))

    def new_id(self) -> int:
        self._last_id = self._last_id % 65_535 + 1
        return self._last_id

    async def connect(
        self,
        identity: Identity,
        *,
        clean: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        **changes: Any,
    ) -> Connack:
        asked = Connect(
            identity.client_id, clean, keep_alive, identity.client_id, identity.token.encode(), will
        )  # fmt: skip
        self.send(asked._replace(**changes))
        return await self.expect(Connack)

    async def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        """Publish and wait for the end of the exchange."""
        packet_id = self.new_id() if qos else 0
        self.send(Publish(topic.encode(), payload, qos, retain, False, packet_id))
        if qos == 1:
            assert await self.expect(Puback) == (packet_id,)
        elif qos == 2:
            assert await self.expect(Pubrec) == (packet_id,)
            self.send(Pubrel(packet_id))
            assert await self.expect(Pubcomp) == (packet_id,)

    async def subscribe(self, *filters: tuple[str, int]) -> tuple[int, ...]:
        packet_id = self.new_id()
        self.send(Subscribe(packet_id, filters))
        answer = await self.expect(Suback)
        assert answer.packet_id == packet_id
        return answer.codes

    async def unsubscribe(self, *filters: str) -> None:
        packet_id = self.new_id()
        self.send(Unsubscribe(packet_id, filters))
        assert (await self.expect(Unsuback)).packet_id == packet_id

    async def disconnect(self) -> None:
        self.send(Disconnect())
        await self.closed()

    # -- receiving

    async def next(self) -> Packet:
        """The next packet; ConnectionError at the end of the stream."""
        while not self._packets:
            async with asyncio.timeout(SOON):
                data = await self.reader.read(65_536)
            if not data:
                raise ConnectionResetError("the service closed the connection")
            self._packets += self._decoder.feed(data)
        return self._packets.pop(0)

    async def expect(self, kind: type[P]) -> P:
        """The next packet of this kind; those before it, of other kinds, stay where they are."""
        passed: list[Packet] = []
        try:
            while True:
                packet = await self.next()
                if type(packet) is kind:
                    return packet
                passed.append(packet)
        finally:
            self._packets = passed + self._packets

    async def message(self, *, acknowledge: bool = True) -> Publish:
        """The next message; with ``acknowledge`` its QoS exchange is finished."""
        message = await self.expect(Publish)
        if acknowledge and message.qos == 1:
            self.send(Puback(message.packet_id))
        elif acknowledge and message.qos == 2:
            self.send(Pubrec(message.packet_id))
            assert await self.expect(Pubrel) == (message.packet_id,)
            self.send(Pubcomp(message.packet_id))
        return message

    async def receipt(self) -> Receipt:
        return parse_receipt((await self.message()).payload)

    async def settle(self) -> list[Packet]:
        """A round trip: everything that the service sent before its answer to a PINGREQ, which is taken."""
        self.send(Pingreq())
        await self.expect(Pingresp)
        came, self._packets = self._packets, []
        return came

    async def closed(self) -> list[Packet]:
        """Wait until the service has closed the connection; what it sent before."""
        with contextlib.suppress(ConnectionError):
            while True:
                async with asyncio.timeout(SOON):
                    data = await self.reader.read(65_536)
                if not data:
                    break
                self._packets += self._decoder.feed(data)
        await self.leave()
        came, self._packets = self._packets, []
        return came

    async def ended(self) -> bytes:
        """Wait until the service has closed the connection; what it sent, for a peer that speaks no MQTT."""
        data = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(SOON):
                data = await self.reader.read()
        await self.leave()
        return data

    async def leave(self) -> None:
        """Cut the connection without a word."""
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class HeldLog:
    """An event log whose commits wait for the test."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.gate = threading.Event()
        self.failures: list[Exception] = []

    def commit(self) -> int:
        self.gate.wait(SOON)
        if self.failures:
            self._log.rollback()
            raise self.failures.pop(0)
        return self._log.commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class House:
    """A running service, its identities and its peers."""

    def __init__(self, service: Service, ready: Ready, registry: Registry, issuer: TokenIssuer) -> None:
        self.service = service
        self.ready = ready
        self.registry = registry
        self.door = service.door
        self.counters = service.counters
        self.tls = ssl.create_default_context(cafile=ready.ca_file)
        self.peers: list[Peer] = []
        self._issuer = issuer

    def device(self, user: str, name: str = "watch", *, lifetime_s: int = 3600) -> Identity:
        now = time.time()
        if user not in {known.id for known in self.registry.users()}:
            self.registry.add_user(user, "all", int(now * 1e6))
        device = self.registry.add_device(user, name, int(now * 1e6))
        return self._identity(device.principal, lifetime_s)

    def subscriber(self, name: str, users: list[str] | None, types: list[str] | None = None) -> Identity:
        found = self.registry.add_subscriber(name, users, types, int(time.time() * 1e6))
        return self._identity(found.principal, 3600)

    def admin(self, name: str = "root") -> Identity:
        return self._identity(self.registry.add_admin(name, int(time.time() * 1e6)).principal, 3600)

    @property
    def audit(self) -> AuditLog:
        """The service's audit log."""
        data = self.service._settings.paths
        return AuditLog.open(data.audit_db, data.audit_key)

    def audit_bytes(self) -> str:
        """Everything in the audit log's files, as far as it is text."""
        path = self.service._settings.paths.audit_db
        return (path.read_bytes() + path.with_suffix(".head").read_bytes()).decode(errors="replace")

    def look(self) -> None:
        """What the service does four times a second: see what has changed in the registry."""
        self.door.revoke(sorted(self.service._directory.refresh()))

    def token(self, principal: Principal, lifetime_s: int) -> str:
        return self._issuer.issue(principal, lifetime_s=lifetime_s, now=time.time()).token

    def _identity(self, principal: Principal, lifetime_s: int) -> Identity:
        self.look()
        return Identity(
            client_id=principal.client_id,
            token=self.token(principal, lifetime_s),
            user=principal.user or "",
            device=principal.device or "",
        )

    async def knock(self, *, tls: bool = False) -> Peer:
        """A connection that has not said anything."""
        peer = await Peer.open(self.ready.mqtts if tls else self.ready.mqtt, tls=self.tls if tls else None)
        self.peers.append(peer)
        return peer

    async def connect(self, identity: Identity, *, tls: bool = False, **options: Any) -> Peer:
        """A connection whose CONNECT was accepted."""
        peer = await self.knock(tls=tls)
        answer = await peer.connect(identity, **options)
        assert answer.code == 0
        return peer

    def stored(self, user: str | None = None) -> list[str]:
        """Ids in the log, in its order, superseded ones too."""
        return [record.id for record in self.service.reader.read(0, 100_000, user=user, history=True)]

    def rejections(self, user: str | None = None) -> list[tuple[str, str | None]]:
        """``(reason, event id)`` in the quarantine."""
        return [(row.reason, row.event_id) for row in self.service.reader.rejected(0, 10_000, user=user)]

    @contextlib.contextmanager
    def held_commits(self) -> Iterator[HeldLog]:
        """No commit ends before ``gate`` is set; it is set at the end of the ``with``."""
        journal = self.service.journal
        log = journal._log
        held = HeldLog(log)
        journal._log = held  # type: ignore[assignment]
        try:
            yield held
        finally:
            held.gate.set()

    async def until(self, condition: Any, what: str) -> None:
        """Wait for a condition inside the service that has no event of its own."""
        try:
            async with asyncio.timeout(SOON):
                while not condition():  # noqa: ASYNC110  # no event says it
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"not in time: {what}") from None

    async def still_serves(self, *bystanders: "Bystander") -> None:
        """The others' traffic goes on, and the figures balance."""
        for bystander in bystanders:
            await bystander.goes_on()
        assert self.counters.in_flight == 0
        assert self.service.pipeline.healthy


class Bystander:
    """Another user with a device and an app that reads its data: undisturbed by whatever happens elsewhere."""

    def __init__(self, house: House, watch: Identity, device: Peer, app: Peer) -> None:
        self._house = house
        self.watch = watch
        self.device = device
        self.app = app
        self._sent: list[str] = []

    @classmethod
    async def arrive(cls, house: House, user: str = "bob") -> Self:
        watch = house.device(user)
        device = await house.connect(watch, clean=False)
        assert await device.subscribe((watch.receipts, 1), (watch.commands, 1)) == (1, 1)
        app = await house.connect(house.subscriber(f"{user}-app", [user]), clean=False)
        assert await app.subscribe((f"users/{user}/canonical/+", 1)) == (1,)
        return cls(house, watch, device, app)

    async def goes_on(self) -> None:
        """One event makes its whole way on the connections that were there before, and nothing else came to them."""
        name = f"{self.watch.user}-{len(self._sent)}"
        self._sent.append(name)
        await self.device.publish(self.watch.events, event(name))
        assert list((await self.device.receipt()).stored) == [name]
        message = await self.app.message()
        assert json.loads(message.payload)["id"] == name
        assert message.topic.decode() == f"users/{self.watch.user}/canonical/heart_rate"
        assert self._house.stored(self.watch.user) == self._sent
        assert await self.device.settle() == []
        assert await self.app.settle() == []


@contextlib.asynccontextmanager
async def opened(data: Path, changes: dict[str, Any] | None = None) -> AsyncIterator[House]:
    """A service on ``data`` with ``changes`` to its settings; at the end nothing may be left over."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240
    ports = {"broker.mqtt_port": 0, "broker.mqtts_port": 0, "broker.wss_port": 0}
    settings = load_settings(data, {**ports, **(changes or {})})
    loop = asyncio.get_running_loop()
    unexpected: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: unexpected.append(context))
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(Service.open(settings))
        ready = await service.listen()
        registry = Registry.open(settings.paths.registry_db)
        stack.callback(registry.close)
        house = House(
            service, ready, registry, TokenIssuer(KeyStore(settings.paths.keys).keyring(time.time_ns() // 1000))
        )
        try:
            yield house
        finally:
            for peer in house.peers:
                await peer.leave()
            await house.until(lambda: house.counters.connections == 0, "every connection is gone")
    gc.collect()
    await asyncio.sleep(0)
    assert unexpected == [], unexpected
    assert house.counters.in_flight == 0
    assert house.counters.failed == 0
    assert house.door.connections == 0


def chunks(data: bytes, size: int) -> Iterable[bytes]:
    """``data`` in pieces."""
    return (data[start : start + size] for start in range(0, len(data), size))
