"""An OpenID provider that a test writes: the documented calls of the code flow with PKCE, and tokens that are signed.

OpenID Connect Core 1.0 §3.1 and §5, Discovery 1.0 §4, RFC 7636, RFC 6749 §2.3.1, RP-Initiated Logout 1.0. Whatever else
is asked, or is asked otherwise than documented, is refused and kept in ``faults``.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from tests.support.loopback import served

CLIENT, SECRET = "healthsync & co", "s3cret:/%+"
"""Such as have to be written otherwise in a header."""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass
class ScriptedProvider:
    """One of them. It is a ``Web`` by itself; ``serving`` puts it on a port of this machine."""

    redirect_uri: str
    issuer: str = "https://login.example.org/realms/staff"
    secret: str = SECRET
    keys: dict[str, tuple[str, Key]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    """What it says of itself otherwise; None: it does not say that."""
    answers: dict[str, CloudAnswer] = field(default_factory=dict)
    """By a path: what it answers there instead."""
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tells_issuer: bool = False
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add_key("k-1", "ES256")

    def add_key(self, kid: str, algorithm: str) -> None:
        """Sign with a new key from now on."""
        made: Key
        match algorithm[:2]:
            case "RS" | "PS":
                made = rsa.generate_private_key(65_537, 2_048)
            case "ES":
                made = ec.generate_private_key(ec.SECP256R1())
            case _:
                made = ed25519.Ed25519PrivateKey.generate()
        self.keys[kid] = algorithm, made

    def documented(self) -> dict[str, Any]:
        """Its discovery document."""
        said: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?realm=staff",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        } | ({"authorization_response_iss_parameter_supported": True} if self.tells_issuer else {})
        return {name: value for name, value in (said | self.metadata).items() if value is not None}

    # -- where people sign in

    def sign_in(self, url: str, claims: dict[str, Any], *, token: str | None = None) -> str:
        """Where a browser is sent back to that was sent to ``url``, of a person of whom it says these claims.

        ``token``: the id token that it gives then, whatever is in it.
        """
        there = urlsplit(url)
        asked = dict(parse_qsl(there.query, strict_parsing=True))
        expected = {"client_id": CLIENT, "redirect_uri": self.redirect_uri, "response_type": "code", "realm": "staff"}
        wrong = {name: asked.get(name) for name, value in expected.items() if asked.get(name) != value}
        self._expect(not wrong, f"authorize with {wrong}")
        self._expect(url.startswith(f"{self.issuer}/authorize?"), f"authorize at {url}")
        self._expect("openid" in asked.get("scope", "").split(), "no scope openid")
        self._expect(asked.get("code_challenge_method") == "S256", "PKCE without S256")
        self._expect(min(len(asked.get(each, "")) for each in ("state", "nonce", "code_challenge")) >= 43, "no entropy")
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        self._tokens[code] = self.token(asked, claims) if token is None else token
        also = {"iss": self.issuer} if self.tells_issuer else {}
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']} | also)}"

    def token(self, asked: dict[str, str], claims: dict[str, Any], kid: str = "") -> str:
        """An id token for what was asked. A claim that is None is left out."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "248289761001",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
        }
        kid = kid or list(self.keys)[-1]
        algorithm, key = self.keys[kid]
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})

    # -- what services ask

    def ask(self, request: CloudRequest) -> CloudAnswer:
        """See ``Web``."""
        path = request.url.removeprefix(self.issuer)
        self.asked.append(f"{request.method} {path}")
        if path in self.answers:
            return self.answers[path]
        match request.method, path:
            case "GET", "/.well-known/openid-configuration":
                return _answer(200, self.documented())
            case "GET", "/keys":
                return _answer(200, {"keys": [self._published(kid) for kid in self.keys]})
            case "POST", "/token":
                return self._exchanged(request)
        self._expect(False, f"{request.method} {request.url}")
        return _answer(404, {})

    def _published(self, kid: str) -> dict[str, Any]:
        algorithm, key = self.keys[kid]
        public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
        return {**public, "kid": kid, "use": "sig", "alg": algorithm}

    def _exchanged(self, request: CloudRequest) -> CloudAnswer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._expect(headers.get("content-type") == "application/x-www-form-urlencoded", "no form")
        form = dict(parse_qsl((request.body or b"").decode(), strict_parsing=True))
        said = headers.get("authorization", "")
        if said:
            name, _, secret = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
            login, repeated = (unquote(name), unquote(secret)), {"client_id", "client_secret"} & set(form)
            self._expect(not repeated, "a client says twice who it is")
        else:
            login = form.pop("client_id", ""), form.pop("client_secret", "")
        if login != (CLIENT, self.secret):
            return _answer(401, {"error": "invalid_client"})
        names = {"grant_type", "code", "redirect_uri", "code_verifier"}
        self._expect(set(form) == names and form["grant_type"] == "authorization_code", f"a token by {sorted(form)}")
        asked = self._codes.pop(form["code"], None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if asked is None or form["redirect_uri"] != asked["redirect_uri"] or digest != asked["code_challenge"]:
            return _answer(400, {"error": "invalid_grant"})
        token = self._tokens.pop(form["code"])
        return _answer(200, {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _expect(self, good: bool, fault: str) -> None:
        if not good:
            self.faults.append(fault)


def _answer(status: int, document: Any) -> CloudAnswer:
    return CloudAnswer(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode())


@contextlib.contextmanager
def serving(provider: ScriptedProvider) -> Iterator[str]:
    """The provider on a port of this machine, which is its issuer then."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            url = f"http://{self.headers['Host']}{quote(self.path, safe='/?&=%')}"
            found = provider.ask(
                CloudRequest(method=self.command, url=url, headers=dict(self.headers), body=self.rfile.read(length))
            )
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815  # the library's names

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the library's name

    with served(Handler) as url:
        provider.issuer = f"{url}/realms/staff"
        yield provider.issuer
