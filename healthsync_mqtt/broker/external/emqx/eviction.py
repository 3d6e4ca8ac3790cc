"""Closing a client's connection at EMQX."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from healthsync_mqtt.broker.external.management import Management

_LOOKED_AT: Final = 1_000
"""Messages of a session that are looked at; one that holds more ends."""


@dataclass(frozen=True, slots=True)
class EmqxEvictor:
    """Through its REST interface with an API key: kicking a client ends its session too."""

    management: Management

    def evict(self, client_id: str) -> None:
        """Kick the client."""
        self.management.call("DELETE", _client(client_id))

    def narrow(self, client_id: str, may: Callable[[str], bool]) -> bool:
        """Unsubscribe the client from what it may not read; see ``Evictor``. EMQX asks of whatever it does next."""
        client = _client(client_id)
        subscriptions = self.management.call("GET", f"{client}/subscriptions")
        if subscriptions is None:
            return True  # it has no session
        for each in subscriptions:
            if not may(each["topic"]):
                self.management.call("POST", f"{client}/unsubscribe", {"topic": each["topic"]})
        if all(self._waits_for(f"{client}/{queue}", may) for queue in ("mqueue_messages", "inflight_messages")):
            return True
        self.evict(client_id)
        return False

    def _waits_for(self, path: str, may: Callable[[str], bool]) -> bool:
        """Whether all that waits there may be had; no, where that is not known (EMQX before 5.7)."""
        found = self.management.call("GET", f"{path}?limit={_LOOKED_AT}&payload=none")
        return (
            found is not None and len(found["data"]) < _LOOKED_AT and all(may(each["topic"]) for each in found["data"])
        )


def _client(client_id: str) -> str:
    return f"/api/v5/clients/{quote(client_id, safe='')}"
