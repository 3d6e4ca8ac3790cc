"""Whether a client has what it asks for."""

from starlette.requests import Request


def has(request: Request, tag: str) -> bool:
    """Whether ``If-None-Match`` names this tag (RFC 9110, section 13.1.2).

    A proxy that packs an answer makes its tag a weak one (``W/"…"``), which names the same.
    """
    said = ",".join(request.headers.getlist("if-none-match")).split(",")
    return any(each.strip().removeprefix("W/") in {tag, "*"} for each in said)
