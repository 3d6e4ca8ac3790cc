"""How a proxy introduces a connection: HAProxy's PROXY protocol, version 1 (a line) or 2 (binary). Pure.

The header comes before everything else, TLS too, and is read to its last byte and no further.
"""

import ipaddress
from typing import Final, NamedTuple

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
"""How each header of version 2 begins: no TLS, no HTTP and no MQTT does."""
_FIXED: Final = len(SIGNATURE) + 4
LONGEST: Final = 4_096
"""Bytes of a header with all that a proxy may add to the addresses: its own TLS, names, ids."""
_LINE: Final = b"PROXY "
"""How each header of version 1 begins."""
_END: Final = b"\r\n"
_SHORTEST: Final = len(b"PROXY UNKNOWN\r\n")
"""No header of either version has less bytes."""
_LONGEST_LINE: Final = 107
_WORDS: Final = 6
"""PROXY, the protocol, two addresses, two ports."""
_OF_LINES: Final[dict[str, type[ipaddress.IPv4Address | ipaddress.IPv6Address]]] = {
    "TCP4": ipaddress.IPv4Address,
    "TCP6": ipaddress.IPv6Address,
}
_VERSION: Final = 0x20
_LOCAL, _PROXY = 0x0, 0x1
_UNSPEC: Final = 0x00
_FAMILIES: Final = {0x11: 4, 0x21: 16}
"""TCP over IPv4 and over IPv6: the bytes of one address. Two of them are followed by two ports."""
_PORTS: Final = 4
_LAST_PORT: Final = 65_535


class NoHeaderError(Exception):
    """What came is no header of this protocol, or not one that names a client that we could have."""


class Introduced(NamedTuple):
    """Whom a proxy speaks for: the client's address, or itself (``None``), as when it looks whether we are there."""

    peer: str | None


class ProxyHeader:
    """Collects one header. ``wants`` is how many bytes more may be read now, so that none beyond it ever is."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def wants(self) -> int:
        """Bytes that are missing, of what every header has first; of a line as few as can be its end."""
        if len(self._held) < _SHORTEST:
            return _SHORTEST - len(self._held)
        if self._is_line:
            return 1 if self._held.endswith(_END[:1]) else len(_END)
        return (_FIXED if len(self._held) < _FIXED else _FIXED + self._length) - len(self._held)

    def take(self, data: bytes) -> Introduced | None:
        """At most ``wants`` bytes more; None while there is more to come. NoHeaderError: it never becomes one."""
        self._held += data
        if self._is_line:
            return self._read_line()
        if not SIGNATURE.startswith(self._held[: len(SIGNATURE)]):
            raise NoHeaderError
        if len(self._held) < _FIXED:
            return None
        if self._held[12] & 0xF0 != _VERSION or _FIXED + self._length > LONGEST:
            raise NoHeaderError
        return None if self.wants else self._read()

    @property
    def _length(self) -> int:
        return int.from_bytes(self._held[14:_FIXED], "big")

    @property
    def _is_line(self) -> bool:
        return _LINE.startswith(self._held[: len(_LINE)])

    def _read_line(self) -> Introduced | None:
        if len(self._held) > _LONGEST_LINE:
            raise NoHeaderError
        if not self._held.endswith(_END):
            return None
        words = self._held[: -len(_END)].decode("latin-1").split(" ")
        if words[1] == "UNKNOWN":  # what follows is to be passed over
            return Introduced(None)
        kind = _OF_LINES.get(words[1])
        if kind is None or len(words) != _WORDS or not all(_is_port(each) for each in words[4:]):
            raise NoHeaderError
        try:
            source, _ = (kind(each) for each in words[2:4])
        except ValueError:
            raise NoHeaderError from None
        return Introduced(_named(source))

    def _read(self) -> Introduced:
        command, family = self._held[12] & 0x0F, self._held[13]
        if command == _LOCAL or (command == _PROXY and family == _UNSPEC):
            return Introduced(None)
        size = _FAMILIES.get(family)
        if command != _PROXY or size is None or self._length < 2 * size + _PORTS:
            raise NoHeaderError
        return Introduced(_named(ipaddress.ip_address(self._held[_FIXED : _FIXED + size])))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) <= _LAST_PORT and str(int(text)) == text


def _named(source: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address as a connection of its own would have it. NoHeaderError: it is one of another machine's links."""
    if isinstance(source, ipaddress.IPv4Address):
        return str(source)
    if source.scope_id:
        raise NoHeaderError
    return str(source.ipv4_mapped or source)
