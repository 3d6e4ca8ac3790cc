"""Headers that every answer has: its id, and what tells a browser to trust little."""

from typing import Final

_HEADERS: Final = tuple(
    (name.encode(), value.encode())
    for name, value in (
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
        ("strict-transport-security", "max-age=31536000"),
    )
)


def own_headers(request_id: str, *, tls: bool) -> list[tuple[bytes, bytes]]:
    """Those of one answer; one that has a header of the same name says it itself."""
    return [*(_HEADERS if tls else _HEADERS[:-1]), (b"x-request-id", request_id.encode())]
