"""Wills that wait for their clients wait over the end of the service, whatever end that was."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from healthsync_mqtt.mqtt.codec.packets import Property, Will
from tests.support.patience import wait_until
from tests.support.peer import Identity
from tests.support.peer5 import Peer5
from tests.support.service import Service

LASTING = {Property.SESSION_EXPIRY: 1_000}


@pytest.fixture
async def peers() -> AsyncIterator[list[Peer5]]:
    opened: list[Peer5] = []
    yield opened
    for peer in opened:
        await peer.leave()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_will_that_waits_outlasts_the_service(tmp_path: Path, end: str, peers: list[Peer5]) -> None:
    with Service(tmp_path / "data") as service:
        service.cli("user", "add", "alice", "--consent", "all")

        def device(name: str) -> Identity:
            (made,) = service.cli("device", "add", "alice", name)
            return Identity(client_id=made["client_id"], token=made["token"], user="alice", device=name)

        async def connect(who: Identity, *, clean: bool = False, will: Will | None = None) -> tuple[Peer5, bool]:
            peer = await Peer5.open(service.ready["mqtt"])
            peers.append(peer)
            answer = await peer.connect(who, clean=clean, will=will, about=LASTING)
            assert answer.code == 0
            return peer, answer.session_present

        (made,) = service.cli("subscriber", "add", "app", "--users", "alice")
        app_id = Identity(client_id=made["client_id"], token=made["token"])
        app, _ = await connect(app_id)
        await app.ask(("users/alice/devices/+/status", 1))
        watch, phone = device("watch"), device("phone")
        for who in (watch, phone):
            about = {Property.WILL_DELAY: 900, Property.USER_PROPERTY: (("a", "1"),), Property.MESSAGE_EXPIRY: 500}
            peer, _ = await connect(who, will=Will(who.status, b"lost", 1, True, about))
            await peer.leave()
        wait_until(
            lambda: {each["client_id"] for each in service.cli("client", "list")} == {app_id.client_id},
            "the service has seen them go",
        )
        await app.ask(("users/alice/devices/watch/status", 1))  # durable, and so is all that was said before
        (service.kill if end == "kill" else service.stop)()
        service.start()
        app, present = await connect(app_id)
        assert present
        assert await app.settle() == [], "nothing has waited long enough"
        back, present = await connect(phone)
        assert present
        _, present = await connect(watch, clean=True)  # the end of its session is the end of waiting
        assert not present
        message = await app.message()
        assert (message.topic.decode(), message.payload) == (watch.status, b"lost")
        assert message.properties[Property.USER_PROPERTY] == (("a", "1"),)
        assert 0 < message.properties[Property.MESSAGE_EXPIRY] <= 500
        await back.put(phone.status, b"back")
        assert (await app.message()).payload == b"back", "the phone came back in time"
