"""The worker's own connection to the broker: events are published, and counted when they are durable."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec

from healthsync_mqtt.adapters.fetching import CommittedEvents
from healthsync_mqtt.client.exchange import told
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.identity.login.adapters import ADAPTERS
from healthsync_mqtt.mqtt.codec.packets import Property, Puback
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.manners import METHOD
from healthsync_mqtt.mqtt.links.port import Address, Answer, ClientLogin, ConnectionLostError, Target
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("adapters")

_AGAIN_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_RENEW_S: Final = 12 * 3_600.0
_ANSWER_S: Final = 60.0


class BrokerOutlet:
    """One connection, made anew whenever it ends (``fetching.EventOutlet``). ``run`` is a task of the worker."""

    def __init__(self, address: Address, topics: TopicRegistry, password: Callable[[], str]) -> None:
        self._address = address
        self._topics = topics
        self._password = password
        self._link: Link | None = None
        self._arrived = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        failures = 0
        while True:
            try:
                await self._once()
                failures = 0
            except HealthSyncError as error:
                if failures == 0:
                    log.warning("adapters.broker_away", error=error)
            failures += 1
            await asyncio.sleep(_AGAIN_S[min(failures, len(_AGAIN_S)) - 1])

    async def publish(self, user: str, provider: str, payload: bytes) -> CommittedEvents:
        """See ``fetching.EventOutlet``."""
        answer = await self._answered(self._topics.build("adapter_events", user=user, provider=provider), payload)
        receipt = told("", answer)
        if receipt is None:
            raise UnavailableError(
                f"the service took nothing of it (code {answer.code})",
                hint="the topics file has to let the role adapter publish: healthsync topic list",
            )
        rejected = int(answer.get("rejected") or 0)
        return CommittedEvents(int(answer.get("stored") or 0), int(answer.get("duplicate") or 0), rejected)

    async def retain(self, user: str, provider: str, state: dict[str, object]) -> None:
        """What state a link is in, retained; an empty one takes it back. UnavailableError."""
        payload = msgspec.json.encode(state) if state else b""
        await self._answered(self._topics.build("connection", user=user, provider=provider), payload, retain=True)

    async def _answered(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._arrived.wait()
                link = self._link
                if link is None:
                    raise UnavailableError("the broker cannot be reached")
                answer = await link.publish(topic, payload, retain=retain)
        except TimeoutError:
            raise UnavailableError("the service did not say in time that it is stored") from None
        except ConnectionLostError as error:
            raise UnavailableError(f"the connection to the broker ended: {error}") from None
        assert isinstance(answer, Puback)
        about = answer.properties
        return Answer(answer.reason, about.get(Property.USER_PROPERTY, ()), about.get(Property.REASON_STRING, ""))

    async def _once(self) -> None:
        account = ClientLogin(client_id=ADAPTERS.client_id, username=ADAPTERS.client_id, password=self._password())
        async with dial(self._address) as link:
            code = await link.login(
                Target(address=self._address, account=account, clean=True, in_flight=100, method=METHOD)
            )
            if code or link.agreed.method != METHOD:
                raise UnavailableError("the broker does not let the adapters in", hint="see: healthsync doctor")
            self._link = link
            self._arrived.set()
            renewing = asyncio.create_task(self._renew(link), name="adapters.renew")
            try:
                await link.ended()
            finally:
                self._link = None
                self._arrived.clear()
                renewing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await renewing

    async def _renew(self, link: Link) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            await link.renew(self._password().encode())
