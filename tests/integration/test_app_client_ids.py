"""Apps and their client ids in each version of MQTT: whatever an app says, or nothing, it is who its login is for."""

import time
from dataclasses import replace

import pytest

from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.mqtt.codec.packets import Property
from tests.support.inprocess import House
from tests.support.peer import Identity, event
from tests.support.peer5 import Peer5, told


@pytest.fixture
def phone(house: House) -> Identity:
    """The login of an app that sends our own JSON."""
    alice, password = house.device("alice", "phone"), new_password()
    found = house.registry.device("alice", "phone")
    house.registry.apps.add(found, ["json"], Declared(), hashed_password(password), int(time.time() * 1e6))
    house.look()
    return replace(alice, token=password)


@pytest.mark.parametrize("client_id", ["", "openScale", "ein Telefon"])
async def test_an_app_of_version_5_is_told_who_it_is_when_it_says_nothing(
    house: House, phone: Identity, client_id: str
) -> None:
    peer = await Peer5.open(house.ready.mqtt)
    house.peers.append(peer)
    answer = await peer.connect(phone, client_id=client_id)
    assert answer.code == 0
    assert answer.properties.get(Property.ASSIGNED_CLIENT_ID) == (None if client_id else phone.client_id)
    said = await peer.put("users/alice/devices/phone/formats/json", event("a"))
    assert (said.reason, told(said)["stored"]) == (0, "1")
    assert house.stored() == ["a"]


@pytest.mark.parametrize("client_id", ["", "openScale"])
async def test_an_app_of_version_3_1_1_need_not_say_either(house: House, phone: Identity, client_id: str) -> None:
    peer = await house.connect(phone, client_id=client_id)
    await peer.publish("users/alice/devices/phone/formats/json", event("a"))
    assert house.stored() == ["a"]


async def test_without_a_client_id_there_is_no_session_that_lasts_in_version_3_1_1(
    house: House, phone: Identity
) -> None:
    peer = await house.knock()
    assert (await peer.connect(phone, client_id="", clean=False)).code == 2  # [MQTT-3.1.3-8]
