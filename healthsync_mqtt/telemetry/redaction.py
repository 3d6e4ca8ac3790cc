"""What a log line may not carry: secrets and health values. Characters that a terminal obeys: ``model.text``."""

import math
import re
from itertools import pairwise
from typing import Any, Final

REDACTED: Final = "[redacted]"
MAX_TEXT: Final = 512
"""Longer texts are cut: a log line names things, it does not carry them."""

_MAX_ITEMS = 32
_MAX_DEPTH = 4
_SECRET_WORDS = frozenset({
    "apikey", "authorization", "body", "code", "credential", "credentials", "passphrase", "password", "payload", "pem",
    "raw", "secret", "token", "value",
})  # fmt: skip
_SECRET_ENDS = ("api_key", "private_key")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4}")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_BEARER = re.compile(r"\b(bearer|basic)\s+[^\s\"']+", re.IGNORECASE)
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{41,}={0,2}")
#: What ``secrets.token_urlsafe(32)`` makes, and longer: base64url in one piece.
_SECRET_RUN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43,}(?![A-Za-z0-9_-])")
_MIXED = tuple(re.compile(kind) for kind in ("[a-z]", "[A-Z]"))


def is_secret_key(key: str, value: object = "") -> bool:
    """Whether a value under this key is hidden: a secret word itself, or one at the end (``access_token``).

    A ``code`` that is a number is one of a protocol or a process, and no secret.
    """
    name = key.lower().replace("-", "_")
    word = name.rsplit("_", 1)[-1]
    if word == "code" and (value is None or isinstance(value, int)):
        return False
    return word in _SECRET_WORDS or name.endswith(_SECRET_ENDS)


def redact(text: str) -> str:
    """``text`` without JWTs, PEM blocks, credentials and long base64."""
    if "-----BEGIN" in text:
        text = _PEM.sub(REDACTED, text)
    if "eyJ" in text:
        text = _JWT.sub(REDACTED, text)
    text = _BEARER.sub(lambda found: f"{found[1]} {REDACTED}", text)
    return _LONG_RUN.sub(_hide_base64, _SECRET_RUN.sub(_hide_mixed, text))


def redacted_and_cut(text: str, most: int) -> str:
    """``text`` without secrets and no longer than ``most`` characters: the cut comes last, so that it halves none."""
    text = redact(text)
    return text if len(text) <= most else f"{text[:most]}…"


def clean(value: Any, *, depth: int = 0) -> Any:
    """``value`` as it may be logged: scalars, and bounded lists and dictionaries of them; other objects by type."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redacted_and_cut(value, MAX_TEXT)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, BaseException):
        return type(value).__name__
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return clean_keys({str(key): item for key, item in list(value.items())[:_MAX_ITEMS]}, depth=depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, depth=depth + 1) for item in list(value)[:_MAX_ITEMS]]
    if hasattr(value, "__fspath__"):
        return redact(str(value))
    return f"[{type(value).__name__}]"


def clean_keys(keys: dict[str, Any], *, depth: int = 0) -> dict[str, Any]:
    """The keys of one log line, each value as it may be logged."""
    return {key: REDACTED if is_secret_key(key, value) else clean(value, depth=depth) for key, value in keys.items()}


def _hide_mixed(found: re.Match[str]) -> str:
    """Hide a long piece with both cases: one random secret in 10^9 has not both (2 (38/64)^43), and names rarely do."""
    return REDACTED if all(kind.search(found[0]) for kind in _MIXED) else found[0]


def _hide_base64(found: re.Match[str]) -> str:
    """Hide a long run that changes between letter cases and digits as often as base64 does; keep paths and ids."""
    text = found[0]
    classes = ["u" if c.isupper() else "l" if c.islower() else "d" if c.isdigit() else "s" for c in text]
    changes = sum(a != b for a, b in pairwise(classes))
    if changes >= 0.4 * (len(text) - 1) or ("/" not in text and len(text) > 64):
        return REDACTED
    return text
