"""The identities of an external broker that are in no registry: bridges, the gateway, and canaries."""

from collections.abc import Iterable
from typing import Final

from healthsync_mqtt.broker.external.canary_world import canaries, is_canary
from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.identity.login.gateway import GATEWAY, gateway_principal
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


def own_principals(bridge_ids: Iterable[str], gateway_ids: Iterable[str] = ()) -> dict[str, Principal]:
    """Bridges, gateways and all canaries, by client id: who logs in with a credential and is in no registry.

    The gateway of an installation with one is always among them.
    """
    bridge_ids = tuple(bridge_ids)
    gateways = (GATEWAY, *map(gateway_principal, gateway_ids))
    own = (*canaries(bridge_ids), *map(bridge_principal, bridge_ids), *gateways)
    return {principal.client_id: principal for principal in own}


def epochs(roster: Roster) -> dict[str, int]:
    """The epoch of everybody in the registry, by client id."""
    return {member.principal.client_id: member.token_epoch for member in roster.members}


def principals(roster: Roster, bridge_ids: Iterable[str], gateway_ids: Iterable[str] = ()) -> dict[str, Principal]:
    """Every principal that may connect, by client id. ConflictError when a device took the name of a bridge."""
    own = own_principals(bridge_ids, gateway_ids)
    known = [device.principal for device in roster.devices]
    known += [subscriber.principal for subscriber in roster.subscribers]
    known += [admin.principal for admin in roster.admins]
    for principal in known:
        if principal.client_id in own or is_canary(principal.client_id):
            raise ConflictError(
                f"the client id {principal.client_id} is reserved for the bridge",
                hint="remove this device and add it under another name",
            )
    return own | {principal.client_id: principal for principal in known}
