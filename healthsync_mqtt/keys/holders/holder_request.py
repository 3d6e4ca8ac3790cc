"""One request to a service that holds a key, and its answer: HTTPS, bounded, without redirects, never logged."""

import http.client
import json
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.config.server_address import THIS_MACHINE
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.keys.faults import KeyUnavailableError

WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 1 << 20
_HINT: Final = "see: healthsync key check"


class HolderRefusedError(KeyUnavailableError):
    """The service answered, and not with what was asked for. ``status`` is what HTTP calls it."""

    def __init__(self, who: str, status: int, text: str) -> None:
        super().__init__(f"{who} refuses: {status} {text}".strip(), hint=_HINT)
        self.status = status


def ask(
    who: str,
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    ca_file: Path | None = None,
) -> dict[str, Any]:
    """The JSON object of the answer. HolderRefusedError where it is not 2xx, KeyUnavailableError where it is none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = _trusting(ca_file, 0 if ca_file is None else ca_file.stat().st_mtime_ns)
            connection = http.client.HTTPSConnection(host, parts.port, timeout=WITHIN_S, context=context)
        elif parts.scheme == "http" and host in THIS_MACHINE:
            connection = http.client.HTTPConnection(host, parts.port, timeout=WITHIN_S)
        else:
            raise KeyUnavailableError(f"{who} is asked over HTTPS alone", hint="write its address with https://")
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read(_MOST_BYTES + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or error.__class__.__name__
        raise KeyUnavailableError(f"{who} is away: {why}", hint=_HINT) from error
    if not 200 <= answer.status < 300:
        raise HolderRefusedError(who, answer.status, _reason(content))
    return _object(who, content)


@lru_cache(maxsize=8)
def _trusting(ca_file: Path | None, _changed_ns: int) -> ssl.SSLContext:
    """Reading all that this machine trusts takes longer than the request; a CA that is renewed is read anew."""
    return ssl.create_default_context(cafile=ca_file)


def _object(who: str, content: bytes) -> dict[str, Any]:
    if not content.strip():
        return {}
    try:
        found = json.loads(content) if len(content) <= _MOST_BYTES else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise KeyUnavailableError(f"{who} answers with something that is not its own", hint=_HINT)
    return found


def _reason(content: bytes) -> str:
    """What the service says, in the word that each has for it; nothing of what was asked is in it."""
    try:
        said = json.loads(content)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    error = said.get("error")
    inner = error if isinstance(error, dict) else {}
    errors = said.get("errors")
    words = [inner.get("status") or inner.get("code"), error, said.get("__type")]
    words += errors[:1] if isinstance(errors, list) else []
    return next((each[:200] for each in words if isinstance(each, str)), "")


def posted(body: Mapping[str, Any]) -> bytes:
    """A JSON body."""
    return json.dumps(body).encode()


def secret_of(who: str, file: Path | None, setting: str) -> str:
    """What a private file holds. KeyUnavailableError where it is not named or not to be read."""
    if file is None:
        raise KeyUnavailableError(f"{who} needs a secret", hint=f"set {setting} to a private file that holds it")
    try:
        return read_private(file).decode(errors="surrogateescape").strip()
    except ConfigError as error:
        raise KeyUnavailableError(f"the secret of {who} cannot be read: {error}", hint=error.hint) from error
    except OSError as error:
        raise KeyUnavailableError(f"the secret of {who} cannot be read: {error.strerror}", hint=setting) from error
