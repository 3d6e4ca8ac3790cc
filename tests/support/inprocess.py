"""The service in the test's own process and loop, its identities, and others whose traffic must go on."""

import asyncio
import contextlib
import gc
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from bridge import ground
from bridge.embedded import DoorServing, EmbeddedEdge
from bridge.jobs.revocations import taking_away
from bridge.service import Ready, Service
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.deadlines import Deadline
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.keys.store import KeyStore
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.storage import opening
from healthsync_mqtt.storage.port import EventLog, LogReader
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity, Peer, event


class HeldLog:
    """An event log whose commits wait for the test."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.gate = threading.Event()
        self.failures: list[Exception] = []

    def commit(self) -> int:
        self.gate.wait(PATIENCE_S)
        if self.failures:
            self._log.rollback()
            raise self.failures.pop(0)
        return self._log.commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class LoopReader:
    """The event loop's reader. SQLite refuses two threads only when they meet; this tells of a second one always."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._owner = threading.get_ident()
        self.elsewhere: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self._look(name)
        found = getattr(self._reader, name)
        return self._watched(name, found) if callable(found) else found

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self._look(name)
            return method(*arguments, **named)

        return watched

    def _look(self, name: str) -> None:
        if threading.get_ident() != self._owner:
            self.elsewhere.add(f"{name} in {threading.current_thread().name}")


class House:
    """A running service, its identities and its peers."""

    def __init__(self, service: Service, ready: Ready, registry: Registry, issuer: TokenIssuer) -> None:
        self.service = service
        self.ready = ready
        self.registry = registry
        assert isinstance(service.edge, EmbeddedEdge)
        assert isinstance(service.serving, DoorServing)
        self.edge = service.edge
        self.serving = service.serving
        self.door = service.serving.door
        self.settings = service.ground.settings
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
        data = self.settings.paths
        return AuditLog.open(data.audit_db, data.audit_key)

    def audit_bytes(self) -> str:
        """Everything in the audit log's files, as far as it is text."""
        path = self.settings.paths.audit_db
        return (path.read_bytes() + path.with_suffix(".head").read_bytes()).decode(errors="replace")

    def look(self) -> None:
        """What the service does four times a second: see what has changed in the registry."""
        self.edge.directory.catch_up()
        for _ in taking_away(self.edge.directory, self.door):
            pass

    def token(self, principal: Principal, lifetime_s: int) -> str:
        epoch = self.registry.token_epoch(principal.client_id)
        return self._issuer.issue(principal, lifetime_s=lifetime_s, now=time.time(), epoch=epoch).token

    def age_tokens(self, seconds: float) -> None:
        """So much time passes for tokens, at logins and on the connections that are open, and for nothing else."""
        before = self.door._clock
        self.door._clock = lambda: before() + seconds
        by = asyncio.get_running_loop().time() + seconds
        for connection in list(self.door._connections):
            timer = connection._deadlines._token
            if timer is not None and timer.when() <= by:
                connection._over(Deadline.TOKEN)
            elif timer is not None:
                connection._deadlines.renewed(timer.when() - by)

    async def hurry(self, strangers: int, seconds: float) -> None:
        """So many are there who have not said who they are: they have so long to do it, and not as long as is set.

        Were that set, everybody of the test had no longer: on a busy machine too short to come in.
        """

        def there() -> list[Connection]:
            return [each for each in self.door._connections if each.login is None]

        await self.until(lambda: len(there()) == strangers, "they are there")
        loop = asyncio.get_running_loop()
        for connection in there():
            timer = connection._deadlines._silence
            assert timer is not None
            assert timer.when() <= loop.time() + self.settings.limits.connect_timeout_s
            timer.cancel()
            connection._deadlines._silence = loop.call_later(seconds, connection._over, Deadline.CONNECT)

    def run_on(self, seconds: float) -> None:
        """So much time passes for sessions, messages and wills, at the next look at them; timers are as they were."""
        keep = self.edge.sessions.keep
        before = keep.running
        keep.running = lambda: before() + seconds  # type: ignore[method-assign]

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
            async with asyncio.timeout(PATIENCE_S):
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
    readers: list[LoopReader] = []

    def open_reader(data: Path) -> LoopReader:
        readers.append(LoopReader(opening.open_reader(data)))
        return readers[-1]

    async with contextlib.AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ground, "open_reader", open_reader)
            service = await stack.enter_async_context(Service.open(settings, EmbeddedEdge.open))
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
    assert readers[0].elsewhere == set(), "the event loop's reader in another thread"
    assert house.counters.in_flight == 0
    assert house.counters.failed == 0
    assert house.door.connections == 0
