"""Webhooks of clouds over HTTP: durable before they are answered, refused alike, bounded; and users who come back."""

import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from healthsync_mqtt.adapters.authorization import invite
from healthsync_mqtt.adapters.link_state import LinkEvent
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import LiveReady
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from tests.support.clouds import CLIENT, OURA, SECRET, ScriptedCloud, serving
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.web import HttpAnswer

SETTINGS = """
    [gateway]
    public_url = "https://health.example.org/"
    [adapters.oura]
    client_id = "{client}"
    client_secret = "{secret}"
    base_url = "{url}"
    auth_url = "{url}/oauth/authorize"
    token_url = "{url}/oauth/token"
    [adapters.withings]
    client_id = "{client}"
    client_secret = "{secret}"
    webhook_secret = "k9-by-hand"
"""


@dataclass
class Scene:
    here: GatewayHere
    data: Path
    cloud: ScriptedCloud
    settings: str

    def inbox(self) -> dict[str, int]:
        with NoticeInbox.open(self.data) as inbox:
            return inbox.waiting()

    def word(self, provider: str) -> str:
        with NoticeInbox.open(self.data) as inbox:
            return inbox.secrets(provider).word

    def signed(self, body: bytes, *, secret: str = SECRET, at: int | None = None) -> HttpAnswer:
        stamp = str(int(time.time()) if at is None else at)
        signature = hmac.digest(secret.encode(), stamp.encode() + body, "sha256").hex()
        return self.here.web.post("/v1/hooks/oura", body, x_oura_timestamp=stamp, x_oura_signature=signature)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    data = tmp_path_factory.mktemp("provider-hooks") / "data"
    filled(data, ["alice"], [])
    cloud = ScriptedCloud(OURA)
    with serving(cloud) as url:
        text = SETTINGS.format(client=CLIENT, secret=SECRET, url=url)
        settings = "\n".join(line.strip() for line in text.splitlines())
        write(data, settings)
        with gateway_here(data, **{"limits.failed_login_base_s": 0.001}) as here:
            yield Scene(here, data, cloud, settings)


def write(data: Path, settings: str) -> None:
    file = data / "healthsync.toml"
    file.write_text(settings)
    file.chmod(0o600)


def test_what_is_signed_is_kept_before_it_is_answered(scene: Scene) -> None:
    body = json.dumps({"event_type": "create", "data_type": "sleep", "object_id": "n1", "user_id": "u"}).encode()
    before = scene.inbox().get("oura", 0)
    answer = scene.signed(body)
    assert (answer.status, answer.body) == (200, b"")
    assert scene.inbox()["oura"] == before + 1
    assert scene.signed(body).status == 200
    assert scene.inbox()["oura"] == before + 1, "the same bytes wait once"


def test_what_is_nobodys_is_refused_and_nothing_is_kept(scene: Scene) -> None:
    before, body = scene.inbox(), b'{"user_id": "u"}'
    for answer in (
        scene.signed(body, secret="guess"),
        scene.signed(body, at=int(time.time()) - 3_600),
        scene.here.web.post("/v1/hooks/oura", body),
        scene.here.web.post("/v1/hooks/oura", body, x_oura_timestamp="soon", x_oura_signature="é"),
    ):
        assert (answer.status, answer.json()["reason"]) == (401, "token_invalid")
    for path in (
        "/v1/hooks/nobody",
        "/v1/hooks/polar",
        "/v1/hooks/withings",
        "/v1/hooks/no%20name",
        "/v1/hooks/fitbit",
    ):
        assert scene.here.web.post(path, body).status == 404, path
    assert scene.here.web.post("/v1/hooks/withings/guess", body).status == 404
    assert scene.inbox() == before


def test_a_challenge_is_repeated_to_who_knows_the_word_and_to_nobody_else(scene: Scene) -> None:
    path = f"/v1/hooks/oura?verification_token={scene.word('oura')}&challenge=a1b2c3"
    assert scene.here.web.get(path).json() == {"challenge": "a1b2c3"}
    refused = scene.here.web.get("/v1/hooks/oura?verification_token=guess&challenge=a1b2c3")
    assert refused.status == 403
    assert b"a1b2c3" not in refused.body


def test_a_secret_address_answers_probes_and_keeps_forms(scene: Scene) -> None:
    """The word is the one that was set by hand."""
    path = "/v1/hooks/withings/k9-by-hand"
    for method in ("HEAD", "GET"):
        answer = scene.here.web.call(method, path)
        assert (answer.status, answer.body) == (200, b"")
    before = scene.inbox().get("withings", 0)
    form = b"userid=41234567&appli=1&startdate=1793944930&enddate=1793944932"
    answer = scene.here.web.post(path, form, content_type="application/x-www-form-urlencoded")
    assert (answer.status, scene.inbox()["withings"]) == (200, before + 1)


def test_too_long_a_body_is_refused_and_a_full_inbox_asks_to_come_again(scene: Scene) -> None:
    assert scene.signed(b" " * 70_000).status == 413
    with NoticeInbox.open(scene.data) as inbox:
        for number in range(5_000):
            inbox._db.execute(
                "INSERT INTO inbox (provider, mark, body, received_us) VALUES ('oura', ?, x'', 1)", (b"%d" % number,)
            )
    answer = scene.signed(b'{"another": 1}')
    assert (answer.status, answer.json()["reason"], "retry-after" in answer.headers) == (503, "busy", True)
    form = b"userid=1&appli=1"
    other = scene.here.web.post("/v1/hooks/withings/k9-by-hand", form, content_type="application/x-www-form-urlencoded")
    assert other.status == 200, "another provider's are taken"
    with NoticeInbox.open(scene.data) as inbox:
        inbox._db.execute("DELETE FROM inbox")


def test_new_settings_hold_at_once(scene: Scene) -> None:
    write(scene.data, scene.settings.replace(f'client_secret = "{SECRET}"', 'client_secret = "another"', 1))
    try:
        assert scene.signed(b'{"a": 1}').status == 401
        assert scene.signed(b'{"a": 1}', secret="another").status == 200
    finally:
        write(scene.data, scene.settings)
    assert scene.signed(b'{"a": 2}').status == 200


def test_who_comes_back_from_agreeing_is_linked_once(scene: Scene) -> None:
    ready = LiveReady(scene.data).now()["oura"]
    where = f"{ready.hooks.public_url}/v1/link/oura/callback"
    assert where == "https://health.example.org/v1/link/oura/callback"
    with LinkBook.open(scene.data) as book:
        invitation = invite(book, ready, "alice", where, time.time_ns() // 1000)
        back = urlsplit(scene.cloud.agree(invitation.url))
        assert back.netloc == "health.example.org"
        path = f"{back.path}?{back.query}"
        wrong = path.replace(dict(parse_qsl(back.query))["state"], "x" * 32)
        assert scene.here.web.get(wrong).status == 401
        assert scene.here.web.get(path.replace("/oura/", "/nobody/")).status == 404
        answer = scene.here.web.get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"Oura is linked" in answer.body
        assert book.of("alice", "oura").state == "ok"
        assert scene.here.web.get(path).status == 401, "once"
        refused = invite(book, ready, "alice", where, time.time_ns() // 1000)
        said = scene.here.web.get(f"/v1/link/oura/callback?error=access_denied&state={refused.state}")
    assert (said.status, b"Nothing is linked" in said.body) == (200, True)
    assert scene.here.audited().count("adapter.linked") == 1


def test_who_was_removed_while_the_browser_was_away_is_linked_to_nothing(scene: Scene) -> None:
    ready = LiveReady(scene.data).now()["oura"]
    with LinkBook.open(scene.data) as book:
        invitation = invite(book, ready, "nobody", "https://health.example.org/cb", time.time_ns() // 1000)
        back = urlsplit(scene.cloud.agree(invitation.url))
        assert scene.here.web.get(f"/v1/link/oura/callback?{back.query}").status == 404
        assert [each.user for each in book.links()] == ["alice"]


def test_a_person_links_and_unlinks_a_cloud(scene: Scene) -> None:
    alice = scene.here.invited("alice")
    path = "/v1/users/alice/links"
    with LinkBook.open(scene.data) as book:
        before = {each.provider for each in book.links("alice")}
    shown = alice.get(path).json()
    assert {each["provider"] for each in shown["links"]} == before
    assert "oura" in {each["provider"] for each in shown["clouds"]}
    begun = alice.call("POST", path, {"provider": "oura"}, x_csrf_token=alice.csrf)
    assert begun.status == 200, begun.body
    back = urlsplit(scene.cloud.agree(begun.json()["url"]))
    assert alice.get(f"{back.path}?{back.query}").status == 200
    (link,) = [each for each in alice.get(path).json()["links"] if each["provider"] == "oura"]
    assert (link["state"], link["paused"]) == ("ok", False)
    for wrong, status in (({"provider": "nobody"}, 404), ({"provider": "a/b"}, 400), ({}, 400)):
        assert alice.call("POST", path, wrong, x_csrf_token=alice.csrf).status == status
    ended = alice.call("DELETE", f"{path}/oura", x_csrf_token=alice.csrf)
    assert (ended.status, ended.json()["provider"]) == (200, "oura"), ended.body
    assert "oura" not in {each["provider"] for each in alice.get(path).json()["links"]}
    assert alice.call("DELETE", f"{path}/oura", x_csrf_token=alice.csrf).status == 404
    assert {"adapter.invited", "adapter.unlinked"} <= set(scene.here.audited())


def test_nobodys_cloud_is_linked_by_an_address_that_another_person_sent(scene: Scene) -> None:
    """Who begins a link in a session ends it in the same browser: else another's nights would be alice's."""
    with scene.here.registry() as registry:
        registry.add_user("carl", "all", 1)
    alice, other = scene.here.invited("alice"), scene.here.invited("carl")
    with LinkBook.open(scene.data) as book:
        before = book.links()
        for name, each in (("alice", alice), ("carl", other)):
            begun = each.call("POST", f"/v1/users/{name}/links", {"provider": "oura"}, x_csrf_token=each.csrf)
            assert begun.status == 200
            (said,) = [line for line in begun.cookies if "-link=" in line]
            assert {"httponly", "secure", "samesite=lax", "path=/"} <= {
                part.strip().lower() for part in said.split(";")
            }
        sent = alice.call("POST", "/v1/users/alice/links", {"provider": "oura"}, x_csrf_token=alice.csrf).json()["url"]
        back, asked = urlsplit(scene.cloud.agree(sent)), len(scene.cloud.log)
        for stranger in (other, scene.here.web):
            assert stranger.get(f"{back.path}?{back.query}").status == 401
        assert "/oauth/token" not in {path for path, _ in scene.cloud.log[asked:]}
        assert book.links() == before
        bare = back.query.replace("%7E", "~").partition("~")[0]
        assert alice.get(f"{back.path}?{bare}").status == 401, "it is all of the state that is expected"
        assert alice.get(f"{back.path}?{back.query}").status == 200, "and hers is good still"
        assert book.of("alice", "oura").state == "ok"


def test_a_person_pauses_a_link_resumes_it_and_has_it_fetched(scene: Scene) -> None:
    with scene.here.registry() as registry:
        registry.add_user("bob", "all", 1)
    alice, bob = scene.here.invited("alice"), scene.here.invited("bob")
    begun = alice.call("POST", "/v1/users/alice/links", {"provider": "oura"}, x_csrf_token=alice.csrf)
    back = urlsplit(scene.cloud.agree(begun.json()["url"]))
    assert alice.get(f"{back.path}?{back.query}").status == 200
    with LinkBook.open(scene.data) as book:
        link = book.of("alice", "oura")
        path = f"/v1/users/alice/links/{link.provider}"
        for verb, paused in (("pause", True), ("resume", False)):
            assert alice.call("POST", f"{path}/{verb}").status == 403, "without the word of the session"
            assert bob.call("POST", f"{path}/{verb}", x_csrf_token=bob.csrf).status == 404
            answer = alice.call("POST", f"{path}/{verb}", x_csrf_token=alice.csrf)
            assert (answer.status, answer.json()["paused"]) == (200, paused), answer.body
            assert book.is_paused(link.id) is paused
        before = len(book.asked())
        assert alice.call("POST", f"{path}/sync", x_csrf_token=alice.csrf).status == 200
        assert [each for _, each in book.asked()[before:]] == [link.id]
        for event in (LinkEvent.begun, LinkEvent.refused):
            book.happened(book.of("alice", "oura"), event, hint="agree once more")
        refused = alice.call("POST", f"{path}/sync", x_csrf_token=alice.csrf)
        assert (refused.status, refused.json()["reason"]) == (409, "conflict")
    for verb in ("pause", "resume", "sync"):
        absent = alice.call("POST", f"/v1/users/alice/links/nobody/{verb}", x_csrf_token=alice.csrf)
        assert absent.status == 404, absent.body
    assert {"adapter.paused", "adapter.resumed", "adapter.sync_asked"} <= set(scene.here.audited())


def test_an_admin_sees_which_adapters_can_be_linked_and_how_their_links_do(scene: Scene) -> None:
    root, alice = scene.here.admin(), scene.here.invited("alice")
    begun = alice.call("POST", "/v1/users/alice/links", {"provider": "oura"}, x_csrf_token=alice.csrf).json()
    back = urlsplit(scene.cloud.agree(begun["url"]))
    assert alice.get(f"{back.path}?{back.query}").status == 200
    broken = scene.data / "adapters" / "mine.py"
    broken.parent.mkdir(mode=0o700, exist_ok=True)
    broken.write_text("no python")
    listed = {each["provider"]: each for each in root.get("/v1/adapters").json()["adapters"]}
    broken.unlink()
    assert (listed["oura"]["state"], listed["oura"]["links"]) == ("ready", {"ok": 1})
    assert listed["oura"]["title"] == "Oura"
    assert "sleep" in listed["oura"]["types"]
    assert (listed["polar"]["state"], listed["polar"]["links"]) == ("not_set_up", {})
    assert "adapters.polar.client_id" in listed["polar"]["hint"]
    assert listed["google_fit"]["state"] == "ended"
    assert listed["apple_health"]["state"] == "app"
    assert [each["state"] for name, each in listed.items() if "mine" in name] == ["not_loaded"]
    assert SECRET not in str(listed)
    assert alice.get("/v1/adapters").status == 404, "it is for admins"
    assert alice.call("DELETE", "/v1/users/alice/links/oura", x_csrf_token=alice.csrf).status == 200
