"""An authenticator in software: makes passkeys and signs with them, as WebAuthn Level 2 writes both down."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    """Base64url without padding, as browsers write it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def plain(said: str) -> bytes:
    """The same backwards."""
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))


def cbor(value: Any) -> bytes:
    """RFC 8949 of what an attestation object is made of: integers, bytes, texts and maps."""
    match value:
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case dict():
            return _head(5, len(value)) + b"".join(cbor(key) + cbor(each) for key, each in value.items())
        case _:
            raise TypeError(type(value))


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = 1 if number < 256 else 2
    return bytes([major << 5 | 23 + size]) + number.to_bytes(size)


@dataclass
class Held:
    """A passkey that the authenticator holds."""

    key: ec.EllipticCurvePrivateKey
    domain: str
    handle: str
    count: int = 0
    id: str = field(default_factory=lambda: text(secrets.token_bytes(32)))


@dataclass
class Authenticator:
    """A device and the browser in front of it, at a page of ``origin``. ``flags`` are what it says of the person."""

    origin: str
    flags: int = PRESENT | VERIFIED
    held: list[Held] = field(default_factory=list)

    def make(self, options: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """What `create()` gives for these options; ``changed`` is said otherwise in the client data."""
        assert -7 in {each["alg"] for each in options["pubKeyCredParams"]}
        made = Held(ec.generate_private_key(ec.SECP256R1()), options["rp"]["id"], options["user"]["id"])
        self.held.append(made)
        point = made.key.public_key().public_numbers()
        cose = cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})
        name = plain(made.id)
        data = self._data(made, ATTESTED) + bytes(16) + len(name).to_bytes(2) + name + cose
        response = {
            "clientDataJSON": text(self._client("webauthn.create", options, changed)),
            "attestationObject": text(cbor({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return self._told(made, response)

    def sign(self, options: dict[str, Any], held: Held | None = None, **changed: Any) -> dict[str, Any]:
        """What `get()` gives for these options, with the newest passkey or ``held``."""
        using = held or self.held[-1]
        using.count += 1
        client, data = self._client("webauthn.get", options, changed), self._data(using, 0)
        signature = using.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": text(client),
            "authenticatorData": text(data),
            "signature": text(signature),
            "userHandle": using.handle,
        }
        return self._told(using, response)

    def _client(self, kind: str, options: dict[str, Any], changed: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | changed).encode()

    def _data(self, held: Held, also: int) -> bytes:
        return hashlib.sha256(held.domain.encode()).digest() + bytes([self.flags | also]) + held.count.to_bytes(4)

    @staticmethod
    def _told(held: Held, response: dict[str, str]) -> dict[str, Any]:
        return {
            "id": held.id,
            "rawId": held.id,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
