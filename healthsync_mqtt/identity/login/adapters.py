"""The identity of the adapters' worker: it is in no registry, and its credential is a file of the data directory."""

from typing import Final

from healthsync_mqtt.model.principal import EVERY_PROVIDER, Principal, Role

ADAPTERS: Final = Principal(
    role=Role.adapter, client_id="healthsync-adapters", provider=EVERY_PROVIDER, users=None, types=None
)
"""Nobody else may get this name."""
