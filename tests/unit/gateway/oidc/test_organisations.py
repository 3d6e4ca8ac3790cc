"""An organisation's login at the gateway: whom it lets in, and everything that lets nobody in refused alike."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.config.sections import OidcSettings
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError, TokenError, UnavailableError
from healthsync_mqtt.gateway.oidc.id_token import user_of
from healthsync_mqtt.gateway.oidc.provider import AGAIN_S, KNOWN_S, OidcProvider
from healthsync_mqtt.gateway.oidc.round import ROUND_S, Round, Rounds
from healthsync_mqtt.model.base64url import base64url
from tests.support.gateway import Browser, GatewayHere, filled, gateway_here
from tests.support.openid import CLIENT, SECRET, ScriptedProvider, serving
from tests.support.web import HttpAnswer

ORIGIN = "https://health.example.org"
BEGIN = "/v1/session/organisation"
CALLBACK = f"{BEGIN}/callback"
QUICK = {"limits.failed_login_base_s": 0.001, "limits.failed_login_max_s": 0.001}
ALICE = {"preferred_username": "alice"}


@dataclass
class Scene:
    here: GatewayHere
    provider: ScriptedProvider

    def left(self) -> tuple[Browser, str]:
        """A browser that goes to the organisation's login, and where."""
        browser = Browser(self.here.web)
        answer = browser.call("POST", BEGIN)
        assert answer.status == 200, answer.body
        return browser, answer.json()["url"]

    def back(self, browser: Browser, url: str, **headers: str) -> HttpAnswer:
        """What it is answered where it is sent back to."""
        there = urlsplit(url)
        assert f"{there.scheme}://{there.netloc}{there.path}" == ORIGIN + CALLBACK
        return browser.get(f"{there.path}?{there.query}", **headers)

    def signed_in(self, claims: dict[str, Any]) -> tuple[Browser, HttpAnswer]:
        browser, url = self.left()
        return browser, self.back(browser, self.provider.sign_in(url, claims))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    data = tmp_path_factory.mktemp("organisations") / "data"
    filled(data, ["alice", "bob", "carol"], [])
    secret = data / "oidc-secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    provider = ScriptedProvider(ORIGIN + CALLBACK)
    with serving(provider) as issuer:
        said = {
            "gateway.public_url": ORIGIN,
            "gateway.oidc.issuer": issuer,
            "gateway.oidc.title": "Example Hospital",
            "gateway.oidc.client_id": CLIENT,
            "gateway.oidc.client_secret_file": secret,
            "gateway.oidc.scopes": ["profile", "roles"],
            "gateway.oidc.users": {"c-77": "carol"},
        }
        with gateway_here(data, **said, **QUICK) as here:
            here.admin("root")
            yield Scene(here, provider)
    assert provider.faults == []


@pytest.fixture(autouse=True)
def _many_attempts(request: pytest.FixtureRequest) -> None:
    """Each of these is nobody's hundredth attempt."""
    if "scene" in request.fixturenames:
        request.getfixturevalue("scene").here.house.beginnings._addresses.clear()


def refused(answer: HttpAnswer) -> dict[str, Any]:
    assert answer.status == 401, answer.body
    said: dict[str, Any] = answer.json() | {"request_id": ""}
    return said


def test_who_signs_in_there_is_signed_in_here(scene: Scene) -> None:
    assert scene.here.web.get("/v1/session/ways").json() == {"passkeys": ORIGIN, "organisation": "Example Hospital"}
    browser, url = scene.left()
    asked = dict(parse_qsl(urlsplit(url).query))
    assert asked["scope"] == "openid profile roles"
    (kept,) = browser.kept.values()
    assert all(word in kept for word in ("secure", "httponly", "samesite=lax", "path=/"))
    secretly = next(iter(browser.cookies.values()))
    assert secretly not in url
    answer = scene.back(browser, scene.provider.sign_in(url, ALICE))
    assert (answer.status, answer.json()["role"], answer.json()["name"]) == (200, "user", "alice")
    assert "__Host-healthsync-organisation" not in browser.cookies
    assert all("samesite=strict" in browser.kept[name] for name in browser.cookies)
    assert browser.get("/v1/session").json()["name"] == "alice"
    begun = [row for row in scene.here.place.audit_log().rows() if row.action == "session.begun"][-1]
    assert begun.detail["by"] == "an organisation's login"


def test_a_browser_is_led_to_the_app_and_nowhere_else(scene: Scene) -> None:
    browser, url = scene.left()
    back = scene.provider.sign_in(url, ALICE) + "&next=https://evil.example.org&redirect_uri=https://evil.example.org"
    answer = scene.back(browser, back, accept="text/html,*/*")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b'content="0;url=/"' in answer.body
    assert b"evil" not in answer.body
    assert "location" not in answer.headers
    assert browser.get("/v1/session").json()["name"] == "alice"
    other, url = scene.left()
    page = scene.back(other, scene.provider.sign_in(url, {"preferred_username": "<script>"}), accept="text/html")
    assert (page.status, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert b"<script>" not in page.body
    assert other.cookies == {}


def test_a_name_that_is_bound_is_the_users_and_no_other_name_is(scene: Scene) -> None:
    assert scene.signed_in({"preferred_username": "c-77"})[1].json()["name"] == "carol"
    assert scene.signed_in({"preferred_username": "carol"})[1].status == 401
    assert scene.signed_in({"preferred_username": "bob"})[1].json()["name"] == "bob"


def test_whom_the_provider_knows_and_we_do_not_is_refused_alike_and_written_down(scene: Scene) -> None:
    before = scene.here.audited().count("organisation.refused")
    first = refused(scene.signed_in({"preferred_username": "nobody"})[1])
    with scene.here.registry() as registry:
        registry.revocation.suspend_user("bob", 5)
    for claims in (
        {"preferred_username": "bob"},
        {"preferred_username": "root"},  # an admin
        {"preferred_username": "../alice"},
        {"preferred_username": ""},
        {"preferred_username": ["alice"]},
        {},
    ):
        assert refused(scene.signed_in(claims)[1]) == first, claims
    with scene.here.registry() as registry:
        registry.revocation.resume_user("bob")
    assert scene.here.audited().count("organisation.refused") == before + 7


HOUR = 3_600
WRONG: dict[str, dict[str, Any]] = {
    "of another provider": {"iss": "https://evil.example.org"},
    "for another client": {"aud": "other"},
    "for several, by nobody": {"aud": [CLIENT, "other"]},
    "for several, by another": {"aud": [CLIENT, "other"], "azp": "other"},
    "by another": {"azp": "other"},
    "over": {"exp": int(time.time()) - HOUR},
    "of the future": {"iat": int(time.time()) + HOUR},
    "not yet": {"nbf": int(time.time()) + HOUR},
    "of another sign-in": {"nonce": "x" * 43},
    "of no sign-in": {"nonce": None},
    "of a strange one": {"nonce": 5},
    "for ever": {"exp": None},
    "of nobody": {"sub": None},
    "of no time": {"iat": None},
    "for nobody": {"aud": None},
}


@pytest.mark.parametrize("why", WRONG)
def test_a_token_that_says_something_else_lets_nobody_in(scene: Scene, why: str) -> None:
    browser, answer = scene.signed_in(ALICE | WRONG[why])
    refused(answer)
    assert "__Host-healthsync" not in browser.cookies


def test_a_token_for_several_that_was_given_to_us_is_good(scene: Scene) -> None:
    assert scene.signed_in(ALICE | {"aud": [CLIENT, "other"], "azp": CLIENT})[1].status == 200


def _with_our_secret(provider: ScriptedProvider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET * 4, algorithm="HS256", headers={"kid": "k-1"})


def _with_what_is_published(provider: ScriptedProvider, claims: dict[str, Any]) -> str:
    public = provider.keys["k-1"][1].public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = (base64url(json.dumps(each).encode()) for each in ({"alg": "HS256", "kid": "k-1"}, claims))
    return f"{head}.{body}.{base64url(hmac.digest(der, f'{head}.{body}'.encode(), 'sha256'))}"


def _unsigned(_: ScriptedProvider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", algorithm="none")


def _by_somebody_else(provider: ScriptedProvider, claims: dict[str, Any]) -> str:
    other = ScriptedProvider(provider.redirect_uri)
    return jwt.encode(claims, other.keys["k-1"][1], algorithm="ES256", headers={"kid": "k-1"})


def _changed(provider: ScriptedProvider, claims: dict[str, Any]) -> str:
    head, body, signature = jwt.encode(
        claims | {"preferred_username": "bob"}, provider.keys["k-1"][1], algorithm="ES256", headers={"kid": "k-1"}
    ).split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "==")) | {"preferred_username": "alice"}
    return f"{head}.{base64url(json.dumps(said).encode())}.{signature}"


@pytest.mark.parametrize("forged", [_with_our_secret, _with_what_is_published, _unsigned, _by_somebody_else, _changed])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    scene: Scene, forged: Callable[[ScriptedProvider, dict[str, Any]], str]
) -> None:
    browser, url = scene.left()
    asked = dict(parse_qsl(urlsplit(url).query))
    claims = jwt.decode(scene.provider.token(asked, ALICE), options={"verify_signature": False})
    back = scene.provider.sign_in(url, ALICE, token=forged(scene.provider, claims))
    refused(scene.back(browser, back))
    for nonsense in ("", "x", "a.b.c", "é" * 9, "x" * 40_000):
        browser, url = scene.left()
        refused(scene.back(browser, scene.provider.sign_in(url, ALICE, token=nonsense)))


def test_the_way_back_is_that_of_the_browser_that_left_once(scene: Scene) -> None:
    browser, url = scene.left()
    back = scene.provider.sign_in(url, ALICE)
    state = parse_qs(urlsplit(back).query)["state"][0]
    code = parse_qs(urlsplit(back).query)["code"][0]
    other, _ = scene.left()
    cookie = dict(browser.cookies)
    exchanged = scene.provider.asked.count("POST /token")

    def tried(who: Browser, **query: str) -> HttpAnswer:
        return who.get(f"{CALLBACK}?{urlencode(query)}")

    for answer in (
        scene.back(Browser(scene.here.web), back),  # no cookie
        scene.back(other, back),  # another's
        tried(Browser(scene.here.web, dict(cookie)), code=code),
        tried(Browser(scene.here.web, dict(cookie)), state=state),
        tried(Browser(scene.here.web, dict(cookie)), code=code, state=state[:-4] + "AAAA"),
        tried(Browser(scene.here.web, dict(cookie)), code=code, state="é"),
        tried(Browser(scene.here.web, dict(cookie)), state=state, error="access_denied"),
    ):
        refused(answer)
    assert scene.provider.asked.count("POST /token") == exchanged, "nobody asked what the code is good for"
    again = scene.provider.sign_in(url, ALICE)  # another code for the same sign-in
    assert scene.back(browser, back).status == 200
    refused(scene.back(Browser(scene.here.web, dict(cookie)), back))
    refused(scene.back(Browser(scene.here.web, dict(cookie)), again))
    refused(tried(Browser(scene.here.web, dict(cookie)), code="made-up", state=state))


def test_a_way_that_took_too_long_is_over() -> None:
    rounds = Rounds(lambda: "secret")
    begun = rounds.begin("browser", 7)
    end_us = 7 + ROUND_S * 1_000_000
    assert rounds.returned("browser", begun.state, end_us - 1) == begun
    assert len({begun.state, begun.nonce, begun.verifier, begun.challenge}) == 4
    for browser, when in (("browser", end_us), ("other", 8), ("", 8)):
        with pytest.raises(TokenError):
            rounds.returned(browser, begun.state, when)
    with pytest.raises(TokenError):
        Rounds(lambda: "another").returned("browser", begun.state, 8)


def test_attempts_are_bounded(scene: Scene) -> None:
    scene.here.house.beginnings.take("127.0.0.1", time.monotonic() + 600)
    assert scene.here.web.call("POST", BEGIN).status == 429
    assert scene.here.web.get(f"{CALLBACK}?state=x&code=y").status == 429
    scene.here.house.beginnings._all.full_at = 0.0


def test_a_session_ends_here_and_there(scene: Scene) -> None:
    browser, _ = scene.signed_in(ALICE)
    assert browser.call("POST", f"{BEGIN}/end").status == 403, "without the word of the session"
    left = Browser(scene.here.web, dict(browser.cookies))
    answer = browser.call("POST", f"{BEGIN}/end", x_csrf_token=browser.csrf)
    there = urlsplit(answer.json()["url"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == f"{scene.provider.issuer}/logout"
    assert dict(parse_qsl(there.query)) == {"client_id": CLIENT, "post_logout_redirect_uri": f"{ORIGIN}/"}
    assert browser.cookies == {}
    assert left.get("/v1/session").status == 401
    assert left.call("POST", f"{BEGIN}/end", x_csrf_token=left.csrf).status == 401


def test_where_there_is_no_such_login_there_are_no_such_paths(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    with gateway_here(data, **{"gateway.public_url": ORIGIN}) as here:
        assert here.web.call("POST", BEGIN).status == 404
        assert here.web.get(f"{CALLBACK}?state=x&code=y", accept="text/html").status == 404
        alice = here.invited("alice")
        assert alice.call("POST", f"{BEGIN}/end", x_csrf_token=alice.csrf).status == 404
        assert alice.get("/v1/session").status == 200


# -- the provider, asked without a gateway


PUBLIC = "93.184.215.14"


class Known:
    """A provider as it is asked, at a time that the test says."""

    def __init__(self, file: Path | None = None, **changed: Any) -> None:
        self.now = 0.0
        self.provider = ScriptedProvider(ORIGIN + CALLBACK, **changed)
        self.settings = OidcSettings(issuer=self.provider.issuer, client_id=CLIENT, client_secret_file=file)
        self.addresses: dict[str, list[str]] = {}
        self.asks = OidcProvider(
            self.settings, self.provider.redirect_uri, self.provider, clock=lambda: self.now, resolve=self._resolve
        )

    def _resolve(self, host: str, _: int) -> list[str]:
        if host not in self.addresses:
            raise OSError(host)
        return self.addresses[host]

    def sign_in(self, claims: dict[str, Any] = ALICE, **more: Any) -> Any:
        begun = Rounds(lambda: "secret").begin("browser", 7)
        code, issuer = self.code(begun, claims, **more)
        return self.asks.claims(begun, code, issuer)

    def code(self, begun: Round, claims: dict[str, Any] = ALICE, **more: Any) -> tuple[str, str | None]:
        back = parse_qs(urlsplit(self.provider.sign_in(self.asks.address(begun), claims, **more)).query)
        return back["code"][0], back.get("iss", [None])[0]


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_signatures_that_are_read(algorithm: str) -> None:
    known = Known(secret="")
    known.provider.add_key("k-2", algorithm)
    assert known.sign_in()["preferred_username"] == "alice"
    assert known.provider.faults == []


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post", "private_key_jwt"]])
def test_the_secret_is_said_as_the_provider_wants_it(tmp_path: Path, methods: list[str] | None) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    known = Known(file, metadata={"token_endpoint_auth_methods_supported": methods})
    assert known.sign_in()["preferred_username"] == "alice"
    file.write_text("another")
    with pytest.raises(UnavailableError) as error:
        known.sign_in()
    assert "401 invalid_client" in str(error.value)
    file.chmod(0o644)
    with pytest.raises(ConfigError):
        known.sign_in()
    assert known.provider.faults == []


def test_what_it_says_and_its_keys_are_asked_for_once_an_hour_and_keys_again_for_a_new_one() -> None:
    known = Known(secret="")
    for _ in range(3):
        known.sign_in()
    assert [each for each in known.provider.asked if each.startswith("GET")] == [
        "GET /.well-known/openid-configuration",
        "GET /keys",
    ]
    known.provider.add_key("k-2", "ES256")
    with pytest.raises(TokenError):
        known.sign_in()  # too soon: whoever makes tokens up has keys asked for twice a minute at most
    known.now = AGAIN_S
    assert known.sign_in()["preferred_username"] == "alice"
    known.now = KNOWN_S
    known.sign_in()
    assert known.provider.asked.count("GET /.well-known/openid-configuration") == 2


def test_a_token_that_names_no_key_is_good_where_there_is_one_alone() -> None:
    known = Known(secret="")
    begun = Rounds(lambda: "secret").begin("browser", 7)
    asked = {"nonce": begun.nonce}
    claims = jwt.decode(known.provider.token(asked, ALICE), options={"verify_signature": False})
    unnamed = jwt.encode(claims, known.provider.keys["k-1"][1], algorithm="ES256")
    code, _ = known.code(begun, token=unnamed)
    assert known.asks.claims(begun, code, None)["preferred_username"] == "alice"
    known.provider.add_key("k-2", "RS256")
    known.now = KNOWN_S
    code, _ = known.code(begun, token=unnamed)
    with pytest.raises(TokenError):
        known.asks.claims(begun, code, None)


def test_who_sent_the_browser_back_is_the_provider_that_was_asked() -> None:
    """RFC 9207."""
    known = Known(secret="", tells_issuer=True)
    assert known.sign_in()["preferred_username"] == "alice"
    begun = Rounds(lambda: "secret").begin("browser", 7)
    for issuer in (None, "https://evil.example.org"):
        code, _ = known.code(begun)
        with pytest.raises(TokenError):
            known.asks.claims(begun, code, issuer)
    quiet = Known(secret="")
    code, _ = quiet.code(begun)
    with pytest.raises(TokenError):
        quiet.asks.claims(begun, code, "https://evil.example.org")


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://login.example.org/realms/other"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": 5},
        {"token_endpoint": "http://login.example.org/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "https://user:word@login.example.org/token"},
        {"jwks_uri": "//login.example.org/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://evil.example.org/"},
        {"end_session_endpoint": "http://evil.example.org/"},
    ],
)
def test_what_a_provider_says_of_itself_that_cannot_be_trusted(said: dict[str, Any]) -> None:
    known = Known(secret="", metadata=said)
    with pytest.raises(UnavailableError):
        known.sign_in()
    known.provider.metadata = {}
    assert known.sign_in()["preferred_username"] == "alice", "it is asked again"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["10.0.0.5"], ["169.254.169.254"], [PUBLIC, "::1"], ["::ffff:192.168.0.1"], [], None]
)
def test_it_leads_nobody_into_a_private_network(addresses: list[str] | None) -> None:
    known = Known(secret="", metadata={"jwks_uri": "https://keys.example.net/"})
    if addresses is not None:
        known.addresses["keys.example.net"] = addresses
    with pytest.raises(UnavailableError):
        known.sign_in()
    assert not any("keys.example.net" in each for each in known.provider.asked)


def test_its_keys_may_be_at_another_host_that_is_public() -> None:
    known = Known(secret="", metadata={"jwks_uri": "https://keys.example.net/"})
    known.addresses["keys.example.net"] = [PUBLIC]
    keys = {"keys": [known.provider._published("k-1")]}
    known.provider.answers["https://keys.example.net/"] = CloudAnswer(status=200, body=json.dumps(keys).encode())
    assert known.sign_in()["preferred_username"] == "alice"


@pytest.mark.parametrize(
    "answer",
    [
        CloudAnswer(status=0, fault="unreachable"),
        CloudAnswer(status=302, headers={"location": "https://evil.example.org"}),
        CloudAnswer(status=500),
        CloudAnswer(status=200, body=b"<html>"),
        CloudAnswer(status=200, body=b"[1]"),
        CloudAnswer(status=200, body=b"{}"),
        CloudAnswer(status=200, body=b"[" * 100_000),
    ],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
def test_a_provider_that_is_away_or_answers_nonsense_is_away(path: str, answer: CloudAnswer) -> None:
    known = Known(secret="")
    known.provider.answers[path] = answer
    with pytest.raises(UnavailableError):
        known.sign_in()
    del known.provider.answers[path]
    assert known.sign_in()["preferred_username"] == "alice"


def test_a_provider_without_a_place_to_log_out_has_none() -> None:
    assert Known(metadata={"end_session_endpoint": None}).asks.logout_address(ORIGIN) is None


def test_the_page_says_what_providers_have_to_know() -> None:
    page = (Path(__file__).parents[4] / "docs" / "howto" / "oidc.md").read_text(encoding="utf-8")
    assert f"\n{ORIGIN}{CALLBACK}\n" in page
    for path in ("/v1/session/ways", BEGIN, CALLBACK, f"{BEGIN}/end"):
        assert f"{path}` |" in page, path


# -- which user it is


@pytest.mark.parametrize(
    ("said", "claims", "user"),
    [
        ({}, {"preferred_username": "alice"}, "alice"),
        ({"claim": "sub"}, {"sub": "alice"}, "alice"),
        ({"claim": "sub", "users": {"248289": "alice"}}, {"sub": "248289"}, "alice"),
        ({"claim": "sub", "users": {"248289": "alice"}}, {"sub": "alice"}, None),
        ({"domain": "example.org"}, {"preferred_username": "alice@Example.org"}, "alice"),
        ({"domain": "example.org"}, {"preferred_username": "alice@evil.org"}, None),
        ({"domain": "example.org"}, {"preferred_username": "alice@example.org@evil.org"}, None),
        ({"domain": "example.org"}, {"preferred_username": "alice@evil.org@example.org"}, None),
        ({"domain": "example.org"}, {"preferred_username": "alice"}, None),
        ({"domain": "example.org"}, {"preferred_username": "@example.org"}, None),
        ({"domain": "example.org", "users": {"x@evil.org": "bob"}}, {"preferred_username": "x@evil.org"}, "bob"),
        ({"domain": "example.org", "users": {"x@evil.org": "bob"}}, {"preferred_username": "bob@example.org"}, None),
        ({}, {"preferred_username": "alice@example.org"}, None),
        ({"claim": "email", "domain": "x.org"}, {"email": "alice@x.org", "email_verified": True}, "alice"),
        ({"claim": "email", "domain": "x.org"}, {"email": "alice@x.org", "email_verified": "true"}, None),
        ({"claim": "email", "domain": "x.org"}, {"email": "alice@x.org"}, None),
    ],
)
def test_which_user_a_name_stands_for(said: dict[str, Any], claims: dict[str, Any], user: str | None) -> None:
    settings = OidcSettings(**said)
    if user is None:
        with pytest.raises(TokenError):
            user_of(claims, settings)
    else:
        assert user_of(claims, settings) == user


@pytest.mark.parametrize(
    "said",
    [
        {"gateway.oidc.issuer": "http://login.example.org", "gateway.oidc.client_id": "x"},
        {"gateway.oidc.issuer": "https://login.example.org?x=1", "gateway.oidc.client_id": "x"},
        {"gateway.oidc.issuer": "https://a:b@login.example.org", "gateway.oidc.client_id": "x"},
        {"gateway.oidc.issuer": "https://login.example.org"},
        {"gateway.oidc.issuer": "https://login.example.org", "gateway.oidc.client_id": "x", "gateway.public_url": ""},
    ],
)
def test_a_login_that_could_not_work_is_refused_as_a_setting(tmp_path: Path, said: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(tmp_path, {"gateway.public_url": ORIGIN} | said)
    assert "gateway" in str(error.value)
