"""The identities that only an external broker needs: bridges, and the canaries that try to cross users."""

from collections.abc import Iterable
from typing import Final

from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.identity.login.roster import Roster
from healthsync_mqtt.model.principal import Principal, Role

ADMIN: Final = "healthsync-admin"
"""The account with which an external broker is provisioned, and revoked connections are closed."""
_BRIDGE: Final = "healthsync-bridge-"


def bridge_client_id(bridge_id: str) -> str:
    """The client id and username of a bridge."""
    return f"{_BRIDGE}{bridge_id}"[:64]


def bridge_principal(bridge_id: str) -> Principal:
    """The identity of a bridge."""
    return Principal(role=Role.bridge, client_id=bridge_client_id(bridge_id), users=None, types=None)


def _canary(user: str) -> Principal:
    return Principal(
        role=Role.device, client_id=f"{user}-probe", user=user, device="probe", formats=frozenset({"probe"})
    )


CANARY_A: Final = _canary("healthsync-canary-a")
"""Tries to cross."""
CANARY_B: Final = _canary("healthsync-canary-b")
"""Must not notice."""
PROBE: Final = _canary("healthsync-canary-c")
"""Finds out what the broker can promise, also while a canary flies."""
CANARY_USERS: Final = frozenset(str(principal.user) for principal in (CANARY_A, CANARY_B, PROBE))
PERCH: Final = Principal(
    role=Role.bridge,
    client_id="healthsync-canary-perch",
    users=CANARY_USERS | {CANARY_B.client_id},  # whose answers go to topics of the client's name
    types=None,
)
"""The bridge of the canaries' world: sees what they publish, publishes what bridges do, and reaches no user."""
READER: Final = Principal(
    role=Role.subscriber, client_id="healthsync-canary-reader", users=frozenset({str(CANARY_B.user)}), types=None
)
CLOUD: Final = Principal(
    role=Role.adapter,
    client_id="healthsync-canary-cloud",
    provider="probe",
    users=frozenset({str(CANARY_B.user)}),
    types=None,
)
OWN: Final = (CANARY_A, CANARY_B, PROBE, PERCH, READER, CLOUD)


def epochs(roster: Roster) -> dict[str, int]:
    """The epoch of everybody in the registry, by client id."""
    return {member.principal.client_id: member.token_epoch for member in roster.members}


def principals(roster: Roster, bridge_ids: Iterable[str]) -> dict[str, Principal]:
    """Every principal that may connect, by client id. ConflictError when a device took the name of a bridge."""
    own = [*OWN, *map(bridge_principal, bridge_ids)]
    known = [device.principal for device in roster.devices]
    known += [subscriber.principal for subscriber in roster.subscribers]
    known += [admin.principal for admin in roster.admins]
    names = {principal.client_id for principal in own}
    for principal in known:
        if principal.client_id in names:
            raise ConflictError(
                f"the client id {principal.client_id} is reserved for the bridge",
                hint="remove this device and add it under another name",
            )
    return {principal.client_id: principal for principal in (*own, *known)}
