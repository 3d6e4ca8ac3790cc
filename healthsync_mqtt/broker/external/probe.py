"""What an external broker can promise, found out by trying. Uses the canaries, whose data nobody keeps."""

import asyncio
import secrets
from dataclasses import dataclass

from healthsync_mqtt.broker.external.identities import PROBE, bridge_client_id
from healthsync_mqtt.broker.external.port import BrokerLostError
from healthsync_mqtt.broker.external.talk import Account, Address, Talk, talk
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.topics.registry import TopicRegistry

_QUEUED = 1_200
_HINT = "make it: healthsync broker provision, or: healthsync broker credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. ``good`` is None where it could not be found out; without a ``vital`` one the bridge loses events."""

    name: str
    good: bool | None
    message: str
    fix: str = ""
    vital: bool = False


async def examine(address: Address, store: CredentialStore, topics: TopicRegistry, bridge_id: str) -> list[Finding]:
    """All findings. UnavailableError when the canary cannot log in at all."""
    name = PROBE.client_id
    account = Account(client_id=name, username=name, password=store.need(name, _HINT))
    bridge = bridge_client_id(bridge_id)
    sender = Account(client_id=f"{bridge}-check", username=bridge, password=store.need(bridge, _HINT))
    own = topics.build("status", user=str(PROBE.user), device="probe")
    async with talk(address) as first:
        await first.login(account)
        if first.code:
            raise UnavailableError(f"the broker refuses the canary's login (code {first.code})", hint=_HINT)
    return [
        await _version5(address, account),
        await _redelivery(address, account, own),
        await _queue(address, account, own),
        await _binding(address, sender),
    ]


async def _redelivery(address: Address, account: Account, own: str) -> Finding:
    """Whether a message that was not acknowledged comes again on the next connection."""
    marker = secrets.token_hex(8).encode()
    async with talk(address, acknowledges=False) as first:
        await first.login(account, clean=False)
        await first.subscribe(own)
        await first.publish(own, marker)
        await first.hear(until=marker, seconds=3)
        got = first.heard(marker)
        first.abort()
    again = await _come_back(address, account)
    good = got and again.session_present and again.heard(marker)
    return Finding(
        name="redelivery",
        good=good,
        message="sends again what was not acknowledged" if good else "forgets what was not acknowledged",
        fix="" if good else "let the broker keep sessions (persistent sessions, session expiry)",
        vital=True,
    )


async def _queue(address: Address, account: Account, own: str) -> Finding:
    """Whether more than the usual limit of 1,000 messages waits for a client that is away."""
    async with talk(address) as gone:
        await gone.login(account, clean=False)
        await gone.subscribe(own)
        await gone.goodbye()
        await asyncio.sleep(0.1)
    mark = secrets.token_hex(4)
    # Its own session is the only one that may publish here, so a second name of the same canary does not help: it
    # sends to itself without acknowledging, which fills the same queue.
    async with talk(address, acknowledges=False) as busy:
        await busy.login(account, clean=False)
        await busy.publish_all(own, [f"{mark}-{number}".encode() for number in range(_QUEUED)])
        busy.abort()
    again = await _come_back(address, account, until=f"{mark}-{_QUEUED - 1}".encode())
    kept = len({bytes(message.payload) for message in again.messages if mark.encode() in message.payload})
    return Finding(
        name="queue",
        good=kept == _QUEUED,
        message=f"{kept} of {_QUEUED} messages for a client that is away were kept",
        fix="" if kept == _QUEUED else "lift the limit of queued messages: healthsync broker render writes how",
    )


async def _come_back(address: Address, account: Account, until: bytes | None = None) -> Talk:
    async with talk(address) as again:
        await again.login(account, clean=False)
        await again.hear(until=until, seconds=3 if until else 0.5)
        await again.goodbye()
        await asyncio.sleep(0.05)
    async with talk(address) as last:
        await last.login(account, clean=True)
        await last.goodbye()
    return again


async def _binding(address: Address, other_name: Account) -> Finding:
    """Whether a login is bound to its client id."""
    try:
        async with talk(address) as wrong:
            await wrong.login(other_name)
            good = wrong.code != 0
    except BrokerLostError:
        good = True
    return Finding(
        name="client_id_binding",
        good=good,
        message="a login works with its own client id only" if good else "a login works with any client id",
        fix="" if good else "bind client ids: otherwise a client can end another one's session",
        vital=True,
    )


_CONNECT_5 = bytes.fromhex("00044d5154540502003c00")
"""Variable header of an MQTT 5 CONNECT: clean start, keep-alive 60 s, no properties."""


async def _version5(address: Address, account: Account) -> Finding:
    """Whether the broker speaks MQTT 5, and whether it then has shared subscriptions."""
    parts = [part.encode() for part in (account.client_id, account.username, account.password)]
    payload = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    header = _CONNECT_5[:7] + b"\xc2" + _CONNECT_5[8:]
    size = len(header) + len(payload)
    length = bytes([size & 127 | 128, size >> 7]) if size > 127 else bytes([size])
    try:
        async with talk(address) as connection, asyncio.timeout(address.timeout):
            connection.writer.write(b"\x10" + length + header + payload)
            answer = await connection.reader.read(256)
    except (TimeoutError, OSError, BrokerLostError):
        answer = b""
    good = len(answer) > 4 and answer[0] == 0x20 and answer[3] == 0
    shares = good and b"\x2a\x00" not in answer[5:]
    if not good:
        message = "no: 3.1.1 is spoken, bridges share the work by shards"
    else:
        message = "yes, with shared subscriptions" if shares else "yes, without shared subscriptions"
    return Finding(name="mqtt5", good=good, message=message)
