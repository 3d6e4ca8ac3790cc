"""How each provider is told that our access is over: requests, one after the other, of which the last one says whether.

Pure, as ``notices`` is: the worker asks for a parting, a command for a link.
"""

import hmac
from collections.abc import Callable, Generator
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from healthsync_mqtt.adapters.notices import json_of, word_in
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest, Web, asked

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_MOST: Final = 4


class Access(NamedTuple):
    """What is given up. ``account`` is nothing where it is not known any more: of somebody who was erased."""

    base_url: str
    token_url: str
    client_id: str
    client_secret: str
    token: str
    account: str
    now_us: int


class Left(NamedTuple):
    """What came of it. ``again``: the token is not taken, so with a new one it may be."""

    done: bool
    again: bool = False


GivingUp = Generator[CloudRequest, CloudAnswer, Left]
Leave = Callable[[Access], GivingUp]


def told(leave: Leave, access: Access, web: Web) -> Left:
    """Ask until the provider knows, or does not want to."""
    found = asked(leave(access), web, _MOST)
    return Left(done=False) if found is None else found


def by_bearer(method: str, path: str) -> Leave:
    """One request with the token; ``{account}`` in its path is the user there."""

    def leave(access: Access) -> GivingUp:
        if "{account}" in path and not access.account:
            return Left(done=True)  # nobody can be named any more: the token is gone here, and that is all
        url = access.base_url.rstrip("/") + path.replace("{account}", quote(access.account, safe=""))
        answer = yield CloudRequest(method=method, url=url, headers={"Authorization": f"Bearer {access.token}"})
        return _left(answer)

    return leave


def by_query(path: str) -> Leave:
    """One GET that says the token."""

    def leave(access: Access) -> GivingUp:
        url = f"{access.base_url.rstrip('/')}{path}?{urlencode({'access_token': access.token})}"
        return _left((yield CloudRequest(method="GET", url=url)))

    return leave


def beside_tokens(path: str) -> Leave:
    """One form where tokens come from. A token that is not known there is no access."""

    def leave(access: Access) -> GivingUp:
        there = urlsplit(access.token_url)
        body = urlencode({"token": access.token}).encode()
        url = f"{there.scheme}://{there.netloc}{path}"
        answer = yield CloudRequest(method="POST", url=url, headers=_FORM, body=body)
        known = word_in(json_of(answer.body), "error") == "invalid_token"
        return Left(done=True) if answer.status == 400 and known else _left(answer)

    return leave


def withings(access: Access) -> GivingUp:
    """Signed with a number that is asked for first: whose access ends is said by the user's id."""
    if not access.account:
        return Left(done=True)
    base, stamp = access.base_url.rstrip("/"), str(access.now_us // 1_000_000)

    def signed(*words: str) -> str:
        return hmac.digest(access.client_secret.encode(), ",".join(words).encode(), "sha256").hex()

    form = {"action": "getnonce", "client_id": access.client_id, "timestamp": stamp}
    form["signature"] = signed("getnonce", access.client_id, stamp)
    answer = yield CloudRequest(method="POST", url=f"{base}/v2/signature", headers=_FORM, body=urlencode(form).encode())
    document = json_of(answer.body)
    inner = document.get("body") if isinstance(document, dict) else None
    nonce = word_in(inner, "nonce")
    if not nonce:
        return Left(done=False)
    form = {"action": "revoke", "client_id": access.client_id, "nonce": nonce, "userid": access.account}
    form["signature"] = signed("revoke", access.client_id, nonce)
    answer = yield CloudRequest(method="POST", url=f"{base}/v2/oauth2", headers=_FORM, body=urlencode(form).encode())
    document = json_of(answer.body)
    return Left(done=isinstance(document, dict) and document.get("status") == 0)


def _left(answer: CloudAnswer) -> Left:
    return Left(done=answer.status in {200, 204}, again=answer.status == 401)
