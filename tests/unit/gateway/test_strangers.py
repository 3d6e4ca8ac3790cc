"""Attack cases T01 to T06, T11, T12, T19 and T20 over HTTP: what is no credential, names with a meaning, and codes.

What there is none of over HTTP: client ids to take (T08 to T10), wills (T13) and retained messages (T14).
"""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization

from healthsync_mqtt.identity.keys.signing import Signer
from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.web import HttpAnswer, Web, basic

QUICK = {"limits.failed_login_base_s": 0.001, "limits.failed_login_max_s": 0.001}
"""Refusals are held back by address, and here all come from one."""
MEANING = (
    "#", "+", "a/b", "..", "../bob", "$SYS", ".*", "[a-z]", "a-z*", "__proto__", "\0", "\ufeff", "\u202ebob",
    "bob\n", "b" * 3_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("strangers") / "data"
    filled(data, ["alice", "bob"], [item("h-1"), item("h-1", "bob")])
    with gateway_here(data, **QUICK) as here:
        yield here


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forge:
    """Makes others of a good token: with our own key where only what it says is to be wrong."""

    good: str
    signer: Signer

    def token(
        self, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, sign: Any = None
    ) -> str:
        parts = [json.loads(base64.urlsafe_b64decode(each + "==")) for each in self.good.split(".")[:2]]
        made = [{**part, **(more or {})} for part, more in zip(parts, (header, claims), strict=True)]
        signed = ".".join(b64(json.dumps(each).encode()) for each in made)
        return f"{signed}.{b64((sign or self.signer.key.sign)(signed.encode()))}"


def _hmac(forge: Forge) -> str:
    known = forge.signer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return forge.token({"alg": "HS256"}, sign=lambda data: hmac.digest(known, data, "sha256"))


FORGED: dict[str, Callable[[Forge], str]] = {
    "T01 none": lambda forge: forge.token({"alg": "none"}, sign=lambda _: b""),
    "T01 HMAC with our public key": _hmac,
    "T01 no signature": lambda forge: forge.good.rpartition(".")[0] + ".",
    "T02 a key in the header": lambda forge: forge.token({"jwk": {"kty": "OKP"}}),
    "T02 a place of keys": lambda forge: forge.token({"jku": "http://127.0.0.1:1/keys"}),
    "T02 a path": lambda forge: forge.token({"kid": "../../etc/passwd"}),
    "T02 a long one": lambda forge: forge.token({"kid": "k" * 5_000}),
    "T03 over": lambda forge: forge.token(claims={"exp": int(time.time()) - 1}),
    "T03 not begun": lambda forge: forge.token(claims={"nbf": int(time.time()) + 600}),
    "T03 text": lambda forge: forge.token(claims={"exp": "never"}),
    "T04 another audience": lambda forge: forge.token(claims={"aud": ["healthsync-mqtt"]}),
    "T04 another issuer": lambda forge: forge.token(claims={"iss": "urn:healthsync"}),
    "T04 another kind": lambda forge: forge.token({"typ": "JWT"}),
    "T05 padded": lambda forge: forge.good + "=",
    "T05 one part more": lambda forge: forge.good + ".e30",
    "T05 a blank in it": lambda forge: forge.good.replace(".", " .", 1),
    "T06 encrypted": lambda forge: "e30.e30.e30.e30.e30",
    "another's, renamed": lambda forge: forge.token(claims={"sub": "bob"}, sign=lambda _: bytes(64)),
}


def alike(answer: HttpAnswer) -> tuple[int, Any]:
    return answer.status, answer.json() | {"request_id": ""}


@pytest.fixture(scope="module")
def forge(scene: GatewayHere) -> Forge:
    watch = scene.device("alice", "watch")
    assert watch.get("/v1/users/alice/events").status == 200
    signer = scene.place.key_store().keyring(time.time_ns() // 1000).signer(time.time_ns() // 1000)
    forge = Forge(watch.authorization.removeprefix("Bearer "), signer)
    assert scene.web.as_(forge.token()).get("/v1/users/alice/events").status == 200, "one that is only signed anew"
    return forge


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("path", ["/v1/users/alice/events", "/v1/stream"])
def test_a_token_that_is_none_is_answered_like_every_other(
    scene: GatewayHere, forge: Forge, name: str, path: str
) -> None:
    made_up = scene.web.as_("x.y.z").get(path)
    assert made_up.status == 401
    assert alike(scene.web.as_(FORGED[name](forge)).get(path)) == alike(made_up)


@pytest.mark.parametrize("name", MEANING)
def test_a_name_that_means_something_is_nobodys(scene: GatewayHere, forge: Forge, name: str) -> None:
    """T11: in a path, as a login, and in the filter of a stream (T12)."""
    alice = scene.web.as_(forge.good)
    for path in ("/v1/users/{}/events", "/v1/users/{}/types", "/v1/users/{}/events/h-1", "/events/{}"):
        answer = alice.get(path.format(quote(name, safe="")))
        assert answer.status in {404, 400}, (path, answer.body)
        assert b"h-1" not in answer.body.replace(b"/h-1", b"")
    assert alice.get(f"/v1/stream?user={quote(name, safe='')}").status in {400, 404}
    assert alice.get(f"/v1/changes?user={quote(name, safe='')}").status in {200, 400, 404}
    assert scene.web.as_(basic(name, "x")).get("/v1/users/alice/events").status == 401


def test_a_stream_of_somebody_elses_is_like_one_of_nobody(scene: GatewayHere, forge: Forge) -> None:
    """T12: it is not opened, and what is allowed stands beside it in vain."""
    for who in (scene.web.as_(forge.good), scene.subscriber("reader", ["alice"], "*")):
        others, nobodys = who.get("/v1/stream?user=bob"), who.get("/v1/stream?user=nobody")
        assert others.status == 404
        assert alike(others) == alike(nobodys)
        assert who.get("/v1/stream?user=alice&user=bob").status == 404
        assert b"bob" not in who.get("/v1/changes").body


def test_nothing_is_made_of_the_host_that_is_asked_for(scene: GatewayHere) -> None:
    """T52: no link, no redirect and no header of an answer, so that a cache or a mail may be poisoned by none."""
    for path in ("/", "/docs", "/v1/catalogue", "/v1/openapi.json", "/v1/session/ways", "/v1/invites/x", "/v1/none/"):
        answer = scene.web.get(path, host="evil.example", x_forwarded_host="evil.example", x_forwarded_proto="http")
        assert "evil.example" not in f"{answer.body!r} {answer.headers}", path
        assert "location" not in answer.headers


def code_of(scene: GatewayHere, device: str) -> str:
    with scene.registry() as registry:
        return registry.enrolments.create("alice", device, time.time_ns() // 1000)


def refreshed(web: Web, token: str) -> HttpAnswer:
    return web.post("/v1/oauth/token", f"grant_type=refresh_token&refresh_token={token}".encode())


def test_of_many_who_race_for_a_code_exactly_one_has_it(scene: GatewayHere) -> None:
    """T20."""
    code = code_of(scene, "raced")
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: scene.web.post("/v1/enroll", {"code": code}), range(8)))
    assert sorted(each.status for each in answers) == [200] + [401] * 7


def test_five_wrong_guesses_are_all_that_there_are(scene: GatewayHere) -> None:
    """T20: whoever guesses the handle of a code right and its secret wrong ends it."""
    code = code_of(scene, "guessed")
    for letter in "ABCDE":
        wrong = code[:-4] + letter * 4
        assert scene.web.post("/v1/enroll", {"code": wrong}).status == 401
    assert scene.web.post("/v1/enroll", {"code": code}).status == 401


def test_a_refresh_token_that_was_copied_ends_all_that_came_of_it(scene: GatewayHere) -> None:
    """T19: used again in the minute of a lost answer it brings the same child; once the child was used, nothing."""
    given = scene.web.post("/v1/enroll", {"code": code_of(scene, "copied")}).json()
    first, again = refreshed(scene.web, given["refresh_token"]), refreshed(scene.web, given["refresh_token"])
    assert first.json()["refresh_token"] == again.json()["refresh_token"]
    child = refreshed(scene.web, first.json()["refresh_token"]).json()
    assert refreshed(scene.web, given["refresh_token"]).status == 401
    assert refreshed(scene.web, child["refresh_token"]).status == 401
