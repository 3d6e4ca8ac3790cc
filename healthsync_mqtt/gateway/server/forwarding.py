"""Whose a request is that a trusted HTTP proxy hands on. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from healthsync_mqtt.broker.embedded.introductions import Proxies
from healthsync_mqtt.config.sections import GatewaySettings

_PORT_OF_IPV4: Final = 2
"""Parts of an address and a port with a colon between; an address of IPv6 has more."""


class Forwarding:
    """The proxies that are trusted, and the one header in which they name clients.

    There is one, for a proxy adds to the header that it knows, and hands the other on as a client has written it.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._proxies = Proxies(settings.proxies)
        self._header = settings.proxies_say.lower().encode()
        self._address = _of_element if settings.proxies_say == "Forwarded" else _address

    def client_of(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The client that the proxies name: the last address of the header that is none of theirs.

        Each proxy appends whom it has heard, so what stands before that is a client's own word. Where the header says
        nothing that can be read, it is the proxy itself; of who is no proxy it is not read.
        """
        if not self._proxies.trusts(peer):
            return peer
        said = b",".join(value for name, value in headers if name == self._header).decode("latin-1")
        found = peer
        # From the end, and by every comma: an open quote of a client would hide what proxies have added behind it.
        for each in reversed(said.split(",")):
            address = self._address(each.strip())
            if not address:
                break
            found = address
            if not self._proxies.trusts(address):
                break
        return found


def _of_element(text: str) -> str:
    """The address of an element of RFC 7239: ``for="[2001:db8::1]:443";proto=https``; "" where it has no one."""
    named = [value for name, _, value in (each.strip().partition("=") for each in text.split(";")) if _is_for(name)]
    if len(named) != 1:
        return ""
    (value,) = named
    quoted = value.startswith('"') and value.endswith('"')
    return _address(value[1:-1] if quoted else value)


def _is_for(name: str) -> bool:
    return name.lower() == "for"


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
