"""The address of a PostgreSQL server as a setting: it names no password, and health values do not go in the clear.

The hosts where they may are those of this machine, for every other server, too.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

_SCHEMES: Final = ("postgresql", "postgres")
THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of a host to which nothing goes over a network."""
_SURE: Final = frozenset({"verify-ca", "verify-full"})


def server_address(url: str) -> str:
    """The same, or ValueError that says what is wrong with it and never repeats it. "": none."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        asked = parse_qs(parts.query, keep_blank_values=True)
        hosts = [_host(each) for each in (*parts.netloc.rpartition("@")[2].split(","), *asked.get("host", []))]
        secret = parts.password is not None or "password" in asked
    except ValueError:
        raise ValueError("not an address: postgresql://user@host/database") from None
    if parts.scheme not in _SCHEMES or parts.fragment:
        raise ValueError("not an address of PostgreSQL: postgresql://user@host/database")
    if secret:
        raise ValueError("a password does not belong here: put it into storage.password_file or ~/.pgpass")
    named = [*hosts, *asked.get("hostaddr", [])]
    elsewhere = any(host not in {*THIS_MACHINE, ""} and not host.startswith("/") for host in named)
    if elsewhere and asked.get("sslmode", [""])[-1] not in _SURE:
        raise ValueError("health values would go over the network unprotected: add ?sslmode=verify-full")
    return url


def _host(place: str) -> str:
    """Of ``host:port`` or ``[address]:port``."""
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0].lower().replace("%2f", "/")
