"""Routes that something newer has taken the place of: each answer says since when, by what, and how long it stays.

``Deprecation`` is RFC 9745, ``Sunset`` RFC 8594: before that moment the route is not taken away.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

ANSWER_HEADERS: Final = "answer_headers"
"""Where a request keeps headers of whatever it is answered with."""
_SINCE: Final = "@1795564800"
"""2026-11-25: from here on there is /v1."""
_SUNSET: Final = "Sun, 31 Dec 2028 23:59:59 GMT"


@dataclass(frozen=True)
class Outdated:
    """A dependency of a route. ``successor`` is the path that does the same."""

    successor: str

    async def __call__(self, request: HTTPConnection) -> None:
        """Say it with the answer, whatever the answer is."""
        said = {
            "deprecation": _SINCE,
            "sunset": _SUNSET,
            "link": f'<{self.successor}>; rel="successor-version"',
        }
        request.scope["state"][ANSWER_HEADERS] = [(name.encode(), value.encode()) for name, value in said.items()]
