"""How a proxy introduces a connection: version 2 of HAProxy's PROXY protocol. Pure.

The header comes before everything else, TLS too, and is read to its last byte and no further.
"""

import ipaddress
from typing import Final, NamedTuple

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
"""How each header begins: no TLS, no HTTP and no MQTT does."""
_FIXED: Final = len(SIGNATURE) + 4
LONGEST: Final = 4_096
"""Bytes of a header with all that a proxy may add to the addresses: its own TLS, names, ids."""
_VERSION: Final = 0x20
_LOCAL, _PROXY = 0x0, 0x1
_UNSPEC: Final = 0x00
_FAMILIES: Final = {0x11: 4, 0x21: 16}
"""TCP over IPv4 and over IPv6: the bytes of one address. Two of them are followed by two ports."""
_PORTS: Final = 4


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
        """Bytes that are missing, of the fixed part first."""
        return (_FIXED if len(self._held) < _FIXED else _FIXED + self._length) - len(self._held)

    def take(self, data: bytes) -> Introduced | None:
        """At most ``wants`` bytes more; None while there is more to come. NoHeaderError: it never becomes one."""
        self._held += data
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

    def _read(self) -> Introduced:
        command, family = self._held[12] & 0x0F, self._held[13]
        if command == _LOCAL or (command == _PROXY and family == _UNSPEC):
            return Introduced(None)
        size = _FAMILIES.get(family)
        if command != _PROXY or size is None or self._length < 2 * size + _PORTS:
            raise NoHeaderError
        source = ipaddress.ip_address(self._held[_FIXED : _FIXED + size])
        mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
        return Introduced(str(mapped or source))
