"""Commands from an operator to a device that is mostly away: what sessions owe over kills, power cuts, full disks."""

import asyncio
import json
from random import Random

from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.client.transport import ConnectionLostError
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.testing.simulator.history import History
from healthsync_mqtt.testing.simulator.network import Network
from healthsync_mqtt.testing.simulator.node import REGISTRY
from healthsync_mqtt.testing.simulator.people import Badge
from healthsync_mqtt.testing.simulator.transport import SimulatedListener, SimulatedTransport, Speech

_BACKOFF = Backoff(first=0.5, longest=4.0)


class Band:
    """A device with a persistent session that comes for its commands and goes again; in peace it stays."""

    def __init__(
        self, badge: Badge, *, network: Network, door: SimulatedListener, chance: Random, history: History,
        speech: Speech,
    ) -> None:  # fmt: skip
        self.badge = badge
        self.name = badge.principal.client_id
        self.topic = REGISTRY.build("commands", user=str(badge.principal.user), device=str(badge.principal.device))
        self.subscribed = asyncio.Event()
        self._chance = chance
        self._history = history
        self._transport = SimulatedTransport(
            network, door, self.name, heard=self._obey, speech=speech, broken=history.violations.append
        )

    async def run(self, peace: asyncio.Event) -> None:
        """Come and go for ever."""
        while True:
            try:
                async with self._transport.connect(self.badge.token()) as link:
                    await link.subscribe(self.topic)
                    self.subscribed.set()
                    await asyncio.sleep(self._chance.expovariate(0.5))
                    if peace.is_set():
                        async for _ in link.messages():
                            pass  # until the connection ends
            except (ConnectionLostError, DeniedError):
                pass
            await asyncio.sleep(_BACKOFF.delay(1, self._chance))

    def _obey(self, topic: str, payload: bytes) -> None:
        if topic == self.topic:
            self._history.obeyed.setdefault(self.name, []).append(json.loads(payload)["number"])


class Operator:
    """Sends a band numbered commands, one after the other; one without a PUBACK is sent again."""

    def __init__(
        self, badge: Badge, band: Band, *, network: Network, door: SimulatedListener, chance: Random, history: History,
        speech: Speech,
    ) -> None:  # fmt: skip
        self.badge = badge
        self._band = band
        self._chance = chance
        self._acknowledged = history.commanded.setdefault(band.name, [])
        self._transport = SimulatedTransport(network, door, badge.principal.client_id, clean=True, speech=speech)

    async def run(self, until: float) -> None:
        """Send until then, and until the last command is acknowledged."""
        loop, acknowledged, sent = asyncio.get_running_loop(), self._acknowledged, 0
        while loop.time() < until or sent > len(acknowledged):
            try:
                async with self._transport.connect(self.badge.token()) as link:
                    while loop.time() < until or sent > len(acknowledged):
                        await asyncio.sleep(self._chance.expovariate(1.0))
                        sent = len(acknowledged) + 1
                        await link.publish(self._band.topic, json.dumps({"number": sent}).encode())
                        acknowledged.append(sent)
            except (ConnectionLostError, DeniedError):
                await asyncio.sleep(_BACKOFF.delay(1, self._chance))
