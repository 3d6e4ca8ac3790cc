"""Posting to somebody's server: https to a public address, which is looked at and then connected to, and nothing else.

A name may mean another address a moment later, so it is resolved once; there are no redirects and no proxies. Hosts
that the operator names may be anywhere, and speak plain HTTP.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11

from healthsync_mqtt.errors import InputError

WITHIN_S: Final = 15.0
"""Seconds for all of it: the name, the connection, the answer."""
_NEXT_S: Final = 3.0
"""Seconds for an address of a name that has others."""
_BLANK: Final = 32
_MOST_ANSWER: Final = 65_536
_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""IPv6 addresses of the internet: of no other block anything has been given out, and some mean an own network still."""
_BEHIND: Final = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32")))
"""IPv6 networks in which an IPv4 address stands that nobody has looked at."""

Resolve = Callable[[str, int], Awaitable[list[str]]]


class RefusedTargetError(InputError):
    """Nothing is sent there."""


@dataclass(frozen=True, slots=True)
class PostTarget:
    """Where to post."""

    host: str
    port: int
    tls: bool
    path: str
    anywhere: bool
    """The operator named this host: it may have any address."""


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """What the server said, as far as it counts."""

    status: int
    retry_after_s: float | None = None


def target(url: str, named: Container[str]) -> PostTarget:
    """What a URL means. RefusedTargetError for what nothing is sent to, whoever lives there."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RefusedTargetError("that is no URL", hint="https://example.org/hook") from None
    host = (parts.hostname or "").rstrip(".")
    if any(ord(letter) <= _BLANK for letter in url):
        raise RefusedTargetError("there are blanks in that URL", hint="https://example.org/hook")
    if not host or parts.username is not None or parts.password is not None or parts.fragment or not url.isascii():
        raise RefusedTargetError("that is no URL to post to", hint="https://example.org/hook, without a login in it")
    anywhere = host in named
    if parts.scheme != "https" and not (parts.scheme == "http" and anywhere):
        raise RefusedTargetError("only https is posted to", hint="https://…; or name the host: gateway.webhook_hosts")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return PostTarget(host, port or (443 if tls else 80), tls, path, anywhere)


def is_public(address: str) -> bool:
    """Whether an address is on the internet and nobody's own network, machine or link."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found not in _UNICAST or any(found in network for network in _BEHIND):
            return False
    return found.is_global and not found.is_multicast


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. OSError."""
    loop = asyncio.get_running_loop()
    return [str(each[4][0]) for each in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def post(
    where: PostTarget,
    headers: Mapping[str, str],
    body: bytes,
    *,
    resolve: Resolve = resolve,
    within_s: float = WITHIN_S,
    tls: ssl.SSLContext | None = None,
) -> PostAnswer:
    """Post it once. OSError, TimeoutError or RefusedTargetError; whatever was answered is an answer."""
    async with asyncio.timeout(within_s):
        addresses = await resolve(where.host, where.port)
        if not where.anywhere and not all(map(is_public, addresses)):
            raise RefusedTargetError(
                f"{where.host} is in a private network", hint="name the host in gateway.webhook_hosts if you mean it"
            )
        if not addresses:
            raise OSError(f"{where.host} has no address")
        reader, writer = await _connected(where, addresses, tls)
        try:
            return await _exchanged(reader, writer, where, headers, body)
        finally:
            writer.transport.abort()


async def _connected(
    where: PostTarget, addresses: Sequence[str], tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address that takes one; each but the last has a few seconds. OSError."""
    context = (tls or ssl.create_default_context()) if where.tls else None
    *others, last = addresses
    for address in others:
        try:
            async with asyncio.timeout(_NEXT_S):
                return await _opened(where, address, context)
        except OSError:  # a timeout, too
            continue
    return await _opened(where, last, context)


async def _opened(
    where: PostTarget, address: str, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = where.host if where.tls else None
    return await asyncio.open_connection(address, where.port, ssl=context, server_hostname=name, limit=16_384)


async def _exchanged(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    where: PostTarget,
    headers: Mapping[str, str],
    body: bytes,
) -> PostAnswer:
    default = where.port == (443 if where.tls else 80)
    host = f"[{where.host}]" if ":" in where.host else where.host
    named = [
        ("host", host if default else f"{host}:{where.port}"),
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
        ("user-agent", "healthsync"),
        *headers.items(),
    ]
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=16_384)
    writer.write(connection.send(h11.Request(method="POST", target=where.path, headers=named)) or b"")
    writer.write(connection.send(h11.Data(data=body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_MOST_ANSWER))
            elif isinstance(event, h11.Response):
                said = {name.lower(): value for name, value in event.headers}
                return PostAnswer(event.status_code, _seconds(said.get(b"retry-after", b"")))
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                raise ConnectionError("the server closed the connection")
    except h11.RemoteProtocolError as error:
        raise ConnectionError(f"the server does not speak HTTP: {error}") from None


def _seconds(text: bytes) -> float | None:
    return float(text) if text.isdigit() and len(text) < 8 else None
