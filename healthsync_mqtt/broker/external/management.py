"""A broker's management interface over HTTP: a small request, and every way to fail as one error."""

import base64
import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Self

from healthsync_mqtt.errors import UnavailableError

_TIMEOUT_S = 5.0
_GONE = 404


@dataclass(frozen=True, slots=True)
class Management:
    """``url`` without a path, and an account there."""

    url: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def at(cls, url: str, username: str, password: str) -> Self:
        """UnavailableError for a URL over which a password would travel in the open."""
        if not url.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:", "https://")):
            raise UnavailableError("the management interface must be https://, or http:// on this machine")
        return cls(url.rstrip("/"), username, password)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, None for what is not there. UnavailableError for anything else, cut answers included.

        ``body`` is sent as JSON.
        """
        login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        # The scheme was checked where the URL was taken from the operator.
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
                body = response.read()
            return json.loads(body) if body else None
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _GONE:
                    return None
            raise UnavailableError(f"the broker's management interface answers {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnavailableError(f"the broker's management interface: {error.__class__.__name__}") from None
