"""A device that a broker without tokens knows by a password moves to the embedded broker without a change."""

from dataclasses import replace
from pathlib import Path

from healthsync_mqtt.identity.login.credentials import CredentialStore
from tests.support.inprocess import Bystander, opened
from tests.support.peer import event


async def test_a_provisioned_password_is_a_login_here_too(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as house:
        neighbour = await Bystander.arrive(house)
        device, other = house.device("alice"), house.device("alice", "phone")
        store = CredentialStore(house.settings.paths.credentials)
        made, _ = store.ensure(device.client_id)
        for password in ("", made[:-1], made + "x", store.ensure(other.client_id)[0]):
            stranger = await house.knock()
            assert (await stranger.connect(replace(device, token=password))).code == 5
        peer = await house.connect(replace(device, token=made))
        await peer.publish(device.events, event("moved"))
        assert house.stored("alice") == ["moved"]
        house.registry.remove_device("alice", "watch", 1)
        house.look()
        await peer.ended()
        again = await house.knock()
        assert (await again.connect(replace(device, token=made))).code == 5
        await house.still_serves(neighbour)
