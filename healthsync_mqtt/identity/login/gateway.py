"""The identity of the HTTP gateway: it is in no registry, and its credential is a file of the data directory."""

from typing import Final

from healthsync_mqtt.model.principal import Principal, Role

GATEWAY: Final = Principal(role=Role.gateway, client_id="healthsync-gateway", users=None, types=None)
"""Nobody else may get this name."""
