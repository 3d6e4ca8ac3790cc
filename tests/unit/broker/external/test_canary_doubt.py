"""The canary on a broker whose rules are gone, and which is slow: what is not answered was not refused."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from healthsync_mqtt.broker.external import canary as module
from healthsync_mqtt.broker.external.canary import Canary, CrossingError
from healthsync_mqtt.broker.external.canary_world import COMMON, CanaryWorld, world_of
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.codec.packets import Connect, Packet, Subscribe
from healthsync_mqtt.mqtt.links.port import Address
from tests.support.small_broker import TOPICS, Client, SmallBroker

WORLDS = (COMMON, world_of("main"))
PASSWORDS = {each.client_id: f"password of {each.client_id}" for world in WORLDS for each in world.everybody}
INTRUDER = COMMON.intruder.client_id
_WITHIN_S = 30.0


class Listening(SmallBroker):
    """On a port of the loopback address."""

    port = 0


@pytest.fixture
async def broker() -> AsyncIterator[Listening]:
    small = Listening({each.client_id: each for world in WORLDS for each in world.everybody}, PASSWORDS.get)
    server = await asyncio.get_running_loop().create_server(lambda: Client(small), "127.0.0.1", 0)
    small.port = server.sockets[0].getsockname()[1]
    yield small
    server.close()
    for client in list(small.clients):
        client.abort()


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.01)


@pytest.fixture
async def time_is_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Nothing is waited for any longer: called where a step is left without an answer, and true.

    A short time instead would be over on a slow machine at a step that is answered.
    """
    loop, ahead = asyncio.get_running_loop(), 0.0
    real = loop.time

    def time_is_up() -> bool:
        nonlocal ahead
        ahead += _WITHIN_S
        return True

    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    return time_is_up


def canary(broker: Listening, world: CanaryWorld = COMMON) -> Canary:
    return Canary(Address(host="127.0.0.1", port=broker.port, timeout=_WITHIN_S), PASSWORDS.__getitem__, TOPICS, world)


async def test_a_broker_that_keeps_to_the_rules_is_passed(broker: Listening) -> None:
    await canary(broker).fly()


@pytest.mark.parametrize("step", [Connect, Subscribe])
async def test_a_step_that_is_not_answered_is_no_refusal(
    broker: Listening, step: type, time_is_up: Callable[[], bool]
) -> None:
    """A loaded broker that answers the intruder too late must not pass for one that refuses it."""
    asked = itertools.count()
    broker.deaf = lambda client, packet: (
        isinstance(packet, step)
        and INTRUDER in {client.name, getattr(packet, "client_id", "")}
        and next(asked) == 0
        and time_is_up()
    )
    with pytest.raises(UnavailableError, match="does not answer"):
        await canary(broker).fly()
    broker.deaf = lambda _client, _packet: False
    await canary(broker).fly()


async def test_what_must_not_come_is_waited_for_as_long_as_what_may_come_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.001)
    patience = module._Patience()
    await asyncio.sleep(0.02)
    assert patience.seconds >= 0.02
    monkeypatch.setattr(module, "_SILENCE_S", 900.0)
    assert module._Patience().seconds == 900.0


async def test_one_open_topic_is_named(broker: Listening) -> None:
    broker.holes = {hole := TOPICS.build("receipts", user=str(COMMON.victim.user), device="probe")}
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    assert caught.value.crossings == [f"a client can read {hole}"]


async def test_a_crossing_is_told_when_the_rest_is_not_answered(
    broker: Listening, time_is_up: Callable[[], bool]
) -> None:
    broker.holes = {TOPICS.build("device_events", user=str(COMMON.victim.user), device="probe")}
    seen = itertools.count()
    broker.deaf = lambda client, packet: (
        client.name == INTRUDER and isinstance(packet, Subscribe) and next(seen) > 3 and time_is_up()
    )
    with pytest.raises(CrossingError, match="a client can read"):
        await canary(broker).fly()


@pytest.mark.parametrize(("version", "said"), [(5, "MQTT 5"), (4, "MQTT 3.1.1")])
async def test_rules_that_hold_in_one_version_only_are_found_out(broker: Listening, version: int, said: str) -> None:
    broker.holes = {hole := TOPICS.build("receipts", user=str(COMMON.victim.user), device="probe")}
    broker.versions = {version}
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    assert caught.value.crossings == [f"a client can read {hole} in {said}"]


@pytest.mark.parametrize("speaks", [{4}, {5}])
async def test_a_broker_of_one_version_is_tried_in_that_one(broker: Listening, speaks: set[int]) -> None:
    broker.speaks = speaks
    await canary(broker).fly()
    broker.holes = {hole := TOPICS.build("receipts", user=str(COMMON.victim.user), device="probe")}
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    assert caught.value.crossings == [f"a client can read {hole}"]


async def test_a_topic_that_was_named_before_it_was_refused_is_found_out(broker: Listening) -> None:
    broker.careless = True
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    status = TOPICS.build("status", user=str(COMMON.victim.user), device="probe")
    assert f"a client can publish by an alias to {status} in MQTT 5" in caught.value.crossings
    assert all("by an alias" in crossing for crossing in caught.value.crossings)


@pytest.mark.parametrize("after", [0, 1, 2, 5], ids=lambda count: f"after {count} logins")
async def test_an_intruder_that_is_not_let_in_has_tried_nothing(broker: Listening, after: int) -> None:
    """A wrong password, or a broker that bars whoever comes too often, must not pass for one that refuses it all."""
    logins = itertools.count()
    broker.barred = lambda client: client.name == INTRUDER and next(logins) >= after
    with pytest.raises(UnavailableError, match=r"refuses the login|does not let the canary in"):
        await canary(broker).fly()


async def test_a_connection_that_somebody_else_ended_was_not_refused(broker: Listening) -> None:
    """Whoever flies in the same world ends the intruder's connection: the hole was not shut, it was not tried."""
    hole = TOPICS.build("receipts", user=str(COMMON.victim.user), device="probe")
    broker.holes = {hole}
    broker.versions, broker.speaks = {5}, {5}

    def ended(client: Client, packet: Packet) -> bool:
        meant = isinstance(packet, Subscribe) and any(name == hole for name, _ in packet.filters)
        if meant and client.name == INTRUDER:
            client.taken_over()
        return meant and client.name == INTRUDER

    broker.deaf = ended
    with pytest.raises(UnavailableError, match="same client id"):
        await canary(broker).fly()


async def test_flights_in_two_worlds_do_not_meet(broker: Listening) -> None:
    await asyncio.gather(*(canary(broker, world=world).fly() for world in WORLDS))
    assert broker.thrown_out == []
