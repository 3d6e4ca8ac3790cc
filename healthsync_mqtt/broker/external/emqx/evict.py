"""Closing a client's connection at EMQX."""

from dataclasses import dataclass
from urllib.parse import quote

from healthsync_mqtt.broker.external.management import Management


@dataclass(frozen=True, slots=True)
class EmqxEvictor:
    """Through its REST interface with an API key: kicking a client ends its session too."""

    management: Management

    def evict(self, client_id: str) -> None:
        """Kick the client."""
        self.management.call("DELETE", f"/api/v5/clients/{quote(client_id, safe='')}")
