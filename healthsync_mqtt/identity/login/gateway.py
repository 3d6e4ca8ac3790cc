"""The identities of HTTP gateways: they are in no registry, and their credentials are files of the data directory.

A broker keeps one connection a client id, so gateways of one installation have names of their own. What they keep for
clients is theirs together: cookies, places in lists and webhooks are signed with the credential of ``GATEWAY``.
"""

from typing import Final

from healthsync_mqtt.model.principal import Principal, Role

GATEWAY: Final = Principal(role=Role.gateway, client_id="healthsync-gateway", users=None, types=None)
"""Nobody else may get this name."""
GATEWAY_NAMES: Final = f"{GATEWAY.client_id}-"
"""What the names of further ones begin with; nobody else has such a name."""
GATEWAY_IDS: Final = tuple(map(str, range(2, 10)))
"""The ids of those beside ours on a broker that is built in, which knows them all."""


def gateway_principal(gateway_id: str) -> Principal:
    """The gateway of an id; "": that of an installation with one."""
    if not gateway_id:
        return GATEWAY
    return Principal(role=Role.gateway, client_id=f"{GATEWAY_NAMES}{gateway_id}", users=None, types=None)
