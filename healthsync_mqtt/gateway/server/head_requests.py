"""HEAD: what GET would say of itself, without it (RFC 9110, section 9.3.2).

It is asked by monitors, and by whoever looks before a download. Where GET does something, is told to nobody twice or
does not end, it is not answered.
"""

from collections.abc import Iterable
from typing import Final

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOT_ANSWERED: Final = frozenset(
    {
        "/v1/stream",
        "/v1/invites/{code}",
        "/v1/session/organisation/callback",
        "/v1/link/{provider}/callback",
        "/v1/users/{user}/export",
    }
)


def answers_head(route: APIRoute) -> bool:
    """Whether this route is asked for what HEAD wants to know."""
    return "GET" in (route.methods or ()) and route.path not in _NOT_ANSWERED


class HeadRequests:
    """An application in front of another one, which is asked by GET. The server leaves the body out."""

    def __init__(self, app: ASGIApp, served: Iterable[APIRoute]) -> None:
        self.app = app
        self._served = tuple(served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or not self._answers(scope["path"]):
            await self.app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def told(message: Message) -> None:
            if "route" in asked:
                scope["route"] = asked["route"]
            await send(message)

        await self.app(asked, receive, told)

    def _answers(self, path: str) -> bool:
        """Whether all that the path may be by GET is asked, and none of it takes HEAD itself."""
        found = [each for each in self._served if each.path_regex.match(path)]
        gets = [each for each in found if "GET" in (each.methods or ())]
        own = any("HEAD" in (each.methods or ()) for each in found)
        return bool(gets) and all(map(answers_head, gets)) and not own
