"""A small conversation, step by step under our control: for probes, canaries and ``$CONTROL``.

Unlike a client for work it can break off without a goodbye, leave messages unacknowledged, and take a refusal of
every step as an answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from healthsync_mqtt.mqtt.codec import encode_puback, v5
from healthsync_mqtt.mqtt.codec.packets import Property, Publish, Will
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.port import Address, ClientLogin, NoAnswerError, Target

_MAX_PACKET = 16_777_216


@dataclass(slots=True)
class Talk:
    """One connection. Every step raises ConnectionLostError when the broker has closed it.

    Where it does not answer in time, that is a NoAnswerError.
    """

    link: Link
    address: Address
    acknowledges: bool = True
    code: int = 0
    messages: list[Publish] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.link.on_messages = self._take

    @property
    def session_present(self) -> bool:
        """Whether the broker knew a session."""
        return not self.code and self.link.agreed.session_present

    @property
    def shared_subscriptions(self) -> bool:
        """Whether the broker has them (MQTT 5)."""
        return not self.code and self.link.agreed.shared_subscriptions

    async def login(
        self, account: ClientLogin, *, clean: bool = True, will: Will | None = None, version: int = 4
    ) -> Self:
        """CONNECT; ``code`` is the CONNACK's, 0 when accepted."""
        target = Target(
            address=self.address,
            account=account,
            version=version,
            clean=clean,
            will=will,
            keep_alive=60,
            receive_maximum=65_535,
            max_packet=_MAX_PACKET,
        )
        self.code = await self.link.login(target)
        return self

    async def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """SUBSCRIBE; the code of each filter, 128 or more when refused."""
        return await self.link.subscribe(filters, qos=qos)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """PUBLISH, and at QoS 1 the wait for its PUBACK (which a broker also sends for what it throws away)."""
        try:
            async with asyncio.timeout(self.address.timeout):
                await self.link.publish(topic, payload, qos=qos, retain=retain)
        except TimeoutError:
            raise NoAnswerError("the broker does not answer (Puback expected)") from None

    async def publish_to_alias(self, own: str, topic: str, payload: bytes) -> None:
        """In MQTT 5: name ``own`` by an alias, then ``topic`` by the same one, and publish to the alias alone."""
        alias = {Property.TOPIC_ALIAS: 1}
        for name, body in ((own, b""), (topic, b""), ("", payload)):
            self.link.write(v5.encode(Publish(name.encode(), body, 0, properties=alias)))
        await self.publish(own, b"")  # its answer comes after all of them

    async def publish_all(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Many messages at QoS 1 without a pause between them."""
        for start in range(0, len(payloads), 50):
            await asyncio.gather(*(self.publish(topic, payload) for payload in payloads[start : start + 50]))

    async def hear(self, *, until: bytes | Sequence[bytes] = (), seconds: float) -> list[Publish]:
        """What has arrived after ``seconds``, or as soon as a message contains ``until`` or one of these."""
        markers = (until,) if isinstance(until, bytes) else tuple(until)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.heard(*markers):
                    self._news.clear()
                    await self._wait()
        return self.messages

    async def _wait(self) -> None:
        news = asyncio.ensure_future(self._news.wait())
        over = asyncio.ensure_future(self.link.ended())
        try:
            await asyncio.wait((news, over), return_when=asyncio.FIRST_COMPLETED)
            if not news.done():
                await over
        finally:
            news.cancel()
            over.cancel()
            await asyncio.gather(news, over, return_exceptions=True)

    def heard(self, *markers: bytes) -> bool:
        """Whether a message with one of these in it has arrived."""
        return any(marker in message.payload for message in self.messages for marker in markers)

    async def goodbye(self) -> None:
        """DISCONNECT: no will is sent."""
        await self.link.close()

    def abort(self) -> None:
        """Cut the connection: the broker sends the will."""
        self.link.end("it was cut here")

    def _take(self, messages: list[Publish]) -> None:
        self.messages += messages
        self._news.set()
        if self.acknowledges:
            for message in messages:
                if message.qos:
                    self.link.acknowledge(encode_puback(message.packet_id))


@contextlib.asynccontextmanager
async def talk(address: Address, *, acknowledges: bool = True) -> AsyncIterator[Talk]:
    """A connection that has not logged in yet; it is cut at the end. Raises ConnectionLostError."""
    async with dial(address) as link:
        yield Talk(link, address, acknowledges)
