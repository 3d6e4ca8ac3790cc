"""Where a request comes from."""

from starlette.requests import HTTPConnection


def peer_of(request: HTTPConnection) -> str:
    """The address of whoever asks, behind a trusted proxy the one that it names; "" where the server knows none."""
    return request.client.host if request.client else ""
