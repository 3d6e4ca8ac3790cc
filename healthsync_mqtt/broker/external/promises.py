"""What an external broker can promise, found out by trying. Uses the canaries, whose data nobody keeps."""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass

from healthsync_mqtt.broker.external.canary_world import CanaryWorld
from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.mqtt.links.port import Address, ClientLogin, ConnectionLostError, NoAnswerError
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from healthsync_mqtt.topics.registry import TopicRegistry

_QUEUED = 1_200
_ARRIVAL_S = 10.0
"""How long a message may take. Only what a broker has lost is waited for so long."""
_LIFT = "lift the limit of queued messages, as this writes it: healthsync broker render BROKER --out DIR"
_HINT = "make it: healthsync broker provision mosquitto, or: healthsync broker credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseFinding:
    """One answer. ``good`` is None where it could not be found out; without a ``vital`` one the bridge loses events."""

    name: str
    good: bool | None
    message: str
    fix: str = ""
    vital: bool = False


async def examine(
    address: Address, store: CredentialStore, topics: TopicRegistry, bridge_id: str, world: CanaryWorld
) -> list[PromiseFinding]:
    """All findings, by the probe of ``world``, in which nobody else asks. UnavailableError when it cannot log in."""
    name = world.probe.client_id
    account = ClientLogin(client_id=name, username=name, password=store.need(name, _HINT))
    bridge = bridge_client_id(bridge_id)
    sender = ClientLogin(client_id=f"{bridge}-check", username=bridge, password=store.need(bridge, _HINT))
    own = topics.build("status", user=str(world.probe.user), device="probe")
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


async def _redelivery(address: Address, account: ClientLogin, own: str) -> PromiseFinding:
    """Whether a message that was not acknowledged comes again on the next connection."""
    marker = secrets.token_hex(8).encode()
    async with talk(address, acknowledges=False) as first:
        await first.login(account, clean=False)
        await first.subscribe(own)
        await first.publish(own, marker)
        await first.hear(until=marker, seconds=_ARRIVAL_S)
        got = first.heard(marker)
        first.abort()
    again = await _come_back(address, account, until=marker)
    if not got:
        return PromiseFinding(
            name="redelivery",
            good=None,
            message="cannot be tried: what the canary publishes to itself does not arrive",
            fix="let devices read their own status: renew the access rules",
        )
    good = again.session_present and again.heard(marker)
    return PromiseFinding(
        name="redelivery",
        good=good,
        message="sends again what was not acknowledged" if good else "forgets what was not acknowledged",
        fix="" if good else "let the broker keep sessions (persistent sessions, session expiry)",
        vital=True,
    )


async def _queue(address: Address, account: ClientLogin, own: str) -> PromiseFinding:
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
    return PromiseFinding(
        name="queue",
        good=kept == _QUEUED,
        message=f"{kept} of {_QUEUED} messages for a client that is away were kept",
        fix="" if kept == _QUEUED else _LIFT,
    )


async def _come_back(address: Address, account: ClientLogin, until: bytes) -> Talk:
    """The canary's session once more, until this message has come, and then its end."""
    async with talk(address) as again:
        await again.login(account, clean=False)
        if again.session_present:
            await again.hear(until=until, seconds=_ARRIVAL_S)
        await again.goodbye()
        await asyncio.sleep(0.05)
    async with talk(address) as last:
        await last.login(account, clean=True)
        await last.goodbye()
    return again


async def _binding(address: Address, other_name: ClientLogin) -> PromiseFinding:
    """Whether a login is bound to its client id."""
    try:
        async with talk(address) as wrong:
            await wrong.login(other_name)
            good = wrong.code != 0
    except NoAnswerError as error:
        return PromiseFinding(name="client_id_binding", good=None, message=f"cannot be told: {error}")
    except ConnectionLostError:
        good = True
    return PromiseFinding(
        name="client_id_binding",
        good=good,
        message="a login works with its own client id only" if good else "a login works with any client id",
        fix="" if good else "bind client ids: otherwise a client can end another one's session",
        vital=True,
    )


async def _version5(address: Address, account: ClientLogin) -> PromiseFinding:
    """Whether the broker speaks MQTT 5, and whether it then has shared subscriptions."""
    good = shares = False
    with contextlib.suppress(ConnectionLostError):
        async with talk(address) as connection:
            await connection.login(account, version=5)
            good, shares = connection.code == 0, connection.shared_subscriptions
    if not good:
        message = "no: 3.1.1 is spoken, bridges share the work by shards"
    else:
        message = "yes, with shared subscriptions" if shares else "yes, without shared subscriptions"
    return PromiseFinding(name="mqtt5", good=good, message=message)
