"""Closing a client's connections at RabbitMQ, which asks the hooks at the login only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from healthsync_mqtt.broker.external.management import Management
from healthsync_mqtt.broker.external.rabbitmq.names import MQTT_EXCHANGE, TO_MQTT, queues_of

_LOOKED_AT: Final = 1_000
"""Messages of a queue that are looked at; one that holds more goes whole."""


@dataclass(frozen=True, slots=True)
class RabbitEvictor:
    """Through the management plugin: connections, and the queues that hold messages for the client."""

    management: Management

    def evict(self, client_id: str) -> None:
        """Close the client's connections and delete its queues."""
        self._close(client_id)
        for queue in queues_of(client_id):
            self.management.call("DELETE", f"/api/queues/%2F/{quote(queue, safe='')}")

    def narrow(self, client_id: str, may: Callable[[str], bool]) -> bool:
        """Take from the client's queues what it may not read; see ``Evictor``."""
        kept = True
        for queue in queues_of(client_id):
            path = f"%2F/{quote(queue, safe='')}"
            for binding in self.management.call("GET", f"/api/queues/{path}/bindings") or ():
                if binding["source"] == MQTT_EXCHANGE and not may(binding["routing_key"].translate(TO_MQTT)):
                    key = quote(binding["properties_key"], safe="%")  # as it is said: it is quoted already
                    self.management.call("DELETE", f"/api/bindings/%2F/e/{MQTT_EXCHANGE}/q/{path[4:]}/{key}")
        self._close(client_id)
        for queue in queues_of(client_id):
            path = f"/api/queues/%2F/{quote(queue, safe='')}"
            if not all(map(may, self._waiting(path))):
                self.management.call("DELETE", path)
                kept = False
        return kept

    def _close(self, client_id: str) -> None:
        self.management.call("DELETE", f"/api/connections/username/{quote(client_id, safe='')}")

    def _waiting(self, path: str) -> list[str]:
        """The topics of what waits in a queue, which stays there; "", which nobody may read, where it is too much."""
        look = {"count": _LOOKED_AT, "ackmode": "ack_requeue_true", "encoding": "base64", "truncate": 1}
        found: list[dict[str, Any]] = self.management.call("POST", f"{path}/get", look) or []
        topics = [each["routing_key"].translate(TO_MQTT) for each in found]
        return [*topics, ""] if found and found[-1]["message_count"] else topics
