"""How a user lets an adapter in: the provider's page, the answer that comes back to this machine, the tokens for it."""

import hashlib
import hmac
import html
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from healthsync_mqtt.adapters.capability import AuthMethod
from healthsync_mqtt.adapters.cloud import TokenRefused, Tokens, authorize_url, clock_of, token_request, tokens_of
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.web import CloudAnswer, Web
from healthsync_mqtt.errors import ConflictError, DeniedError, InputError, UnavailableError
from healthsync_mqtt.model.base64url import base64url

LASTS_S: Final = 600
"""Seconds that a user has to agree."""
_BOUND: Final = "~"
"""In a state, before what it knows of the browser that it was given to."""
_LATE_US: Final = 60_000_000
_PATH: Final = "/callback"
_MOST: Final = 16_384
_AGAIN: Final = "healthsync adapter link USER PROVIDER"


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a user agrees; ``state`` comes back with the answer."""

    url: str
    state: str


def invite(
    book: LinkBook, ready: ReadyAdapter, user: str, redirect: str, now_us: int, *, browser: str = ""
) -> Invitation:
    """A page for the user, and what is expected back from it, once, within ten minutes.

    ``browser``: a word that the user's browser keeps; who comes back without it is another one. Nothing: whoever was
    given the page may come back.
    """
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    if browser:
        state += _BOUND + _mark_of(browser)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64url(digest)
    capability = ready.adapter.capability
    if capability.auth is not AuthMethod.oauth2_pkce:
        challenge = ""
    until_us = now_us + LASTS_S * 1_000_000
    book.expect(state, user, ready.adapter.name, redirect=redirect, verifier=verifier, until_us=until_us)
    url = authorize_url(
        ready.cloud, ready.client, capability.scopes, redirect=redirect, state=state, challenge=challenge
    )
    return Invitation(url, state)


def finish(
    book: LinkBook,
    web: Web,
    ready_of: Callable[[str], ReadyAdapter],
    redirected: str,
    now_us: int,
    *,
    browser: str = "",
) -> CloudLink:
    """The link that an answer of a provider makes: ``redirected`` is where it sent the user's browser.

    ConflictError for an answer that was not asked for, or by another ``browser``; DeniedError when the user did not
    agree. What ``ready_of`` raises goes through.
    """
    query = {name: values[0] for name, values in parse_qs(urlsplit(redirected).query).items()}
    _, bound, mark = query.get("state", "").partition(_BOUND)
    if bound and not hmac.compare_digest(mark.encode(), _mark_of(browser).encode()):
        raise ConflictError("this was begun in another browser", hint="begin and end it in the same one")
    user, provider, redirect, verifier = book.expected(query.get("state", ""), now_us)
    ready = ready_of(provider)
    if "code" not in query:
        why = "".join(each for each in query.get("error", "there is no code in its answer") if each.isprintable())[:64]
        raise DeniedError(f"{ready.adapter.capability.title} let nobody in: {why}", hint=_AGAIN)
    grant = {"code": query["code"], "redirect_uri": redirect}
    if ready.adapter.capability.auth is AuthMethod.oauth2_pkce:
        grant["code_verifier"] = verifier
    answer = web.ask(token_request(ready.cloud, ready.client, grant))
    found = tokens_of(ready.cloud, answer, now_us)
    if isinstance(found, TokenRefused):
        raise UnavailableError(
            f"{ready.adapter.capability.title} gave no tokens: {found.why}",
            hint=f"codes live for seconds, so start again: {_AGAIN}",
        )
    scopes = query.get("scope") or found.scopes
    _enough(ready, found, scopes)
    linked_us = now_us - _ahead_us(answer, now_us)
    return book.agree(user, provider, found, scopes or " ".join(ready.adapter.capability.scopes), linked_us)


def _ahead_us(answer: CloudAnswer, now_us: int) -> int:
    """How far our clock is ahead of the provider's, whose history is counted from the link on; 0 where it is right."""
    clock = clock_of(answer)
    ahead_us = 0 if clock is None else now_us - clock * 1_000_000
    return ahead_us if ahead_us > _LATE_US else 0


def _enough(ready: ReadyAdapter, tokens: Tokens, scopes: str) -> None:
    """InputError where what was agreed to is of no use."""
    capability = ready.adapter.capability
    if "offline" in capability.scopes and not tokens.refresh:
        raise InputError(
            f"{capability.title} gave no refresh token: such a link works for an hour",
            hint=f"the app needs the scope offline; then {_AGAIN}",
        )
    if capability.name == "strava" and scopes and "activity:read" not in scopes:
        raise InputError("activities were not agreed to, and nothing else is fetched", hint=_AGAIN)


def _mark_of(browser: str) -> str:
    return base64url(hashlib.sha256(browser.encode()).digest()[:16])


class Callback:
    """One answer of a browser, on a port of this machine."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """UnavailableError for a port that is taken."""
        try:
            self._socket = socket.create_server((host, port), backlog=8)
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {host}:{port}: {error.strerror}", hint="take another port: --port"
            ) from None
        self.url = f"http://{host}:{self._socket.getsockname()[1]}{_PATH}"

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def wait(self, state: str, within_s: float) -> str:
        """The path and query that the browser was sent to with this state. UnavailableError when time is up."""
        until = time.monotonic() + within_s
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                browser, _ = self._socket.accept()
            except TimeoutError:
                break
            with browser:
                asked = _asked(browser)
                whole = urlsplit(asked)
                if whole.path == _PATH and parse_qs(whole.query).get("state") == [state]:
                    _say(browser, 200, "This is done here: what comes next is said where it was begun.")
                    return asked
                _say(browser, 404, "Nothing is asked for here.")
        raise UnavailableError("nobody agreed in time", hint=_AGAIN)


def _asked(browser: socket.socket) -> str:
    """The target of a request's first line; empty for what is no request."""
    browser.settimeout(5.0)
    data = b""
    try:
        while b"\r\n\r\n" not in data and len(data) < _MOST:
            part = browser.recv(4_096)
            if not part:
                break
            data += part
    except OSError:
        return ""
    words = data.split(b"\r\n", 1)[0].split(b" ")
    return words[1].decode("ascii", "replace") if len(words) == 3 and words[0] == b"GET" else ""


def _say(browser: socket.socket, status: int, text: str) -> None:
    body = f"<!doctype html><title>HealthSync</title><p>{html.escape(text)}</p>".encode()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}\r\n"
        "Content-Type: text/html; charset=utf-8\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        browser.sendall(head.encode() + body)
    except OSError:
        return
