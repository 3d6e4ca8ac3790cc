"""How providers sign what they send: an HMAC in one of three writings, and Google's ECDSA of a set of public keys.

All compare in constant time, and none raises for what a stranger says.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

import jiter
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

LATE_S: Final = 300
"""Seconds that what a provider signed with a time stamp is good for, before and after."""
_TINK: Final = 1
_HEAD: Final = 5
_LENGTH_DELIMITED: Final = 2
_VARINT: Final = 0
_MOST_KEYS: Final = 64


def signed_hex(secret: str, message: bytes, said: str) -> bool:
    """Whether ``said`` is the HMAC-SHA256 in hexadecimal, of small or large letters."""
    return bool(secret) and hmac.compare_digest(_digest(secret, message).hex().encode(), said.strip().lower().encode())


def signed_base64(secret: str, message: bytes, said: str) -> bool:
    """Whether ``said`` is the HMAC-SHA256 in base64."""
    return bool(secret) and hmac.compare_digest(base64.b64encode(_digest(secret, message)), said.strip().encode())


def same(said: str, known: str) -> bool:
    """Whether a stranger said what is known; nothing is never it."""
    return bool(known) and hmac.compare_digest(said.encode(), known.encode())


def fresh(stamp: str, now_us: int, *, a_second: int = 1) -> bool:
    """Whether a time stamp of ``a_second`` ticks a second is of now."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 16):
        return False
    return abs(int(stamp) / a_second - now_us / 1e6) <= LATE_S


def _digest(secret: str, message: bytes) -> bytes:
    return hmac.digest(secret.encode(), message, "sha256")


class KeyVerdict(StrEnum):
    """What a set of keys says of a signature."""

    good = "good"
    bad = "bad"
    #: the key is not in the set: it may be a new one
    unknown_key = "unknown_key"


def signed_tink(keys: str, message: bytes, said: str) -> KeyVerdict:
    """What Tink's signature is by this set of keys: base64 of 0x01, four bytes of the key's id, ECDSA in DER."""
    try:
        raw = base64.b64decode(said.strip(), validate=True)
    except (binascii.Error, ValueError):
        return KeyVerdict.bad
    if len(raw) <= _HEAD or raw[0] != _TINK:
        return KeyVerdict.bad
    wanted = int.from_bytes(raw[1:_HEAD], "big")
    for number, status, key in _keys(keys):
        if number != wanted:
            continue
        if status != "ENABLED" or key is None:
            return KeyVerdict.bad
        try:
            key.verify(raw[_HEAD:], message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return KeyVerdict.bad
        return KeyVerdict.good
    return KeyVerdict.unknown_key


def is_keyset(text: bytes) -> bool:
    """Whether this is a set of keys with one that can be used."""
    return any(key is not None and status == "ENABLED" for _, status, key in _keys(text.decode("utf-8", "replace")))


def _keys(text: str) -> Iterator[tuple[int, str, ec.EllipticCurvePublicKey | None]]:
    """Id, status and key of each; no key where it is of a kind that is not known."""
    try:
        document: Any = jiter.from_json(text.encode())
    except ValueError:
        return
    found = document.get("key") if isinstance(document, dict) else None
    for each in (found if isinstance(found, list) else [])[:_MOST_KEYS]:
        data = each.get("keyData") if isinstance(each, dict) else None
        number = each.get("keyId") if isinstance(each, dict) else None
        if isinstance(data, dict) and type(number) is int:
            yield number, str(each.get("status")), _point(data.get("value"))


def _point(value: Any) -> ec.EllipticCurvePublicKey | None:
    """The key of P-256 in Tink's ``EcdsaPublicKey``: x is its field 3, y its field 4, of 32 bytes or 33."""
    if not isinstance(value, str):
        return None
    try:
        fields = dict(_fields(base64.b64decode(value, validate=True)))
        x, y = (int.from_bytes(fields[number], "big") for number in (3, 4))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (binascii.Error, KeyError, ValueError, IndexError):
        return None


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message. ValueError, IndexError."""
    at = 0
    while at < len(data):
        head, at = _varint(data, at)
        number, kind = head >> 3, head & 7
        size, at = _varint(data, at)
        if kind == _VARINT:
            continue
        if kind != _LENGTH_DELIMITED or at + size > len(data):
            raise ValueError("no such field")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return found, at
        if shift > 63:
            raise ValueError("no varint")
