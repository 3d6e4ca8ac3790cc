"""HTTP to providers: one request, one answer, never later than its deadline, never further than where it was sent.

Redirects are not followed: a bearer token goes to the host that it is for and to no other. Without TLS only a loopback
address is asked, where a test's provider stands.
"""

import http.client
import ssl
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

from healthsync_mqtt.config.networks import is_loopback
from healthsync_mqtt.errors import ConfigError

R = TypeVar("R")

_MOST_BYTES: Final = 64 * 1024 * 1024
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRequest:
    """One request; its body is a form where there is one. ``most``: bytes of an answer; 0: what is taken of any."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudAnswer:
    """One answer. ``status`` 0: there was none, and ``fault`` says why in a word."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    fault: str = ""


class Web(Protocol):
    """What asks; blocks until there is an answer, or none. Never raises for what the other side does."""

    def ask(self, request: CloudRequest) -> CloudAnswer:
        """The answer."""
        ...


def asked(asking: Generator[CloudRequest, CloudAnswer, R], web: Web, most: int) -> R | None:
    """What a generator comes to that yields requests and is sent their answers; None after ``most`` of them."""
    try:
        request = next(asking)
        for _ in range(most):
            request = asking.send(web.ask(request))
    except StopIteration as over:
        found: R = over.value
        return found
    return None


class DirectWeb:
    """A connection for each request: links of one provider are asked minutes apart."""

    def __init__(self, *, timeout_s: float = 30.0, ca_file: Path | None = None, most_bytes: int = _MOST_BYTES) -> None:
        """``ca_file``: only certificates of this CA are good. OSError when it cannot be read as one."""
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._tls = ssl.create_default_context(cafile=ca_file)

    def ask(self, request: CloudRequest) -> CloudAnswer:
        """See ``Web``."""
        there = urlsplit(request.url)
        check_url(request.url)
        port = there.port or _PORTS[there.scheme]
        connection: http.client.HTTPConnection
        if there.scheme == "https":
            connection = http.client.HTTPSConnection(
                there.hostname or "", port, timeout=self._timeout_s, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(there.hostname or "", port, timeout=self._timeout_s)
        path = there.path + (f"?{there.query}" if there.query else "")
        try:
            connection.request(request.method, path or "/", request.body, dict(request.headers))
            answer = connection.getresponse()
            most = min(request.most or self._most_bytes, self._most_bytes)
            body = answer.read(most + 1)
            if len(body) > most:
                return CloudAnswer(status=0, fault="too_large")
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return CloudAnswer(status=answer.status, headers=headers, body=body)
        except TimeoutError:
            return CloudAnswer(status=0, fault="timeout")
        except ssl.SSLError:
            return CloudAnswer(status=0, fault="tls")
        except (OSError, http.client.HTTPException):
            return CloudAnswer(status=0, fault="unreachable")
        finally:
            connection.close()


def check_url(url: str) -> str:
    """The URL. ConfigError for one that is not https, unless it is of this machine."""
    there = urlsplit(url)
    if there.scheme == "https" and there.hostname:
        return url
    if there.scheme == "http" and there.hostname and is_loopback(there.hostname):
        return url
    raise ConfigError(f"a provider is asked by https only, not at {there.scheme}://{there.hostname}")
