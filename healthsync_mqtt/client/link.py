"""The connection loop: connect, greet, work, and after every end wait and connect again."""

import asyncio
import contextlib
import enum
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from healthsync_mqtt.client.backoff import Backoff, Clock
from healthsync_mqtt.client.credentials import TokenExpiredError, ends, expired, lifetime
from healthsync_mqtt.client.enrolment import Renewal
from healthsync_mqtt.client.exchange import REFUSED, Exchange, Ledger, Window
from healthsync_mqtt.client.transport import ConnectionLostError, DeviceConnection, Transport
from healthsync_mqtt.errors import DeniedError, HealthSyncError, StoreError, UnavailableError
from healthsync_mqtt.mqtt.links.farewell import TakenOverError, TokenEndedError

_LOG = logging.getLogger("healthsync_mqtt.client")
_BEFORE_S = 50.0
"""So long before its end a token is replaced on a live connection; within a minute of it a new one can be had."""
_RETRY_S = 10.0

Token = str | Callable[[], str] | Callable[[], Awaitable[str]]


class ClientState(enum.Enum):
    """Where a client is."""

    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"  #: between attempts
    DENIED = "denied"  #: the login was refused; the next attempt is a long wait away
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTopics:
    """The topics a device uses."""

    events: str
    receipts: str
    status: str


def new_session() -> str:
    """A name for one run of a client; birth and will carry it, so that a late will is known from a new birth."""
    return secrets.token_hex(4)


def status_payload(status: str, session: str) -> bytes:
    """What is retained on the status topic: ``online``, ``offline`` (on purpose) or ``lost`` (the will)."""
    return b'{"status":"%b","session":"%b"}' % (status.encode(), session.encode())


class DeviceLink:
    """Keeps one device connected until ``stop`` is set, or until a refusal when ``fail_when_denied``.

    A refusal is the end, too, when the token is the only one that there is and its time is over, whatever clocks say.
    """

    def __init__(
        self,
        transport: Transport,
        ledger: Ledger,
        *,
        name: str,
        session: str,
        token: Token,
        topics: DeviceTopics,
        window: Window,
        backoff: Backoff,
        clock: Clock,
        rng: Random,
        fail_when_denied: bool,
    ) -> None:
        self.state = ClientState.CONNECTING
        self.last_error: HealthSyncError | None = None
        self.stop = asyncio.Event()
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the first attempt ended: with its error, or without one when it connected."""
        self._transport = transport
        self._ledger = ledger
        self._name = name
        self._session = session
        self._token = token
        self._topics = topics
        self._window = window
        self._backoff = backoff
        self._clock = clock
        self._rng = rng
        self._fail_when_denied = fail_when_denied
        #: the token that was used last
        self._used = ""
        self._began = clock.monotonic()
        self._said_over = False

    async def run(self) -> None:
        """Return when stopped or finally refused; errors of the connection end up in ``last_error``."""
        failures = 0
        try:
            while True:
                self.state = ClientState.CONNECTING
                exchange: Exchange | None = None
                try:
                    async with self._transport.connect(await self._current_token()) as connection:
                        exchange = await self._greet(connection)
                        await self._serve(exchange, connection)
                        return
                except DeniedError as error:
                    if isinstance(self._token, Renewal) and self._token.refused():
                        continue  # with a fresh token, at once
                    # It says so by our clock, which may be the one that is wrong: a reason, and not the end.
                    ended = isinstance(self._token, str) and expired(self._token, self._clock.time())
                    over = isinstance(self._token, str) and self._is_over(self._token)
                    self._note(TokenExpiredError() if ended or over else error, ClientState.DENIED)
                    if self._fail_when_denied or over:
                        return
                    delay = self._backoff.denied(self._rng)
                except TakenOverError as error:
                    self._note(error, ClientState.WAITING)  # coming back fast would only take it over again
                    delay = self._backoff.denied(self._rng)
                except ConnectionLostError as error:
                    self._said_over = self._said_over or isinstance(error, TokenEndedError)
                    self._note(error, ClientState.WAITING)
                    failures = 1 if exchange is not None and exchange.progress else failures + 1
                    delay = self._backoff.delay(failures, self._rng)
                except StoreError as error:
                    # The disk is full, say. What was not settled is sent again, and is a duplicate then.
                    self._note(error, ClientState.WAITING)
                    failures += 1
                    delay = self._backoff.delay(failures, self._rng)
                if await self._stopped_within(delay):
                    return
        finally:
            self.state = ClientState.CLOSED
            self._resolve_first(self.closed_error())

    def _is_over(self, token: str) -> bool:
        """Whether a token's time is over for sure: the service said so, or it has been here for all its lifetime."""
        whole = lifetime(token)
        return self._said_over or (whole > 0 and self._clock.monotonic() - self._began >= whole)

    def closed_error(self) -> HealthSyncError:
        """Why nothing can be handed over any more."""
        if isinstance(self.last_error, DeniedError):
            return self.last_error
        return UnavailableError("the client is closed", hint="publish inside `async with DeviceClient(…)`")

    async def _renew(self, connection: DeviceConnection) -> None:
        """Give the service each next token before the one before it ends. What fails here ends no connection."""
        given = self._used
        while connection.renews and not isinstance(self._token, str) and (end := ends(given)) is not None:
            left = end - self._clock.time()
            if left <= 0:
                left = lifetime(given) / 2  # the service has just taken it: our clock is ahead
            await self._clock.sleep(max(_RETRY_S, left - _BEFORE_S))
            try:
                token = await self._current_token()
                if token != given:
                    await connection.renew(token)
                    given = token
            except HealthSyncError as error:
                # The token may be good for another connection, or another one can be had then.
                _LOG.warning("client.not_renewed %s", error)

    async def _current_token(self) -> str:
        self._used = await self._next_token()
        return self._used

    async def _next_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        token = self._token()
        return token if isinstance(token, str) else await token

    async def _greet(self, connection: DeviceConnection) -> Exchange:
        topics = self._topics
        exchange = Exchange(
            connection,
            self._ledger,
            session=self._session,
            events_topic=topics.events,
            receipts_topic=topics.receipts,
            window=self._window,
        )
        if not connection.tells:
            await connection.subscribe(topics.receipts)
        said = await connection.publish(topics.status, status_payload("online", self._session), retain=True)
        if said is not None and said.code >= REFUSED:
            _LOG.warning("client.status_refused code=%#04x %s", said.code, said.why)
        if self.last_error is not None:
            _LOG.info("client.connected client_id=%s", self._name)
        self.state, self.last_error = ClientState.ONLINE, None
        self._said_over = False  # it was the time of that connection, then, and the token is good for another
        self._resolve_first(None)
        return exchange

    async def _serve(self, exchange: Exchange, connection: DeviceConnection) -> None:
        """Return when asked to stop; otherwise the connection's end is raised."""
        work = asyncio.create_task(exchange.run(), name="healthsync exchange")
        stop = asyncio.create_task(self.stop.wait(), name="healthsync stop")
        renewal = asyncio.create_task(self._renew(connection), name="healthsync renewal")
        try:
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            for task in (work, stop, renewal):
                task.cancel()
            await asyncio.gather(work, stop, renewal, return_exceptions=True)
        with contextlib.suppress(ConnectionLostError, TimeoutError):
            async with asyncio.timeout(5):
                await connection.publish(self._topics.status, status_payload("offline", self._session), retain=True)

    async def _stopped_within(self, delay: float) -> bool:
        sleep = asyncio.ensure_future(self._clock.sleep(delay))
        stop = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait((sleep, stop), return_when=asyncio.FIRST_COMPLETED)
            return self.stop.is_set()
        finally:
            for task in (sleep, stop):
                task.cancel()
            await asyncio.gather(sleep, stop, return_exceptions=True)

    def _note(self, error: HealthSyncError, state: ClientState) -> None:
        # One warning when an outage begins, and one when the login turns out to be refused; repetitions are detail.
        news = self.last_error is None or (
            isinstance(error, DeniedError) and not isinstance(self.last_error, DeniedError)
        )
        _LOG.log(logging.WARNING if news else logging.DEBUG, "client.%s %s", state.value, error)
        self.state, self.last_error = state, error
        self._resolve_first(error)

    def _resolve_first(self, error: HealthSyncError | None) -> None:
        if self.first.done():
            return
        if error is None:
            self.first.set_result(None)
        else:
            self.first.set_exception(error)
            self.first.exception()  # looked at, so that a client that does not wait for it leaves no complaint
