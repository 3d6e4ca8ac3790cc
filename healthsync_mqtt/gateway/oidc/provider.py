"""An OpenID provider as it is asked: what it says of itself, its keys, and the id token that a code is good for.

It is asked where the operator says it is, and where it says itself that the rest is: on its own host, or with https at
a public address, so that what it says leads nobody to a machine that only this one reaches. Redirects are not followed.
"""

import base64
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest, Web
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.config.sections import OidcSettings
from healthsync_mqtt.errors import TokenError, UnavailableError
from healthsync_mqtt.gateway.connections.public_https import is_public
from healthsync_mqtt.gateway.oidc.id_token import Expected, claims_of, key_of
from healthsync_mqtt.gateway.oidc.round import Round

KNOWN_S: Final = 3_600.0
"""Seconds for which what it says of itself, and its keys, are not asked for again."""
AGAIN_S: Final = 30.0
"""Seconds after which keys are asked for again for a token whose key was not among them."""
_MOST_BYTES: Final = 1 << 20
_BASIC, _POST = "client_secret_basic", "client_secret_post"


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a name. OSError."""
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """What a provider says of itself, as far as it is used (OpenID Connect Discovery 1.0)."""

    authorization: str
    token: str
    keys: str
    logout: str
    methods: tuple[str, ...]
    names_itself: bool


class OidcProvider:
    """One provider. Calls block for it, from any thread; UnavailableError when it is away or says nonsense."""

    def __init__(
        self,
        settings: OidcSettings,
        redirect_uri: str,
        web: Web,
        *,
        clock: Callable[[], float] = time.monotonic,
        resolve: Callable[[str, int], list[str]] = addresses_of,
    ) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._web = web
        self._clock = clock
        self._resolve = resolve
        self._lock = Lock()
        self._said: tuple[ProviderMetadata, float] | None = None
        self._keys: tuple[list[Mapping[str, Any]], float] | None = None

    def address(self, begun: Round) -> str:
        """Where the browser goes to sign in."""
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self._settings.scopes))),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        return _with(self._metadata().authorization, asked)

    def logout_address(self, back: str) -> str | None:
        """Where a browser ends the session there, too; None: the provider has no such place."""
        logout = self._metadata().logout
        if not logout:
            return None
        return _with(logout, {"client_id": self._settings.client_id, "post_logout_redirect_uri": back})

    def claims(self, begun: Round, code: str, issuer: str | None) -> Mapping[str, Any]:
        """What the id token says that a code is good for. TokenError. ``issuer``: who says to have sent the browser."""
        metadata = self._metadata()
        if issuer != self._settings.issuer and (issuer is not None or metadata.names_itself):
            raise TokenError("another provider has sent the browser")
        token = self._exchanged(metadata, begun, code)
        key = key_of(token, self._published(metadata, KNOWN_S)) or key_of(token, self._published(metadata, AGAIN_S))
        if key is None:
            raise TokenError("the id token is signed with a key that the provider does not publish")
        expected = Expected(self._settings.issuer, self._settings.client_id, begun.nonce)
        return claims_of(token, key, expected)

    def _exchanged(self, metadata: ProviderMetadata, begun: Round, code: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": begun.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client, secret = self._settings.client_id, self._secret()
        if secret and _BASIC in metadata.methods:
            login = f"{quote(client, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        else:
            form |= {"client_id": client} | ({"client_secret": secret} if secret else {})
        answer = self._ask("POST", metadata.token, headers, urlencode(form).encode())
        said = _object(answer)
        if answer.status == HTTPStatus.BAD_REQUEST and said.get("error") == "invalid_grant":
            raise TokenError("the code is not good, or was used before")
        if answer.status != HTTPStatus.OK:
            raise _away(f"answers a code with {answer.status or answer.fault} {_word(said.get('error'))}")
        token = said.get("id_token")
        if not isinstance(token, str):
            raise _away("gives no id token")
        return token

    def _secret(self) -> str:
        file = self._settings.client_secret_file
        return "" if file is None else read_private(file).decode("utf-8", "replace").strip()

    def _metadata(self) -> ProviderMetadata:
        with self._lock:
            now = self._clock()
            if self._said is None or now >= self._said[1] + KNOWN_S:
                self._said = self._discovered(), now
            return self._said[0]

    def _discovered(self) -> ProviderMetadata:
        issuer = self._settings.issuer
        said = self._got(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != issuer:
            raise _away("calls itself by another name than gateway.oidc.issuer")
        methods = said.get("token_endpoint_auth_methods_supported", [_BASIC])
        return ProviderMetadata(
            authorization=self._place(said, "authorization_endpoint"),
            token=self._place(said, "token_endpoint"),
            keys=self._place(said, "jwks_uri"),
            logout=self._place(said, "end_session_endpoint") if "end_session_endpoint" in said else "",
            methods=tuple(each for each in methods if isinstance(each, str)) if isinstance(methods, list) else (_POST,),
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )

    def _place(self, said: Mapping[str, Any], name: str) -> str:
        """A URL that the provider names: as safe as the issuer's."""
        url, issuer = said.get(name), urlsplit(self._settings.issuer)
        there = urlsplit(url) if isinstance(url, str) else urlsplit("")
        own = there.hostname == issuer.hostname and there.scheme in {"https", issuer.scheme}
        if not there.hostname or there.fragment or there.username is not None or not (own or there.scheme == "https"):
            raise _away(f"names no place for {name} that can be trusted")
        return str(url)

    def _published(self, metadata: ProviderMetadata, known_s: float) -> list[Mapping[str, Any]]:
        with self._lock:
            now = self._clock()
            if self._keys is None or now >= self._keys[1] + known_s:
                keys = self._got(metadata.keys).get("keys")
                if not isinstance(keys, list):
                    raise _away("publishes no keys")
                self._keys = [key for key in keys if isinstance(key, dict)], now
            return self._keys[0]

    def _got(self, url: str) -> dict[str, Any]:
        answer = self._ask("GET", url, {"Accept": "application/json"}, None)
        if answer.status != HTTPStatus.OK:
            raise _away(f"answers {answer.status or answer.fault}")
        return _object(answer)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> CloudAnswer:
        there, issuer = urlsplit(url), urlsplit(self._settings.issuer)
        if there.hostname != issuer.hostname:
            try:
                found = self._resolve(there.hostname or "", there.port or 443)
            except OSError:
                raise _away("names a host that has no address") from None
            if not found or not all(map(is_public, found)):
                raise _away("names a host in a private network that is not its own")
        return self._web.ask(CloudRequest(method=method, url=url, headers=headers, body=body, most=_MOST_BYTES))


def _with(url: str, asked: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(asked)}"


def _object(answer: CloudAnswer) -> dict[str, Any]:
    try:
        said = json.loads(answer.body or b"{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _away("answers with no JSON object")
    return said


def _word(said: object) -> str:
    return said if isinstance(said, str) and said.isascii() and said.replace("_", "").isalnum() else ""


def _away(what: str) -> UnavailableError:
    return UnavailableError(f"the organisation's login {what.strip()}", hint="look at gateway.oidc, or try again later")
