"""The worker's own connection to the broker: events are published, and counted when they are durable."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from healthsync_mqtt.adapters.fetch import CommittedEvents
from healthsync_mqtt.client.exchange import told
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.adapters import ADAPTERS
from healthsync_mqtt.mqtt.links.kept_link import KeptLink
from healthsync_mqtt.mqtt.links.port import Address, Answer, ConnectionLostError
from healthsync_mqtt.topics.registry import TopicRegistry

_ANSWER_S: Final = 60.0
_IN_FLIGHT: Final = 100


class BrokerOutlet:
    """One connection, made anew whenever it ends (``fetching.EventOutlet``). ``run`` is a task of the worker."""

    def __init__(self, address: Address, topics: TopicRegistry, password: Callable[[], str]) -> None:
        self._topics = topics
        self._link = KeptLink(
            address, client_id=ADAPTERS.client_id, password=password, in_flight=_IN_FLIGHT, logger="adapters"
        )

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link.connected

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        await self._link.run()

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
                await self._link.arrived()
                return await self._link.publish(topic, payload, retain=retain)
        except TimeoutError:
            raise UnavailableError("the service did not say in time that it is stored") from None
        except ConnectionLostError as error:
            raise UnavailableError(f"the connection to the broker ended: {error}") from None
