"""What is answered where no route is asked, as the server asks for it."""

from typing import Protocol

from starlette.responses import Response


class Unread(Protocol):
    """Makes the refusal of a request that cannot be read, or of a WebSocket that is none."""

    def __call__(self, status: int, *, tls: bool, handshake: bool = False) -> Response:
        """The whole answer. With ``handshake`` it could be read, and asks for a WebSocket in no way that there is."""
