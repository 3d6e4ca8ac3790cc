"""Devices that enrol in the simulation: a code, credentials for it, and a new token at each connection after a while.

What no fault may cost: a code that an answer was lost for, a login whose holder was not shut out. What no fault may
bring: credentials for a code that was used, or for the refresh token of a device whose rights were taken.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from healthsync_mqtt.client.credentials import Credentials
from healthsync_mqtt.client.enrolment import LOGIN, MakeTransport, Renewal, exchange
from healthsync_mqtt.client.link import Token
from healthsync_mqtt.client.transport import ConnectionLostError, Transport
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.links.manners import OLD, PLAIN
from healthsync_mqtt.testing.simulator.clients import BACKOFF, SimulatedDevice
from healthsync_mqtt.testing.simulator.history import History
from healthsync_mqtt.testing.simulator.network import Network
from healthsync_mqtt.testing.simulator.node import REGISTRY
from healthsync_mqtt.testing.simulator.people import Badge, Office
from healthsync_mqtt.testing.simulator.transport import MqttLink, SimulatedListener, SimulatedTransport, Speech
from healthsync_mqtt.testing.simulator.virtual_time import WallClock

_COMES_WITHIN_S: Final = 6.0
_LEAVES: Final = 0.4
"""The part of the requests that may stay without an answer."""
_STAYS_S: Final = 0.05
"""How long a client stays that leaves early: about as long as a request takes."""
_AGAIN_S: Final = 60.0
"""So long after its first try a client that heard nothing may ask for the same answer."""


class FlakyTransport(SimulatedTransport):
    """Of somebody who walks out of the network now and then, amid a request, or between it and its answer."""

    def __init__(self, *there: Any, chance: Random, **how: Any) -> None:
        super().__init__(*there, **how)
        self._chance = chance

    @asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator[MqttLink]:
        """See ``SimulatedTransport``."""
        async with super().connect(token) as link:
            leaves = None
            if self._chance.random() < _LEAVES:
                leaves = asyncio.get_running_loop().call_later(self._chance.expovariate(1 / _STAYS_S), link.close)
            try:
                yield link
            finally:
                if leaves is not None:
                    leaves.cancel()


class EarnedBadge(Badge):
    """What a device logs in with that got its token itself."""

    def __init__(self, principal: Principal, office: Office) -> None:
        super().__init__(principal, office)
        self.newest = ""

    @property
    def jti(self) -> str:
        """The id of the newest token; of none before the first."""
        part = self.newest.split(".")[1] if self.newest else ""
        return str(json.loads(base64.urlsafe_b64decode(f"{part}==")).get("jti")) if part else "none"


class KeptRenewal(Renewal):
    """Credentials in a device's memory: its own disk is not what is tried here."""

    def __init__(self, credentials: Credentials, make: MakeTransport, *, clock: WallClock, owner: "Newcomer") -> None:
        super().__init__(credentials, make, topics=REGISTRY, clock=clock)
        self._owner = owner

    async def __call__(self) -> str:
        """A token; with a new code, where the clock of the machine made the old credentials worthless."""
        try:
            token = await super().__call__()
        except DeniedError as error:
            if not self._owner.shut_out(error):
                raise
            self.credentials, self._refused = await self._owner.enrol(), False
            token = self.credentials.token
        self._owner.badge.newest = token
        return token

    async def _save(self) -> None:
        self._unsaved = False


class Newcomer(SimulatedDevice):
    """The project's own client, with nothing but a code at first."""

    badge: EarnedBadge

    def __init__(
        self, badge: EarnedBadge, office: Office, *, network: Network, door: SimulatedListener, clock: WallClock,
        chance: Random, history: History, speech: Speech,
    ) -> None:  # fmt: skip
        super().__init__(badge, network=network, door=door, clock=clock, chance=chance, history=history, speech=speech)
        self._office = office
        self._network = network
        self._door = door
        self._speech = speech
        self._history = history
        self._renewal: KeptRenewal | None = None
        #: it has credentials
        self.enrolled = asyncio.Event()

    async def enrol(self) -> Credentials:
        """Until it has credentials; with another code where the one it had was void for a reason.

        Somebody has seen the code over the shoulder, and comes at the same time: one of the two gets something.
        """
        loop, name = asyncio.get_running_loop(), self.principal.client_id
        while True:
            code, first = self._office.code(self.user, self.device), loop.time()
            answers = await asyncio.gather(self._answer(code), self._answer(code))
            mine, others = answers
            if mine is not None and others is not None:
                self._broken(f"the code of {name} was good for two")
            if mine is not None:
                return Credentials.from_mapping(mine)
            timely = loop.time() - first < _AGAIN_S and not self._clock.ever_wrong
            if others is None and timely and not self.badge.taken.is_set():
                self._broken(f"the code of {name} was refused")
            await asyncio.sleep(BACKOFF.delay(1, self._chance))

    async def _answer(self, code: str) -> dict[str, Any] | None:
        """What is had for the code, asked for under one name until there is an answer; None when it is refused."""
        login = self._login()
        while True:
            await asyncio.sleep(self._chance.expovariate(20.0))
            try:
                return await exchange(self._lobby, REGISTRY, code, {}, login)
            except ConnectionLostError:
                await asyncio.sleep(BACKOFF.delay(1, self._chance))
            except DeniedError:
                return None

    def shut_out(self, error: DeniedError) -> bool:
        """Its refresh token is refused: whether it may ask for a new code. It should not have to."""
        if self.badge.taken.is_set():
            return False
        if not self._clock.ever_wrong:
            self._broken(f"{self.principal.client_id} lost its login: {error}")
        return True

    async def outlives(self) -> bool:
        """Whether its refresh token still brings a token."""
        if self._renewal is None:
            return False
        secret = str(self._renewal.credentials.refresh_token)
        with contextlib.suppress(ConnectionLostError, DeniedError):
            await exchange(self._lobby, REGISTRY, secret, {"refresh_token": secret}, self._login())
            return True
        return False

    async def _work(self, until: float, peace: asyncio.Event) -> None:
        await asyncio.sleep(self._chance.random() * _COMES_WITHIN_S)
        credentials = await self.enrol()
        self._renewal = KeptRenewal(credentials, self._lobby, clock=self._clock, owner=self)
        self.badge.newest = credentials.token
        self.enrolled.set()
        await super()._work(until, peace)

    def _token(self) -> Token:
        assert self._renewal is not None
        return self._renewal

    def _lobby(self, client_id: str) -> Transport:
        speech = self._speech._replace(manner=OLD if self._speech.manner == OLD else PLAIN)
        return FlakyTransport(
            self._network, self._door, client_id, chance=self._chance, username=LOGIN, clean=True, speech=speech
        )

    def _login(self) -> str:
        return f"{LOGIN}-{self._chance.getrandbits(64):016x}"

    def _broken(self, what: str) -> None:
        self._history.violations.append(f"identity: {what}")
