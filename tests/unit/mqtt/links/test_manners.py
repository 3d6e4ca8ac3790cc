"""How a client greets servers of different kinds, and what their farewells come to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.codec import Decoder, encode, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Property,
    Puback,
    Publish,
    Suback,
    Subscribe,
)
from healthsync_mqtt.mqtt.links.client import MqttTransport
from healthsync_mqtt.mqtt.links.farewell import (
    DismissedError,
    MovedError,
    OverQuotaError,
    ServerClosedError,
    ShuttingDownError,
    TakenOverError,
    TokenEndedError,
    farewell,
)
from healthsync_mqtt.mqtt.links.manners import BEST, METHOD, OLD, PLAIN, Manner, Manners
from healthsync_mqtt.mqtt.links.port import Answer, ConnectionLostError
from tests.support.patience import PATIENCE_S

OURS = {Property.AUTHENTICATION_METHOD: METHOD}


class Server:
    """Answers a CONNECT as ``greet`` says: a CONNACK, or None to hang up; acknowledges everything else."""

    def __init__(self, greet: Callable[[Connect], Connack | None]) -> None:
        self.greet = greet
        self.greetings: list[Manner] = []
        self.heard: list[Packet] = []
        self.answer = Puback(1)
        self.renewal: Packet = Auth(0, OURS)
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        decoder, version = Decoder(1 << 20, versions=frozenset({4, 5})), 4
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                for packet in decoder.feed(data):
                    self.heard.append(packet)
                    reply: Packet | None = None
                    if isinstance(packet, Connect):
                        version = packet.protocol_level
                        named = Property.AUTHENTICATION_METHOD in packet.properties
                        self.greetings.append(Manner(version, method=named))
                        reply = self.greet(packet)
                        if reply is None:
                            writer.transport.abort()
                    elif isinstance(packet, Publish):
                        reply = self.answer._replace(packet_id=packet.packet_id)
                    elif isinstance(packet, Subscribe):
                        reply = Suback(packet.packet_id, tuple(1 for _ in packet.filters))
                    elif isinstance(packet, Auth):
                        reply = self.renewal
                    if reply is not None:
                        writer.write(v5.encode(reply) if version == 5 else encode(reply))
        writer.close()


@contextlib.asynccontextmanager
async def serving(greet: Callable[[Connect], Connack | None]) -> AsyncIterator[tuple[Server, MqttTransport]]:
    server = Server(greet)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server, MqttTransport(host="127.0.0.1", port=server.port, client_id="c", username="c", tls=None)
    listening.close()
    for writer in server.writers:
        writer.transport.abort()


def ours(_: Connect) -> Connack:
    return Connack(False, 0, OURS)


def foreign(asked: Connect) -> Connack:
    return Connack(False, 0x8C if Property.AUTHENTICATION_METHOD in asked.properties else 0)


def old(asked: Connect) -> Connack:
    return Connack(False, 0 if asked.protocol_level == 4 else 0x84)


def closing(asked: Connect) -> Connack | None:
    return Connack(False, 0) if asked.protocol_level == 4 else None


@pytest.mark.parametrize(
    ("greet", "first", "then", "tells"),
    [
        (ours, [BEST], BEST, True),
        (foreign, [BEST, PLAIN], PLAIN, False),
        (old, [BEST, OLD], OLD, False),
        (closing, [BEST, OLD], OLD, False),
    ],
)
async def test_the_best_manner_is_found_and_remembered(
    greet: Callable[[Connect], Connack | None], first: list[Manner], then: Manner, *, tells: bool
) -> None:
    async with serving(greet) as (server, transport):
        for expected in (first, [*first, then]):
            async with transport.connect("token") as connection:
                assert (connection.tells, connection.renews) == (tells, tells)
                answer = await connection.publish("t", b"x")
                assert answer == (Answer() if then.version == 5 else None)
            assert server.greetings == expected


async def test_a_server_that_closes_every_connection_is_asked_in_the_best_manner_again() -> None:
    async with serving(lambda _: None) as (server, transport):
        for _ in range(2):
            with pytest.raises(ConnectionLostError):
                async with transport.connect("token"):
                    pass
    assert server.greetings == [BEST, OLD] * 2


def test_that_it_closed_is_believed_for_an_hour_and_what_it_said_for_good() -> None:
    manners = Manners()
    assert manners.next(0.0) == BEST
    assert manners.closed(BEST) == OLD
    manners.worked(OLD, 0.0)
    assert manners.next(3_599.0) == OLD
    assert manners.next(3_600.0) == BEST
    assert manners.refused(BEST, 0x84) == OLD
    manners.worked(OLD, 3_600.0)
    assert manners.next(1e9) == OLD


@pytest.mark.parametrize(
    ("version_code", "denied"), [(0x87, True), (0x86, True), (0x8A, True), (0x88, False), (0x97, False)]
)
async def test_a_refused_login_is_no_reason_for_an_older_manner(version_code: int, *, denied: bool) -> None:
    async with serving(lambda _: Connack(False, version_code)) as (server, transport):
        with pytest.raises(DeniedError if denied else ConnectionLostError):
            async with transport.connect("token"):
                pass
        assert server.greetings == [BEST]


async def test_what_a_puback_says_reaches_the_caller() -> None:
    async with serving(ours) as (server, transport), transport.connect("token") as connection:
        about = {Property.USER_PROPERTY: (("stored", "3"), ("stored", "4")), Property.REASON_STRING: "why"}
        server.answer = Puback(1, 0x99, about)
        answer = await connection.publish("t", b"x")
        assert answer == Answer(0x99, (("stored", "3"), ("stored", "4")), "why")
        assert answer.get("stored") == "3"
        assert answer.get("seq") is None


async def test_another_token_on_the_same_connection() -> None:
    async with serving(ours) as (server, transport), transport.connect("token") as connection:
        await connection.renew("another")
        (renewal,) = [packet for packet in server.heard if isinstance(packet, Auth)]
        assert renewal == Auth(0x19, {**OURS, Property.AUTHENTICATION_DATA: b"another"})
        server.renewal = Disconnect(0x87, {Property.REASON_STRING: "expired"})
        with pytest.raises(DismissedError) as refused:
            await connection.renew("bad")
        assert "expired" in str(refused.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x8B, ShuttingDownError),
        (0x8E, TakenOverError),
        (0x97, OverQuotaError),
        (0x98, DismissedError),
        (0x9D, MovedError),
        (0xA0, TokenEndedError),
        (0x82, ServerClosedError),
        (0x80, ServerClosedError),
    ],
)
async def test_a_farewell_is_an_error_of_its_kind(code: int, kind: type[ServerClosedError]) -> None:
    async with serving(ours) as (server, transport), transport.connect("token") as connection:
        server.writers[0].write(v5.encode(Disconnect(code)))
        with pytest.raises(ServerClosedError) as ended:
            async for _ in connection.messages():
                pass
        assert type(ended.value) is kind
        assert ended.value.code == code
        with pytest.raises(kind):
            await connection.publish("t", b"x")


def test_a_farewells_own_words_are_shown_and_cannot_move_a_cursor() -> None:
    about = {Property.REASON_STRING: "because\x1b[2J" + "x" * 999, Property.SERVER_REFERENCE: "other.example"}
    error = farewell(Disconnect(0x9C, about))
    assert "other.example" in str(error)
    assert "because\N{REPLACEMENT CHARACTER}[2J" in str(error)
    assert len(str(error)) < 400


async def test_a_refusal_is_logged_where_nobody_was_given_it(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ours) as (server, transport), transport.connect("token") as connection:
        server.answer = Puback(1, 0x87)
        await connection.publish("t", b"x")
        assert "mqtt.publish_refused" not in caplog.text
        link = connection._link
        answered = asyncio.Event()
        server.answer = Puback(2, 0x87)
        assert link.send("t", b"x", done=lambda _: answered.set())
        async with asyncio.timeout(PATIENCE_S):
            await answered.wait()
        assert "mqtt.publish_refused" in caplog.text
