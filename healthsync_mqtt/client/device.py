"""``DeviceClient``: what a device, a gateway or a script uses to publish events."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from healthsync_mqtt.client.backoff import Backoff, Clock, SystemClock
from healthsync_mqtt.client.credentials import Credentials
from healthsync_mqtt.client.enrolment import Renewal, lobby_transport
from healthsync_mqtt.client.exchange import Ledger, Settled, Window
from healthsync_mqtt.client.handover import Call, encode_events
from healthsync_mqtt.client.link import ClientState, DeviceLink, DeviceTopics, Token, new_session, status_payload
from healthsync_mqtt.client.outbox import MemoryOutbox, Outbox
from healthsync_mqtt.client.results import Results
from healthsync_mqtt.client.transport import Transport
from healthsync_mqtt.errors import HealthSyncError, UnavailableError, UsageError
from healthsync_mqtt.mqtt.links.client import LastWill, MqttTransport, tls_context
from healthsync_mqtt.topics.registry import TopicRegistry

MAX_BATCH = 500

Event = Mapping[str, Any]


class DeviceClient:
    """One device's link to HealthSync: an async context manager, entered once.

    Events handed over stay in the outbox until a receipt settles them, across any number of lost connections; an event
    delivered twice is a duplicate to the service, never a second reading. When ``outbox.capacity`` events wait,
    ``publish`` and ``enqueue`` wait too.

    Credentials of an enrolment are renewed by themselves, and their file is kept current.
    ``token`` may be a function (plain or async) that returns a fresh one; it is called for every connection.
    ``tls=False`` is for the plain listener on this machine. Entering raises UnavailableError or DeniedError when the
    first attempt fails; with ``wait_connected=False`` it never waits, and the client connects when it can.
    With ``fail_when_denied`` a login refused later fails the waiting calls; otherwise it is tried again slowly. A token
    that is the only one (no function, no enrolment) ends it with TokenExpiredError when its time is over; what waits
    stays in the outbox.
    """

    def __init__(
        self,
        host: str,
        port: int = 8883,
        *,
        credentials: Credentials,
        ca_file: Path | None = None,
        tls: bool = True,
        token: Token | None = None,
        outbox: Outbox | None = None,
        batch_size: int = 100,
        max_in_flight: int = 16,
        receipt_timeout: float = 30.0,
        keep_alive: int = 30,
        wait_connected: bool = True,
        fail_when_denied: bool = False,
        backoff: Backoff | None = None,
        topics: TopicRegistry | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise UsageError(f"batch_size is 1 to {MAX_BATCH}, not {batch_size}")
        self._credentials = credentials
        self._outbox = outbox if outbox is not None else MemoryOutbox()
        self._window = Window(batch_size=batch_size, max_in_flight=max_in_flight, receipt_timeout=receipt_timeout)
        self._wait_connected = wait_connected
        self._fail_when_denied = fail_when_denied
        self._backoff = backoff or Backoff()
        self._clock: Clock = clock or SystemClock()
        self._rng = rng or Random()  # noqa: S311  # spreads retries; nothing secret
        self._session = new_session()
        registry = topics or TopicRegistry.load(None)
        self._token = token if token is not None else credentials.token
        if token is None and credentials.refresh_token is not None:
            make = lobby_transport(host, port, ca_file=ca_file, tls=tls)
            self._token = Renewal(credentials, make, topics=registry, clock=self._clock)
        ids = {"user": credentials.user_id, "device": credentials.device_id}
        self._topics = DeviceTopics(
            events=registry.build("device_events", **ids),
            receipts=registry.build("receipts", **ids),
            status=registry.build("status", **ids),
        )
        self._transport: Transport = transport or MqttTransport(
            host=host,
            port=port,
            client_id=credentials.client_id,
            username=credentials.username,
            tls=tls_context(ca_file) if tls else None,
            will=LastWill(topic=self._topics.status, payload=status_payload("lost", self._session)),
            keep_alive=keep_alive,
        )
        self._waiters: dict[int, tuple[Call, int]] = {}
        #: calls at once hand over one after the other: order of arrival decides where a source counts no versions
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._closing = False
        self._running: asyncio.Task[None] | None = None

    @property
    def state(self) -> ClientState:
        """Where the client is now."""
        return self._link.state if self._running else ClientState.CLOSED

    @property
    def last_error(self) -> HealthSyncError | None:
        """Why the client is not online; None while it is."""
        return self._link.last_error if self._running else None

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise UsageError("a DeviceClient is entered once", hint="make a new DeviceClient")
        self._ledger = Ledger(self._outbox, self._clock, self._on_settled)
        self._link = DeviceLink(
            self._transport,
            self._ledger,
            name=self._credentials.client_id,
            session=self._session,
            token=self._token,
            topics=self._topics,
            window=self._window,
            backoff=self._backoff,
            clock=self._clock,
            rng=self._rng,
            fail_when_denied=self._fail_when_denied,
        )
        self._running = asyncio.create_task(self._run(), name=f"healthsync client {self._credentials.client_id}")
        if self._wait_connected:
            try:
                await asyncio.shield(self._link.first)
            except BaseException:
                await self._end()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(flush_s=10.0 if error is None else 0.0)

    async def publish(
        self, events: Event | Sequence[Event], *, batch_size: int | None = None, within_s: float | None = None
    ) -> Results:
        """Hand over one event or many and wait for their receipts; one result per event, in order.

        Raises InputError, before anything is handed over, for what cannot be an event at all (no id, over 900 kB).
        After ``within_s`` seconds TimeoutError is raised; the events stay in the outbox and are still delivered.
        Raises UnavailableError when the client is closed before the receipts came.
        """
        rows = encode_events(events)
        call = Call([event_id for event_id, _ in rows])
        step = max(1, min(batch_size or self._window.batch_size, self._window.batch_size))
        try:
            async with asyncio.timeout(within_s):
                await self._hand_over(rows, call, step)
                return await call.finished()
        finally:
            for key in call.keys:
                self._waiters.pop(key, None)

    async def enqueue(self, events: Event | Sequence[Event]) -> None:
        """Hand over without waiting for receipts; with a durable outbox the events survive a crash from here on."""
        await self._hand_over(encode_events(events), None, self._window.batch_size)

    async def drain(self) -> None:
        """Wait until every event handed over has its receipt, or the client has ended.

        What the service holds has one, and waits in the outbox to be sent again.
        """
        while self._ledger.untold and self._running and not self._running.done():
            self._empty.clear()
            await self._empty.wait()

    async def close(self, *, flush_s: float = 10.0) -> bool:
        """Wait up to ``flush_s`` for open receipts, say ``offline``, disconnect; whether all was receipted."""
        if self._running is None or self._closing:
            return self._outbox.waiting() == 0
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_s):
                await self.drain()
        drained = self._ledger.untold == 0
        await self._end()
        return drained

    async def _hand_over(self, rows: list[tuple[str, bytes]], call: Call | None, step: int) -> None:
        async with self._turn:
            for start in range(0, len(rows), step):
                await self._hand_over_some(rows[start : start + step], call, start)

    async def _hand_over_some(self, rows: list[tuple[str, bytes]], call: Call | None, start: int) -> None:
        self._check_open()
        while self._outbox.waiting() + len(rows) > max(self._outbox.capacity, len(rows)):
            self._room.clear()
            await self._room.wait()
            self._check_open()
        # Shielded: once the rows are in the outbox their keys must reach the waiters, even if the caller gives up.
        await asyncio.shield(asyncio.ensure_future(self._put(rows, call, start)))

    async def _put(self, rows: list[tuple[str, bytes]], call: Call | None, start: int) -> None:
        keys = await self._ledger.store(self._outbox.put, rows)
        if call is not None:
            self._ledger.boundaries.update((keys[0], keys[-1] + 1))
            for index, key in enumerate(keys, start):
                self._waiters[key] = (call, index)
            call.keys.extend(keys)
            if self._running is None or self._running.done():
                call.fail(self._link.closed_error())
        self._ledger.changed.set()

    def _check_open(self) -> None:
        if self._closing or self._running is None:
            raise UnavailableError("the client is closed", hint="publish inside `async with DeviceClient(…)`")
        if self._running.done():
            raise self._link.closed_error()

    def _on_settled(self, settled: Settled) -> None:
        waiters = [self._waiters.pop(entry.key, None) for entry in settled.entries]
        calls = {waiter[0] for waiter in waiters if waiter is not None}
        if len(calls) == 1 and None not in waiters:
            calls.pop().count(settled)
        for waiter, result in zip(waiters, settled.results, strict=True):
            if waiter is not None:
                waiter[0].settle(waiter[1], result)
        self._room.set()
        if not self._ledger.untold:
            self._empty.set()

    async def _run(self) -> None:
        try:
            await self._link.run()
        finally:
            error = self._link.closed_error()
            for call, _ in self._waiters.values():
                call.fail(error)
            self._waiters.clear()
            self._room.set()
            self._empty.set()

    async def _end(self) -> None:
        self._closing = True
        self._link.stop.set()
        if self._running is not None:
            done, _ = await asyncio.wait((self._running,), timeout=15)
            if not done:
                self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._ledger.store(self._outbox.close)
