"""Closing connections at a broker whose hooks are asked at the login only: through its management interface."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from healthsync_mqtt.errors import UnavailableError

_TIMEOUT_S = 5.0
_GONE = 404


@dataclass(frozen=True, slots=True)
class _Management:
    """A broker's management interface: ``url`` without a path, and an account of it."""

    url: str
    username: str
    password: str = field(repr=False)

    def call(self, method: str, path: str) -> Any:
        login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        # The scheme was checked where the URL was taken from the operator.
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}{path}", method=method, headers={"Authorization": f"Basic {login}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
                body = response.read()
        except urllib.error.HTTPError as error:
            if error.code == _GONE:
                return None
            raise UnavailableError(f"the broker's management interface answers {error.code}") from None
        except OSError as error:
            raise UnavailableError(f"the broker's management interface: {error.__class__.__name__}") from None
        return json.loads(body) if body else None


@dataclass(frozen=True, slots=True)
class RabbitEvictor:
    """RabbitMQ, through its management plugin: connections and the queues that hold messages for the client."""

    management: _Management

    def evict(self, client_id: str) -> None:
        """Close the client's connections and delete its queues."""
        for connection in self.management.call("GET", "/api/connections") or []:
            if connection.get("user") == client_id:
                self.management.call("DELETE", f"/api/connections/{quote(connection['name'], safe='')}")
        for qos in (0, 1):
            self.management.call("DELETE", f"/api/queues/%2F/mqtt-subscription-{quote(client_id, safe='')}qos{qos}")


@dataclass(frozen=True, slots=True)
class EmqxEvictor:
    """EMQX, through its REST interface with an API key: kicking a client ends its session too."""

    management: _Management

    def evict(self, client_id: str) -> None:
        """Kick the client."""
        self.management.call("DELETE", f"/api/v5/clients/{quote(client_id, safe='')}")


def evictor(kind: str, url: str, username: str, password: str) -> RabbitEvictor | EmqxEvictor:
    """The evictor of a kind of broker, ``rabbitmq`` or ``emqx``; UnavailableError for a URL that is not HTTP."""
    if not url.startswith(("http://127.0.0.1:", "http://localhost:", "https://")):
        raise UnavailableError("the management interface must be https://, or http:// on this machine")
    management = _Management(url.rstrip("/"), username, password)
    return RabbitEvictor(management) if kind == "rabbitmq" else EmqxEvictor(management)
