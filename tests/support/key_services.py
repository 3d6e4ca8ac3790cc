"""Services that hold keys, on loopback: each speaks the calls of its documentation and refuses everything else loudly.

They are strict about who asks (token, signature, grant) and about the exact body, and keep their keys in memory.
"""

import hashlib
import hmac
import json
import secrets
import threading
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Answered = tuple[int, Any]


class Service:
    """One service on a port of its own. ``away`` has it answer 503; ``asked`` is what it was asked, in order."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[str] = []
        self.unknown: list[str] = []
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._do("GET")

            def do_POST(self) -> None:
                self._do("POST")

            def _do(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.bodies.append(body)
                parts = urlsplit(self.path)
                outer.asked.append(f"{method} {parts.path}")
                try:
                    status, said = (503, {}) if outer.away else outer.answer(method, parts, dict(self.headers), body)
                except AssertionError as error:
                    outer.unknown.append(f"{method} {self.path}: {error}")
                    status, said = 501, {}
                content = json.dumps(said).encode() if said is not None else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, method: str, parts: Any, headers: Mapping[str, str], body: bytes) -> Answered:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.unknown == [], "it was asked what no documentation has"


class _Versions:
    """AES keys by version, from 1."""

    def __init__(self) -> None:
        self.keys: dict[int, bytes] = {1: secrets.token_bytes(32)}

    @property
    def newest(self) -> int:
        return max(self.keys)

    def rotate(self) -> int:
        self.keys[self.newest + 1] = secrets.token_bytes(32)
        return self.newest

    def seal(self, value: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self.keys[self.newest]).encrypt(nonce, value, None)

    def open(self, version: int, sealed: bytes) -> bytes | None:
        try:
            return AESGCM(self.keys[version]).decrypt(sealed[:12], sealed[12:], None)
        except (InvalidTag, KeyError, ValueError):
            return None


class Vault(Service):
    """Transit secrets engine, HTTP API: encrypt, decrypt, read key, rotate, config, trim."""

    TOKEN = "hvs.test-token"

    def __init__(self) -> None:
        self.versions = _Versions()
        self.least = 1
        self.may_configure = True
        super().__init__()

    def answer(self, method: str, parts: Any, headers: Mapping[str, str], body: bytes) -> Answered:
        if headers.get("X-Vault-Token") != self.TOKEN:
            return 403, {"errors": ["permission denied"]}
        asked = json.loads(body) if body else {}
        versions = self.versions
        match method, parts.path:
            case "GET", "/v1/transit/keys/healthsync":
                return 200, {"data": {"latest_version": versions.newest, "min_decryption_version": self.least}}
            case "POST", "/v1/transit/encrypt/healthsync":
                assert set(asked) == {"plaintext"}
                sealed = b64encode(versions.seal(b64decode(asked["plaintext"], validate=True))).decode()
                return 200, {
                    "data": {"ciphertext": f"vault:v{versions.newest}:{sealed}", "key_version": versions.newest}
                }
            case "POST", "/v1/transit/decrypt/healthsync":
                assert set(asked) == {"ciphertext"}
                name, version, sealed = asked["ciphertext"].split(":")
                assert (name, version[0]) == ("vault", "v")
                if not version[1:].isdigit() or int(version[1:]) < self.least:
                    return 400, {"errors": ["ciphertext or signature version is disallowed by policy (too old)"]}
                value = versions.open(int(version[1:]), b64decode(sealed))
                if value is None:
                    return 400, {"errors": ["cipher: message authentication failed"]}
                return 200, {"data": {"plaintext": b64encode(value).decode()}}
            case "POST", "/v1/transit/keys/healthsync/rotate":
                versions.rotate()
                return 204, None
            case "POST", "/v1/transit/keys/healthsync/config":
                if not self.may_configure:
                    return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
                assert set(asked) == {"min_decryption_version", "min_encryption_version"}
                self.least = asked["min_decryption_version"]
                return 200, {}
            case "POST", "/v1/transit/keys/healthsync/trim":
                assert asked["min_available_version"] <= self.least
                versions.keys = {no: key for no, key in versions.keys.items() if no >= asked["min_available_version"]}
                return 204, None
        raise AssertionError("no such call")


class Aws(Service):
    """AWS KMS, API 2014-11-01, JSON 1.1 with Signature Version 4. Rotations take ``slow`` looks to be done."""

    REGION, KEY = "eu-central-1", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    def __init__(self) -> None:
        self.versions = _Versions()
        self.slow = 0
        self._pending = 0
        super().__init__()

    def answer(self, method: str, parts: Any, headers: Mapping[str, str], body: bytes) -> Answered:
        assert (method, parts.path) == ("POST", "/")
        assert headers["Content-Type"] == "application/x-amz-json-1.1"
        if not self._is_signed(headers, body):
            return 400, {"__type": "InvalidSignatureException"}
        asked = json.loads(body)
        if asked.pop("KeyId") != self.KEY:
            return 400, {"__type": "NotFoundException"}
        target = headers["X-Amz-Target"].removeprefix("TrentService.")
        match target:
            case "Encrypt":
                assert set(asked) == {"Plaintext"}
                sealed = bytes([self.versions.newest]) + self.versions.seal(b64decode(asked["Plaintext"]))
                return 200, {"CiphertextBlob": b64encode(sealed).decode(), "KeyId": self.KEY}
            case "Decrypt":
                assert set(asked) == {"CiphertextBlob"}
                sealed = b64decode(asked["CiphertextBlob"])
                value = self.versions.open(sealed[0], sealed[1:]) if sealed else None
                if value is None:
                    return 400, {"__type": "InvalidCiphertextException"}
                return 200, {"Plaintext": b64encode(value).decode(), "KeyId": self.KEY}
            case "ListKeyRotations":
                return self._rotations(asked)
            case "RotateKeyOnDemand":
                assert asked == {}
                self._pending = self.slow + 1
                return 200, {"KeyId": self.KEY}
        raise AssertionError("no such action")

    def _rotations(self, asked: dict[str, Any]) -> Answered:
        assert asked.pop("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        if self._pending:
            self._pending -= 1
            if not self._pending:
                self.versions.rotate()
        known = sorted(self.versions.keys)
        at = int(asked.pop("Marker", "0"))
        assert asked == {}
        row = {
            "KeyId": self.KEY,
            "KeyMaterialId": f"{known[at]:064x}",
            "KeyMaterialState": "CURRENT" if known[at] == self.versions.newest else "NON_CURRENT",
        }
        more = {"Truncated": True, "NextMarker": str(at + 1)} if at + 1 < len(known) else {"Truncated": False}
        return 200, {"Rotations": [row], **more}

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """By the steps of "Create a signed AWS API request", which are written anew here."""
        how, _, rest = headers["Authorization"].partition(" ")
        given = dict(each.split("=", 1) for each in rest.split(", "))
        names = given["SignedHeaders"].split(";")
        assert {"host", "x-amz-date"} <= set(names)
        low = {name.lower(): value.strip() for name, value in headers.items()}
        lines = "".join(f"{name}:{low[name]}\n" for name in names)
        canonical = f"POST\n/\n\n{lines}\n{given['SignedHeaders']}\n{hashlib.sha256(body).hexdigest()}"
        access, day, region, service, end = given["Credential"].split("/")
        if (how, access, region, service, end) != ("AWS4-HMAC-SHA256", self.ACCESS, self.REGION, "kms", "aws4_request"):
            return False
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        told = f"{how}\n{low['x-amz-date']}\n{day}/{region}/kms/aws4_request\n{digest}"
        key = signing_key(self.SECRET, day, region, "kms")
        return hmac.new(key, told.encode(), hashlib.sha256).hexdigest() == given["Signature"]


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for word in (day, region, service, "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key


class Google(Service):
    """Cloud KMS v1 (encrypt, decrypt, get, cryptoKeyVersions.create, updatePrimaryVersion), and the token endpoint."""

    KEY = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/healthsync"
    EMAIL = "service@p.iam.gserviceaccount.com"

    def __init__(self, public: Any) -> None:
        self.versions = _Versions()
        self.primary = 1
        self._public = public
        self._tokens: set[str] = set()
        super().__init__()

    def answer(self, method: str, parts: Any, headers: Mapping[str, str], body: bytes) -> Answered:
        if parts.path == "/token":
            return self._token(body)
        if headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
        asked = json.loads(body) if body else {}
        name = f"{self.KEY}/cryptoKeyVersions"
        match method, parts.path.removeprefix(f"/v1/{self.KEY}"):
            case "GET", "":
                return 200, {"name": self.KEY, "primary": {"name": f"{name}/{self.primary}", "state": "ENABLED"}}
            case "POST", ":encrypt":
                assert set(asked) == {"plaintext"}
                sealed = bytes([self.primary]) + self.versions.seal(b64decode(asked["plaintext"]))
                return 200, {"name": f"{name}/{self.primary}", "ciphertext": b64encode(sealed).decode()}
            case "POST", ":decrypt":
                assert set(asked) == {"ciphertext"}
                sealed = b64decode(asked["ciphertext"])
                value = self.versions.open(sealed[0], sealed[1:]) if sealed else None
                if value is None:
                    return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}
                return 200, {"plaintext": b64encode(value).decode(), "usedPrimary": sealed[0] == self.primary}
            case "POST", "/cryptoKeyVersions":
                return 200, {"name": f"{name}/{self.versions.rotate()}", "state": "ENABLED"}
            case "POST", ":updatePrimaryVersion":
                self.primary = int(asked["cryptoKeyVersionId"])
                return 200, {"name": self.KEY, "primary": {"name": f"{name}/{self.primary}"}}
        raise AssertionError("no such method")

    def _token(self, body: bytes) -> Answered:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = jwt.decode(form["assertion"], self._public, algorithms=["RS256"], audience=f"{self.url}/token")
        assert (claims["iss"], claims["scope"]) == (self.EMAIL, "https://www.googleapis.com/auth/cloudkms")
        token = secrets.token_hex(8)
        self._tokens.add(token)
        return 200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}


class Azure(Service):
    """Key Vault 7.4 (get key, wrapkey, unwrapkey, rotate), and the token endpoint of a directory."""

    TENANT, CLIENT, SECRET = "11111111-2222-3333-4444-555555555555", "app", "azure-secret"

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.newest = ""
        self._tokens: set[str] = set()
        self._rotate()
        super().__init__()

    def _rotate(self) -> str:
        self.newest = secrets.token_hex(16)
        self.keys[self.newest] = rsa.generate_private_key(65537, 2048)
        return self.newest

    def answer(self, method: str, parts: Any, headers: Mapping[str, str], body: bytes) -> Answered:
        if parts.path == f"/{self.TENANT}/oauth2/v2.0/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            assert form["scope"] == "https://vault.azure.net/.default"
            assert form["grant_type"] == "client_credentials"
            if (form["client_id"], form["client_secret"]) != (self.CLIENT, self.SECRET):
                return 401, {"error": "invalid_client"}
            token = secrets.token_hex(8)
            self._tokens.add(token)
            return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token}
        assert parts.query == "api-version=7.4"
        if headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            return 401, {"error": {"code": "Unauthorized"}}
        words = parts.path.removeprefix("/keys/healthsync").strip("/").split("/")
        asked = json.loads(body) if body else {}
        match method, words:
            case "GET", [""]:
                return 200, {"key": {"kid": self._kid(self.newest), "kty": "RSA"}}
            case "POST", ["rotate"]:
                return 200, {"key": {"kid": self._kid(self._rotate()), "kty": "RSA"}}
            case "POST", [version, "wrapkey" | "unwrapkey" as what]:
                key = self.keys.get(version)
                if key is None:
                    return 404, {"error": {"code": "KeyNotFound"}}
                assert asked["alg"] == "RSA-OAEP-256"
                value = urlsafe_b64decode(asked["value"] + "==")
                how = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
                try:
                    done = key.public_key().encrypt(value, how) if what == "wrapkey" else key.decrypt(value, how)
                except ValueError:
                    return 400, {"error": {"code": "BadParameter"}}
                return 200, {"kid": self._kid(version), "value": urlsafe_b64encode(done).rstrip(b"=").decode()}
        raise AssertionError("no such call")

    def _kid(self, version: str) -> str:
        return f"{self.url if hasattr(self, '_server') else ''}/keys/healthsync/{version}"
