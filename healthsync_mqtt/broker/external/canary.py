"""The canary: a device that tries everything to reach what is not its own, and those whom it must not reach.

Access rules of an external broker are configuration that others can change. So it is tried, at the start and every few
minutes, by what arrives and not by what the broker answers: on every channel of ``topics.yaml`` the intruder publishes,
retains, leaves a will and subscribes wherever the rules say that it may not. Controls show that each channel is open to
those who may use it, so that a broken canary does not pass for a safe broker. For the same reason a broker that does
not answer in time, or does not let the intruder in, has refused nothing, and what must not arrive is waited for as long
as what may arrive has taken.

The intruder tries it in every version of MQTT that the broker speaks, whichever the bridge does: who wants to cross
chooses. MQTT 5 has a way of its own, a topic that is named once and then meant by an alias.

It runs on connections and topics of its own, before and beside the bridge's work, and each bridge's in a world of its
own, beside other bridges' flights. A crossing that was found is told whatever else breaks: on a broker without rules,
say, where every login throws another one out.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from healthsync_mqtt.broker.external.canary_world import CanaryWorld
from healthsync_mqtt.errors import ConfigError, UnavailableError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.farewell import TakenOverError
from healthsync_mqtt.mqtt.links.port import Address, ClientLogin, ConnectionLostError, NoAnswerError
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import Channel, TopicRegistry

_ARRIVAL_S = 5.0
"""How long a message that must arrive may take."""
_SILENCE_S = 0.3
"""How long to listen at least for a message that must not arrive, after everything else has passed the same way."""
_REFUSED = 128
_VERSIONS: Final = {5: "MQTT 5", 4: "MQTT 3.1.1"}
_SHUT_OUT = "the broker does not let the canary in again, so that nothing can be tried"
_LET_IN = "let it log in often: some brokers bar a client that comes and goes, or limit connections"
_PROVISION = (
    "give the canaries their credentials and rights: healthsync broker provision mosquitto, or the access hooks"
)


class CrossingError(ConfigError):
    """The broker lets one user reach another: the bridge does not run on it."""

    reason = "access_crossed"

    def __init__(self, crossings: Iterable[str]) -> None:
        self.crossings = list(dict.fromkeys(crossings))
        super().__init__(
            f"the broker's access rules can be crossed: {'; '.join(self.crossings)}",
            hint="renew its access rules: healthsync broker provision mosquitto, or render them anew; and look for "
            "others that allow more",
        )


@dataclass(slots=True)
class _Crossings:
    """What was found, and in which versions of MQTT."""

    found: dict[str, set[int]] = field(default_factory=dict)

    def add(self, what: str, version: int) -> None:
        self.found.setdefault(what, set()).add(version)

    def told(self, spoken: Collection[int]) -> list[str]:
        """In words; the version is named where it is not all that the broker speaks."""
        return [
            what if versions >= set(spoken) else f"{what} in {' and '.join(_VERSIONS[each] for each in versions)}"
            for what, versions in self.found.items()
        ]


@dataclass(frozen=True, slots=True)
class Way:
    """One topic: who of the canaries publishes there rightfully, and who reads there; None: none of them."""

    topic: str
    will: bool
    publisher: Principal | None
    reader: Principal | None


class Canary:
    """One broker's canary; ``fly`` may be called again and again. ``password`` gives the password of a client id.

    One flight at a time in a ``world``: it holds the connections of everybody there.
    """

    def __init__(
        self, address: Address, password: Callable[[str], str], topics: TopicRegistry, world: CanaryWorld
    ) -> None:
        self._address = address
        self._world = world
        self._accounts = {
            each: ClientLogin(client_id=each.client_id, username=each.client_id, password=password(each.client_id))
            for each in (world.intruder, *world.audience)
        }
        self._rules = AccessRules(topics)
        ways = [self._way(topics, channel) for channel in topics]
        own = [_topic(topics, channel, world.intruder) for channel in topics]
        self._own = next(name for name in own if self._rules.may_publish(world.intruder, name).allowed)
        self._controls = [way for way in ways if way.publisher and way.reader]
        self._ways = ways
        self._foreign_topics = [
            way
            for way in (*ways, *(Way(name, False, None, None) for name in own))
            if not self._rules.may_publish(world.intruder, way.topic).allowed
        ]
        victim = world.victim
        status = _topic(topics, topics["status"], victim)
        root = status.partition(f"/{victim.user}/")[0]
        wide = (
            f"{root}/{victim.user}/#",
            f"{root}/+/devices/+/status",
            f"{root}/+/devices/+/events",
            f"{root}/#",
            f"+/{victim.user}/#",
            f"+/{victim.client_id}/#",
            "#",
            "$share/canary/#",
            f"$share/canary/{status}",
        )
        self._foreign_filters = [
            name
            for name in (*(way.topic for way in ways), *wide)
            if not self._rules.may_subscribe(world.intruder, name).allowed
        ]

    async def fly(self) -> None:
        """Return when nothing could be crossed. Raises CrossingError, or UnavailableError when it cannot be told."""
        crossings = _Crossings()
        spoken = await self._spoken()
        try:
            for version in spoken:
                await self._impersonate(version, crossings)
            async with self._audience(spoken[0]) as audience:
                await self._control(audience)
                for version in spoken:
                    await self._read(audience, version, crossings)
                    await self._write(audience, version, crossings)
                await self._control(audience)
        except UnavailableError:
            if not crossings.found:
                raise
        if crossings.found:
            raise CrossingError(crossings.told(spoken))

    async def _spoken(self) -> Sequence[int]:
        """The versions of MQTT in which the intruder's own login is taken, the newest first."""
        spoken, code = [], 0
        for version in _VERSIONS:
            async with talk(self._address) as a:
                with _Refusals():
                    code = (await a.login(self._accounts[self._world.intruder], version=version)).code or code
                    spoken += [] if a.code else [version]
        if not spoken:
            raise UnavailableError(
                f"the broker refuses the login of {self._world.intruder.client_id} (code {code})", hint=_PROVISION
            )
        return spoken

    def _way(self, topics: TopicRegistry, channel: Channel) -> Way:
        audience = self._world.audience
        topic = _topic(topics, channel, self._world.victim)
        publisher = next((each for each in audience if self._rules.may_publish(each, topic).allowed), None)
        reader = next((each for each in audience if self._rules.may_subscribe(each, topic).allowed), None)
        return Way(topic, channel.will, publisher, reader)

    # -- the ways across

    async def _impersonate(self, version: int, crossings: _Crossings) -> None:
        """Whether the intruder's password, or none that was ever given, opens somebody else's session."""
        own = self._accounts[self._world.intruder]
        made_up = ClientLogin(client_id=f"canary-{secrets.token_hex(4)}", username="canary", password=_text())
        tries = [made_up]
        for account in (self._accounts[each] for each in self._world.audience):
            tries += (
                ClientLogin(client_id=account.client_id, username=own.username, password=own.password),
                ClientLogin(client_id=account.client_id, username=account.username, password=own.password),
            )
        for account in tries:
            async with talk(self._address) as thief:
                with _Refusals():
                    if not (await thief.login(account, version=version)).code:
                        who = "nobody knows" if account is made_up else f"is not its own ({account.client_id})"
                        crossings.add(f"a client can log in under a name that {who}", version)

    async def _read(self, audience: "_Audience", version: int, crossings: _Crossings) -> None:
        if await self._refuses_all(version):
            return
        for name in self._foreign_filters:
            async with self._intruder(version) as a:
                with _Refusals():
                    if (await a.subscribe(name))[0] >= _REFUSED:
                        continue
                    patience = _Patience()
                    markers = await self._everything(audience)
                    await a.hear(until=markers, seconds=patience.seconds)
                    if a.heard(*markers):
                        crossings.add(f"a client can read {name}", version)

    async def _refuses_all(self, version: int) -> bool:
        async with self._intruder(version) as a:
            with _Refusals():
                return all(code >= _REFUSED for code in await a.subscribe(*self._foreign_filters))
        return False

    async def _everything(self, audience: "_Audience") -> list[bytes]:
        """Something on each topic that a canary may publish to, by the one that may."""
        sent = [(way.publisher, way.topic, _marker()) for way in self._ways if way.publisher is not None]
        await asyncio.gather(*(audience.of(publisher).publish(topic, marker) for publisher, topic, marker in sent))
        return [marker for _, _, marker in sent]

    async def _write(self, audience: "_Audience", version: int, crossings: _Crossings) -> None:
        tried: list[tuple[bytes, str]] = []
        for way in self._foreign_topics:
            what = f"a client can publish to {way.topic}"
            tried.append((_marker(), what))
            async with self._intruder(version) as a:
                with _Refusals():
                    await _say(a, way.topic, tried[-1][0])
            if way.reader is None and await self._hears_itself(way.topic, version):
                crossings.add(what, version)
            if way.will:
                tried.append((_marker(), f"a client can leave a will on {way.topic}"))
                await self._die(Will(way.topic, tried[-1][0], 1, retain=True), version)
            if version == 5 and way.reader is not None:
                tried.append((_marker(), f"a client can publish by an alias to {way.topic}"))
                await self._mean(way.topic, tried[-1][0])
        patience = _Patience()
        await self._control(audience)
        await asyncio.sleep(patience.seconds)
        for marker, what in tried:
            if audience.heard(marker):
                crossings.add(what, version)

    async def _hears_itself(self, topic: str, version: int) -> bool:
        """For a topic that none of the canaries may read: where rules are gone, the intruder reads it."""
        marker = _marker()
        async with self._intruder(version) as a:
            with _Refusals():
                await a.subscribe(topic)
                patience = _Patience()
                await _say(a, topic, marker)
                await a.hear(until=marker, seconds=patience.seconds)
                return a.heard(marker)
        return False

    async def _die(self, will: Will, version: int) -> None:
        """Leave a will, and be cut, which sends it. That the login is refused because of it is a no."""
        async with talk(self._address) as a:
            with _Refusals():
                await a.login(self._accounts[self._world.intruder], will=will, version=version)

    async def _mean(self, topic: str, marker: bytes) -> None:
        """Name a topic of its own by an alias, then the foreign one by the same, and publish to the alias alone."""
        async with self._intruder(5) as a:
            with _Refusals():
                if a.link.agreed.topic_aliases:
                    await a.publish_to_alias(self._own, topic, marker)

    # -- those who must not notice

    @contextlib.asynccontextmanager
    async def _intruder(self, version: int) -> AsyncIterator[Talk]:
        """The intruder under its own name. UnavailableError when it is not let in: then nothing was tried."""
        async with talk(self._address) as connection:
            try:
                await connection.login(self._accounts[self._world.intruder], version=version)
            except NoAnswerError:
                raise
            except ConnectionLostError as error:
                raise UnavailableError(f"{_SHUT_OUT} ({error})", hint=_LET_IN) from None
            if connection.code:
                raise UnavailableError(f"{_SHUT_OUT} (code {connection.code})", hint=_LET_IN)
            yield connection

    @contextlib.asynccontextmanager
    async def _audience(self, version: int) -> AsyncIterator["_Audience"]:
        async with contextlib.AsyncExitStack() as stack:
            talks: dict[Principal, Talk] = {}
            for each in self._world.audience:
                connection = talks[each] = await stack.enter_async_context(talk(self._address))
                await connection.login(self._accounts[each], version=version)
                if connection.code:
                    raise UnavailableError(
                        f"the broker refuses the login of {each.client_id} (code {connection.code})", hint=_PROVISION
                    )
                names = [way.topic for way in self._ways if self._rules.may_subscribe(each, way.topic).allowed]
                codes = await connection.subscribe(*names) if names else []
                refused = [name for name, code in zip(names, codes, strict=True) if code >= _REFUSED]
                if refused:
                    raise UnavailableError(f"the broker refuses {each.client_id} {refused[0]}", hint=_PROVISION)
            yield _Audience(talks)

    async def _control(self, audience: "_Audience") -> None:
        """Whoever may publish reaches whoever may read, on each channel."""
        sent = []
        for way in self._controls:
            assert way.publisher is not None
            assert way.reader is not None
            sent.append((way, audience.of(way.reader), _marker()))
            await audience.of(way.publisher).publish(way.topic, sent[-1][2])
        for way, reader, marker in sent:
            await reader.hear(until=marker, seconds=_ARRIVAL_S)
            if not reader.heard(marker):
                raise UnavailableError(f"what may be published to {way.topic} does not arrive", hint=_PROVISION)


class _Patience:
    """How long to wait for what must not come: as long as all that is rightful has taken since, at least a moment."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    @property
    def seconds(self) -> float:
        return max(_SILENCE_S, self._loop.time() - self._since)


class _Refusals:
    """A broker may end the connection: that is its no. NoAnswerError goes on: a broker that is silent said nothing.

    So does the end by a newer connection of the same name (MQTT 5 says so): somebody else ended it, and no rule.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        return isinstance(error, ConnectionLostError) and not isinstance(error, NoAnswerError | TakenOverError)


async def _say(intruder: Talk, topic: str, payload: bytes) -> None:
    """Publish. Some brokers never acknowledge what they throw away: whether it arrived is asked elsewhere."""
    with contextlib.suppress(NoAnswerError):
        await intruder.publish(topic, payload)


@dataclass(frozen=True, slots=True)
class _Audience:
    """The connections of everybody but the intruder."""

    talks: dict[Principal, Talk]

    def of(self, principal: Principal) -> Talk:
        return self.talks[principal]

    def heard(self, marker: bytes) -> bool:
        return any(each.heard(marker) for each in self.talks.values())


def _topic(topics: TopicRegistry, channel: Channel, canary: Principal) -> str:
    """A channel's topic in one canary's world."""
    user = str(canary.user)
    ids = {"user": user, "bridge": user, "client": canary.client_id, "type": "heart_rate"}
    return topics.build(channel.key, **{name: ids.get(name, "probe") for name in channel.template.variables})


def _text() -> str:
    return secrets.token_hex(8)


def _marker() -> bytes:
    return b'{"canary":"%b"}' % _text().encode()
