"""``device why`` says for each way that a login fails what happened, when, from which address, and what to do."""

import asyncio
import base64
import contextlib
import dataclasses
import json
import socket
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.identity.keys.store import KeyStore
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.codec.packets import Will
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity, Peer
from tests.support.service import Address, Service

FEW = {
    "HEALTHSYNC_LIMITS__UNAUTHENTICATED_PER_ADDRESS": "4",
    "HEALTHSYNC_LIMITS__CONNECTIONS_PER_ADDRESS": "6",
    "HEALTHSYNC_LIMITS__FAILED_LOGIN_BASE_S": "0.001",
    "HEALTHSYNC_LIMITS__CONNECT_TIMEOUT_S": "60",
    "HEALTHSYNC_LOG__FORMAT": "json",
}
WATCH, PHONE = ("alice", "watch"), ("bob", "phone")
MADE_UP = "mosq-x1Yz"


@dataclasses.dataclass(frozen=True)
class Rig:
    """A running service, a device of alice and one of bob."""

    service: Service
    alice: Identity
    bob: Identity

    @property
    def data(self) -> Path:
        return self.service.data

    def cli(self, *words: str) -> Any:
        return self.service.cli(*words)

    def token(self, lifetime_s: int, ago_s: int) -> str:
        """A token of alice's watch that was issued so long ago."""
        with Registry.open(self.data / "registry.db") as registry:
            principal, epoch = registry.device(*WATCH).principal, registry.token_epoch("alice-watch")
        now = time.time() - ago_s
        keys = KeyStore.of_environment(self.data / "keys").keyring(int(now * 1e6))
        return TokenIssuer(keys).issue(principal, lifetime_s=lifetime_s, now=now, epoch=epoch).token


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Service(tmp_path_factory.mktemp("why") / "data", env=FEW) as service:
        made = []
        for user, device in (WATCH, PHONE):
            service.cli("user", "add", user, "--consent", "all")
            (login,) = service.cli("device", "add", user, device)
            made.append(Identity(client_id=login["client_id"], token=login["token"], user=user, device=device))
        yield Rig(service, *made)


@contextlib.asynccontextmanager
async def knock(address: Address, source: str, **options: Any) -> AsyncIterator[Peer]:
    """A connection from one of this machine's loopback addresses, so that each cause has an address of its own."""
    peer = Peer(*await asyncio.open_connection(*address, local_addr=(source, 0), **options))
    try:
        yield peer
    finally:
        peer.writer.close()
        with contextlib.suppress(OSError):
            await peer.writer.wait_closed()


async def refused(rig: Rig, source: str, **changes: Any) -> None:
    async with knock(rig.service.mqtt, source) as peer:
        assert (await peer.connect(dataclasses.replace(rig.alice, **changes))).code == 5
        assert await peer.closed() == []


async def expired(rig: Rig, source: str) -> None:
    await refused(rig, source, token=rig.token(60, ago_s=600))


async def revoked(rig: Rig, source: str) -> None:
    (fresh,) = rig.cli("device", "token", *WATCH)
    rig.cli("token", "revoke", _jti(fresh["token"]))
    await _until_refused(rig, source, dataclasses.replace(rig.alice, token=fresh["token"]))


async def wrong_user(rig: Rig, source: str) -> None:
    await refused(rig, source, token=rig.bob.token)


async def wrong_client_id(rig: Rig, source: str) -> None:
    async with knock(rig.service.mqtt, source) as peer:
        assert (await peer.connect(rig.alice, username="alice-phone")).code == 5


async def no_client_id_given(rig: Rig, source: str) -> None:
    """As ``mosquitto_pub`` does without ``-i``: the client id is made up, and the user name says whose it is."""
    async with knock(rig.service.mqtt, source) as peer:
        assert (await peer.connect(rig.alice, client_id=MADE_UP, username="alice-watch")).code == 5


async def a_word_for_a_password(rig: Rig, source: str) -> None:
    await refused(rig, source, token="wrong")


async def suspended(rig: Rig, source: str) -> None:
    rig.cli("user", "suspend", "alice")
    try:
        await _until_refused(rig, source, rig.alice)
    finally:
        rig.cli("user", "resume", "alice")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with knock(rig.service.mqtt, source) as peer:
                if (await peer.connect(rig.alice)).code == 0:
                    return


async def will_elsewhere(rig: Rig, source: str) -> None:
    async with knock(rig.service.mqtt, source) as peer:
        will = Will("users/bob/devices/phone/status", b"gone", 1, retain=True)
        assert (await peer.connect(rig.alice, will=will)).code == 5


async def _until_refused(rig: Rig, source: str, who: Identity) -> None:
    """The service sees within a second what changed in the registry."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with knock(rig.service.mqtt, source) as peer:
                if (await peer.connect(who)).code == 5:
                    return
                await peer.disconnect()  # or the next attempts take it over, which a token on two machines does


async def plain_on_tls(rig: Rig, source: str) -> None:
    async with knock(rig.service.mqtts, source) as peer:
        peer.writer.write(b"\x10\x20\x00\x04MQTT\x04\x02\x00\x3c" + bytes(40))
        await peer.ended()


async def tls_on_plain(rig: Rig, source: str) -> None:
    await _handshake(rig.service.mqtt, source, ssl.create_default_context())


async def websocket_on_mqtt(rig: Rig, source: str) -> None:
    async with knock(rig.service.mqtt, source) as peer:
        peer.writer.write(b"GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        await peer.ended()


async def mqtt_on_websocket(rig: Rig, source: str) -> None:
    trusting = ssl.create_default_context(cafile=rig.service.ca_file)
    async with knock(rig.service.wss, source, ssl=trusting, server_hostname="localhost") as peer:
        peer.writer.write(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        await peer.ended()


async def wrong_ca(rig: Rig, source: str) -> None:
    await _handshake(rig.service.mqtts, source, ssl.create_default_context())


async def wrong_name(rig: Rig, source: str) -> None:
    trusting = ssl.create_default_context(cafile=rig.service.ca_file)
    await _handshake(rig.service.mqtts, source, trusting, name="other.example")


async def old_tls(rig: Rig, source: str) -> None:
    context = ssl.create_default_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    await _handshake(rig.service.mqtts, source, context)


async def hung_up(rig: Rig, source: str) -> None:
    async with knock(rig.service.mqtts, source) as peer:
        peer.writer.write_eof()
        await peer.ended()


async def _handshake(address: Address, source: str, context: ssl.SSLContext, name: str = "localhost") -> None:
    """With a plain socket: asyncio's own client says nothing of why it does not trust us."""

    def shake() -> None:
        with (
            socket.create_connection(address, source_address=(source, 0)) as plain,
            pytest.raises((ssl.SSLError, OSError)),
            context.wrap_socket(plain, server_hostname=name),
        ):
            pass

    await asyncio.to_thread(shake)


async def foreign_page(rig: Rig, source: str) -> None:
    trusting = ssl.create_default_context(cafile=rig.service.ca_file)
    async with knock(rig.service.wss, source, ssl=trusting, server_hostname="localhost") as peer:
        peer.writer.write(
            b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://evil.example\r\n\r\n"
        )
        assert b"403" in await peer.ended()


async def silent_crowd(rig: Rig, source: str) -> None:
    async with contextlib.AsyncExitStack() as crowd:
        peers = [await crowd.enter_async_context(knock(rig.service.mqtt, source)) for _ in range(5)]
        assert await peers[0].ended() == b""  # it makes room for the fifth


async def busy_address(rig: Rig, source: str) -> None:
    async with contextlib.AsyncExitStack() as crowd:
        for number in range(6):
            name = f"d{number}"
            (login,) = rig.cli("device", "add", "bob", name)
            peer = await crowd.enter_async_context(knock(rig.service.mqtt, source))
            who = Identity(client_id=login["client_id"], token=login["token"], user="bob", device=name)
            assert (await peer.connect(who)).code == 0
        async with knock(rig.service.mqtt, source) as seventh:
            assert await seventh.ended() == b""


Cause = Callable[[Rig, str], Awaitable[None]]

LOGINS: dict[Cause, tuple[str, str]] = {
    expired: ("the token has expired", "healthsync device token"),
    revoked: ("the token is revoked", "healthsync device token"),
    wrong_user: ("the client id is not the token's", "client id has to be the one"),
    no_client_id_given: ("the client id is not the token's", "client id has to be the one"),
    a_word_for_a_password: ("the credential does not fit", "healthsync device token alice watch"),
    wrong_client_id: ("the username is not the token's", "username has to be its client id"),
    suspended: ("removed or suspended", "user resume"),
    will_elsewhere: ("a topic that it may not publish on", "status topic only"),
}
"""What names the client id: the words of the reason, and of what to do."""
NAMELESS: dict[Cause, tuple[str, str, str]] = {
    plain_on_tls: ("tls_plain_mqtt", "MQTT without TLS came to a TLS port", "switch TLS on"),
    tls_on_plain: ("tls_on_plain_port", "TLS came to the plain port", "TLS port"),
    websocket_on_mqtt: ("http_on_mqtt_port", "came to an MQTT port", "WebSocket port"),
    mqtt_on_websocket: ("mqtt_on_websocket_port", "MQTT came to the WebSocket port", "MQTT port"),
    wrong_ca: ("tls_wrong_ca", "does not trust the CA", "CA file"),
    wrong_name: ("tls_certificate_refused", "did not take our certificate", "name or address"),
    old_tls: ("tls_old_tls", "older TLS", "tls_minimum"),
    hung_up: ("tls_hung_up", "went away during the TLS handshake", "CA file"),
    foreign_page: ("origin", "web page of another site", "allowed_origins"),
    silent_crowd: ("unauthenticated_per_address", "had not logged in", "unauthenticated_per_address"),
    busy_address: ("connections_per_address", "too many connections", "connections_per_address"),
}
"""What ends before it names anybody: the word, what it means, and what to do."""


@pytest.mark.parametrize("cause", LOGINS, ids=lambda cause: cause.__name__)
async def test_a_refused_login_is_explained(rig: Rig, cause: Cause) -> None:
    words, fix = LOGINS[cause]
    source = f"127.0.1.{list(LOGINS).index(cause) + 1}"
    await cause(rig, source)
    (told,) = rig.cli("device", "why", *WATCH)
    (refusal,) = [each for each in told["refused"] if each["address"] == source]
    assert refusal["claimed_client_id"] == "alice-watch"
    assert words in refusal["meaning"]
    assert fix in refusal["what_to_do"]
    assert refusal["last_at"].endswith("Z")
    (line,) = [
        each for each in logged(rig) if each.get("peer") == source and each["event"] == "door.connection_refused"
    ][:1]
    assert line["claimed_client_id"] == (MADE_UP if cause is no_client_id_given else "alice-watch")


@pytest.mark.parametrize("cause", NAMELESS, ids=lambda cause: cause.__name__)
async def test_a_connection_that_names_nobody_is_explained(rig: Rig, cause: Cause) -> None:
    reason, words, fix = NAMELESS[cause]
    source = f"127.0.2.{list(NAMELESS).index(cause) + 1}"
    await cause(rig, source)
    for _ in range(20):  # the end of a connection is seen by the client first
        (told,) = rig.cli("device", "why", *WATCH)
        if found := [each for each in told["strangers"] if each["address"] == source]:
            break
    assert [each["reason"] for each in found] == [reason]
    assert words in found[0]["meaning"]
    assert fix in found[0]["what_to_do"]
    assert any(each.get("peer") == source for each in logged(rig))
    counters = rig.cli("status")[0]["counters"]
    if reason.startswith("tls_") and reason != "tls_on_plain_port":
        assert counters["tls_failures"][reason.removeprefix("tls_")] >= 1
    else:
        assert counters["refused_by_reason"][reason if "port" not in reason else "wrong_protocol"] >= 1


async def test_a_device_that_was_never_added_or_is_removed_says_so(rig: Rig) -> None:
    (login,) = rig.cli("device", "add", "bob", "gone")
    rig.cli("device", "remove", "bob", "gone", "--yes")
    who = Identity(client_id=login["client_id"], token=login["token"], user="bob", device="gone")
    await _until_refused(rig, "127.0.3.1", who)
    (line,) = [each for each in logged(rig) if each.get("peer") == "127.0.3.1" and "refused" in each["event"]][:1]
    assert line["claimed_client_id"] == "bob-gone"
    assert "not registered" in line["reason"]


async def test_a_subscriber_is_explained_too(rig: Rig) -> None:
    (login,) = rig.cli("subscriber", "add", "app", "--users", "*")
    rig.cli("subscriber", "suspend", "app")
    await _until_refused(rig, "127.0.3.2", Identity(client_id="app", token=login["token"]))
    (told,) = rig.cli("subscriber", "why", "app")
    assert told["state"].startswith("it is suspended")
    assert "127.0.3.2" in {each["address"] for each in told["refused"]}


def logged(rig: Rig) -> list[dict[str, Any]]:
    lines = rig.service.log_path.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _jti(token: str) -> str:
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["jti"])
