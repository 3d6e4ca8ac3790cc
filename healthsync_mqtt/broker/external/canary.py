"""The canary: two identities of two users, of which one tries everything to reach the other.

Access rules of an external broker are configuration that others can change. So it is tried, at the start and every few
minutes, by what arrives and not by what the broker answers: canary A logs in as B, subscribes to B's topics, publishes
to them, retains there and leaves a will there. Controls show that each way is open to those who may use it, so that a
broken canary does not pass for a safe broker.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from healthsync_mqtt.broker.external.identities import CANARY_A, CANARY_B
from healthsync_mqtt.errors import ConfigError, UnavailableError
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.port import Account, Address, ConnectionLostError
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from healthsync_mqtt.topics.registry import TopicRegistry

_ARRIVAL_S = 5.0
"""How long a message that must arrive may take."""
_SILENCE_S = 0.3
"""How long to listen for a message that must not arrive, after everything else has passed the same way."""


class CrossingError(ConfigError):
    """The broker lets one user reach another: the bridge does not run on it."""

    reason = "access_crossed"

    def __init__(self, crossings: list[str]) -> None:
        super().__init__(
            f"the broker's access rules can be crossed: {'; '.join(crossings)}",
            hint="renew its access rules (healthsync broker provision or render) and look for others that allow more",
        )
        self.crossings = crossings


@dataclass(frozen=True, slots=True, kw_only=True)
class Perch:
    """The bridge's side: how it publishes to B, and what it saw arrive on the canaries' events topics."""

    publish: Callable[[str, bytes], bool]
    saw: Callable[[bytes], bool]


class Canary:
    """One broker's canary; ``fly`` may be called again and again."""

    def __init__(self, address: Address, passwords: tuple[str, str], topics: TopicRegistry, perch: Perch) -> None:
        self._address = address
        self._perch = perch
        self._a, self._b = (
            Account(client_id=principal.client_id, username=principal.client_id, password=password)
            for principal, password in zip((CANARY_A, CANARY_B), passwords, strict=True)
        )
        of_b = {"user": str(CANARY_B.user), "device": "probe"}
        self._events = topics.build("device_events", **of_b)
        self._receipts = topics.build("receipts", **of_b)
        self._commands = topics.build("commands", **of_b)
        self._status = topics.build("status", **of_b)
        self._own_receipts = topics.build("receipts", user=str(CANARY_A.user), device="probe")
        root = self._status.rpartition(f"/{CANARY_B.user}/")[0]
        self._foreign_filters = (
            self._receipts,
            self._status,
            self._commands,
            topics.build("canonical", user=str(CANARY_B.user), type="heart_rate"),
            f"{root}/{CANARY_B.user}/#",
            f"{root}/+/devices/+/status",
            f"{root}/#",
            f"+/{CANARY_B.user}/#",
            "#",
            f"$share/canary/{self._status}",
            "$share/canary/#",
        )
        self._foreign_topics = (
            self._events,
            topics.build("user_events", user=str(CANARY_B.user)),
            self._receipts,
            self._status,
            self._commands,
            self._own_receipts,
            topics.build("canonical", user=str(CANARY_B.user), type="heart_rate"),
        )

    async def fly(self) -> None:
        """Return when nothing could be crossed. Raises CrossingError, or UnavailableError when it cannot be told."""
        crossings: list[str] = []
        async with self._login(self._b) as b:
            if b.code:
                raise UnavailableError(f"the broker refuses the canary's login (code {b.code})", hint=_PROVISION)
            codes = await b.subscribe(self._receipts, self._commands, self._status)
            if any(code >= 128 for code in codes):
                raise UnavailableError("the broker refuses the canary its own topics", hint=_PROVISION)
            await self._controls(b)
            crossings += [f"a client can log in as {self._b.client_id}"] if await self._takes_over() else []
            crossings += [f"a client can read {name}" async for name in self._reads(b)]
            crossings += [f"a client can publish to {name}" async for name in self._writes(b)]
            crossings += [f"a client can leave a will on {self._status}"] if await self._wills(b) else []
            await self._controls(b)
        if crossings:
            raise CrossingError(crossings)

    @contextlib.asynccontextmanager
    async def _login(self, account: Account, *, will: Will | None = None) -> AsyncIterator[Talk]:
        async with talk(self._address) as connection:
            yield await connection.login(account, will=will)

    async def _controls(self, b: Talk) -> None:
        """B reaches the bridge and the bridge reaches B."""
        marker = _marker()
        await b.publish(self._events, marker)
        if not await self._bridge_saw(marker, _ARRIVAL_S):
            raise UnavailableError("what the canary publishes does not reach the bridge", hint=_PROVISION)
        await self._send(b, marker)

    async def _send(self, b: Talk, marker: bytes) -> None:
        self._perch.publish(self._receipts, marker)
        await b.hear(until=marker, seconds=_ARRIVAL_S)
        if not b.heard(marker):
            raise UnavailableError("what the bridge publishes does not reach the canary", hint=_PROVISION)

    async def _bridge_saw(self, marker: bytes, seconds: float) -> bool:
        until = asyncio.get_running_loop().time() + seconds
        while not self._perch.saw(marker):
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _takes_over(self) -> bool:
        """Whether A's password opens B's session. (B's next control fails if it was thrown out.)"""
        for username in (self._a.username, self._b.username):
            account = Account(client_id=self._b.client_id, username=username, password=self._a.password)
            try:
                async with self._login(account) as thief:
                    if not thief.code:
                        return True
            except ConnectionLostError:
                pass
        return False

    async def _reads(self, b: Talk) -> AsyncIterator[str]:
        if await self._all_refused():
            return
        for topic_filter in self._foreign_filters:
            marker = _marker()
            try:
                async with self._login(self._a) as a:
                    if a.code or (await a.subscribe(topic_filter))[0] >= 128:
                        continue
                    await self._send(b, marker)
                    await b.publish(self._status, marker)
                    await a.hear(until=marker, seconds=_SILENCE_S)
                    if a.heard(marker):
                        yield topic_filter
            except ConnectionLostError:
                continue

    async def _all_refused(self) -> bool:
        try:
            async with self._login(self._a) as a:
                return not a.code and all(code >= 128 for code in await a.subscribe(*self._foreign_filters))
        except ConnectionLostError:
            return False

    async def _writes(self, b: Talk) -> AsyncIterator[str]:
        markers = {topic: _marker() for topic in self._foreign_topics}
        heard_itself = False
        for topic, marker in markers.items():
            try:
                async with self._login(self._a) as a:
                    if topic == self._own_receipts:
                        await a.subscribe(topic)
                    await a.publish(topic, marker, retain=topic == self._status)
                    if topic == self._own_receipts:
                        await a.hear(until=marker, seconds=_SILENCE_S)
                        heard_itself = a.heard(marker)
            except ConnectionLostError:
                continue
        await self._controls(b)
        for topic, marker in markers.items():
            if self._perch.saw(marker) or b.heard(marker) or (topic == self._own_receipts and heard_itself):
                yield topic

    async def _wills(self, b: Talk) -> bool:
        marker = _marker()
        try:
            async with self._login(self._a, will=Will(self._status, marker, 1, retain=True)) as a:
                accepted = not a.code
        except ConnectionLostError:
            accepted = False
        if accepted:
            await b.hear(until=marker, seconds=_SILENCE_S)
        return b.heard(marker)


_PROVISION = "give the canaries their credentials and rights: healthsync broker provision, or the access hooks"


def _marker() -> bytes:
    return b'{"canary":"%b"}' % secrets.token_hex(8).encode()
