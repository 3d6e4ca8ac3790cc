"""Closing a client's connections at RabbitMQ, which asks the hooks at the login only."""

from dataclasses import dataclass
from urllib.parse import quote

from healthsync_mqtt.broker.external.management import Management


@dataclass(frozen=True, slots=True)
class RabbitEvictor:
    """Through the management plugin: connections, and the queues that hold messages for the client."""

    management: Management

    def evict(self, client_id: str) -> None:
        """Close the client's connections and delete its queues."""
        name = quote(client_id, safe="")
        self.management.call("DELETE", f"/api/connections/username/{name}")
        for qos in (0, 1):
            self.management.call("DELETE", f"/api/queues/%2F/mqtt-subscription-{name}qos{qos}")
