"""Whose a request is that a trusted HTTP proxy hands on. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from healthsync_mqtt.broker.embedded.introductions import Proxies

HEADER: Final = b"x-forwarded-for"
_PORT_OF_IPV4: Final = 2
"""Parts of an address and a port with a colon between; an address of IPv6 has more."""


def client_of(peer: str, headers: Iterable[tuple[bytes, bytes]], proxies: Proxies) -> str:
    """The client that the proxies name: the last address of the header that is none of theirs.

    Each proxy appends whom it has heard, so what stands before that is a client's own word. Where the header says
    nothing that can be read, it is the proxy itself; of who is no proxy it is not read.
    """
    if not proxies.trusts(peer):
        return peer
    said = b",".join(value for name, value in headers if name == HEADER).decode("latin-1")
    found = peer
    for each in reversed(said.split(",")):
        address = _address(each.strip())
        if not address:
            break
        found = address
        if not proxies.trusts(address):
            break
    return found


def _address(text: str) -> str:
    """An address, with or without a port; "" for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif len(parts := text.split(":")) == _PORT_OF_IPV4:
        text = parts[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
