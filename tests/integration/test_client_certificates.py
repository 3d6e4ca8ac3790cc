"""Client certificates at the door: who is let in with one, and how fast a revoked one is out."""

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from healthsync_mqtt.identity.certificates.files import load_certificate, open_authority, pem, renew_server, write_key
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.mqtt.codec.packets import Connack, Will
from tests.support.inprocess import Bystander, House
from tests.support.looks import is_connected, keys_looked, registry_looked
from tests.support.peer import Identity, Peer, event

OPTIONAL = {"broker.mqtts_clients": "optional"}
REQUIRED = {"broker.mqtts_clients": "required"}
BOTH = {"broker.mqtts_clients": "required_with_token"}


class Holder:
    """A device with a certificate."""

    def __init__(self, house: House, directory: Path, identity: Identity) -> None:
        self.identity = identity
        self._house = house
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        made = open_authority(house.settings.paths.certs, now).client(
            key.public_key(), Role.device, identity.client_id, now, timedelta(days=1)
        )
        self.serial = house.registry.certificates.add(made, Role.device, identity.client_id, int(time.time() * 1e6))
        stem = directory / f"{identity.client_id}-{self.serial}"
        stem.with_suffix(".crt").write_bytes(pem(made))
        write_key(stem.with_suffix(".key"), key)
        self.tls = ssl.create_default_context(cafile=house.ready.ca_file)
        self.tls.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))

    async def knock(self) -> Peer:
        peer = await Peer.open(self._house.ready.mqtts, tls=self.tls)
        self._house.peers.append(peer)
        return peer

    async def try_connect(self, **changes: Any) -> int:
        peer = await self.knock()
        return (await peer.connect(self.identity, **changes)).code

    async def connect(self, **options: Any) -> Peer:
        peer = await self.knock()
        answer = await peer.connect(self.identity, username=None, password=None, **options)
        assert answer.code == 0
        return peer

    def revoke(self) -> None:
        self._house.registry.certificates.revoke(self.serial, int(time.time() * 1e6), why="test")


@pytest.mark.parametrize("changes", [OPTIONAL, REQUIRED], ids=["optional", "required"])
async def test_a_certificate_alone_opens_the_door(house: House, tmp_path: Path, bob: Bystander) -> None:
    alice = Holder(house, tmp_path, house.device("alice"))
    peer = await alice.connect()
    await peer.publish(alice.identity.events, event("a-1"))
    assert house.stored("alice") == ["a-1"]
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [REQUIRED, BOTH], ids=["required", "with_token"])
async def test_without_a_certificate_there_is_no_handshake(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    # TLS 1.3 tells a client only when it reads that it should have had a certificate.
    peer = await house.knock(tls=True)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await peer.connect(alice)
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [BOTH])
async def test_certificate_and_token_of_one_device(house: House, tmp_path: Path, bob: Bystander) -> None:
    alice, carol = house.device("alice"), house.device("carol")
    holder = Holder(house, tmp_path, alice)
    assert await holder.try_connect() == 0
    assert await holder.try_connect(username=None, password=None) == 5
    assert await holder.try_connect(client_id=carol.client_id, username=carol.client_id) == 5
    stolen = {"client_id": carol.client_id, "username": carol.client_id, "password": carol.token.encode()}
    assert await holder.try_connect(**stolen) == 5
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [OPTIONAL])
async def test_t08_a_certificate_does_not_take_over_anothers_session(
    house: House, tmp_path: Path, bob: Bystander
) -> None:
    mallory = Holder(house, tmp_path, house.device("mallory"))
    for clean in (True, False):
        asked = {"username": None, "password": None, "client_id": bob.watch.client_id, "clean": clean}
        assert await mallory.try_connect(**asked) == 5
    will = Will(bob.watch.status, b"gone", 1, True)
    peer = await mallory.knock()
    assert (await peer.connect(mallory.identity, username=None, password=None, will=will)).code == 5
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [OPTIONAL])
async def test_t07_a_revoked_certificate_is_out_at_the_next_look(house: House, tmp_path: Path, bob: Bystander) -> None:
    alice = house.device("alice")
    lost, renewed = Holder(house, tmp_path, alice), Holder(house, tmp_path, alice)
    peer = await lost.connect(clean=False)
    await peer.publish(alice.events, event("a-1"))
    lost.revoke()
    await registry_looked(house)
    assert not is_connected(house, alice.client_id)
    await peer.closed()
    assert await lost.try_connect(username=None, password=None) == 5
    assert await lost.try_connect() == 5  # a good token does not mend it
    again = await renewed.knock()
    answer = await again.connect(alice, clean=False, username=None, password=None)
    assert answer == Connack(session_present=True, code=answer.code)
    assert answer.code == 0
    assert house.stored("alice") == ["a-1"]
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [OPTIONAL])
async def test_revoking_one_certificate_leaves_the_devices_other_logins(
    house: House, tmp_path: Path, bob: Bystander
) -> None:
    alice = house.device("alice")
    lost, kept = Holder(house, tmp_path, alice), Holder(house, tmp_path, alice)
    peer = await kept.connect()
    lost.revoke()
    await asyncio.to_thread(house.edge.logins.refresh)
    house.door.void(lambda login: login.serial == lost.serial)
    await peer.publish(alice.events, event("a-1"))
    await house.still_serves(bob)


async def test_where_certificates_are_off_nobody_is_asked_for_one(house: House, tmp_path: Path, bob: Bystander) -> None:
    alice = Holder(house, tmp_path, house.device("alice"))
    assert await alice.try_connect(username=None, password=None) == 5
    assert await alice.try_connect() == 0
    await house.still_serves(bob)


async def test_a_renewed_server_certificate_needs_no_restart(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    old = await house.connect(alice, tls=True)
    paths = house.edge.tls.paths
    made = renew_server(paths.ca_cert.parent, [], datetime.now(UTC))
    await house.serving.certificates.look()
    peer = await house.knock(tls=True)
    shown = peer.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
    assert int(shown, 16) == made.serial_number == load_certificate(paths.server_cert).serial_number
    await old.publish(alice.events, event("a-1"))
    assert house.service.report().as_json()["certificates"]["server"] == made.not_valid_after_utc.timestamp()
    await house.still_serves(bob)


async def test_a_retired_key_closes_the_connections_it_let_in(house: House, bob: Bystander) -> None:
    from healthsync_mqtt.identity.keys.store import KeyStore

    alice = house.device("alice")
    peer = await house.connect(alice)
    store = KeyStore(house.settings.paths.keys)
    now_us = time.time_ns() // 1000
    old = store.keyring(now_us).signer(now_us / 1e6).kid
    store.rotate(now_us, publish_s=0)
    await house.serving.keys.look()
    await peer.publish(alice.events, event("a-1"))
    await house.still_serves(bob)
    store.retire(old, now_us, force=True)
    await keys_looked(house)
    assert not is_connected(house, alice.client_id)
    await peer.closed()
    # Its tokens are nobody's any more; what is signed with the successor is good, for bob too.
    assert (await (await house.knock()).connect(alice)).code == 5
    fresh = store.keyring(now_us)
    from healthsync_mqtt.identity.login.tokens import TokenIssuer

    for user in ("alice", "bob"):
        principal = house.registry.device(user, "watch").principal
        token = TokenIssuer(fresh).issue(principal, lifetime_s=60, now=time.time()).token
        identity = Identity(client_id=principal.client_id, token=token, user=user, device="watch")
        peer = await house.connect(identity)
        await peer.publish(identity.events, event(f"{user}-after"))
