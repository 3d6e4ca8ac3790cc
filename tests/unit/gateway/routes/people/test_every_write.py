"""Every write over HTTP is written down: each route that changes something is asked to, and its row has who did it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.gateway.login.rules import Administrator, Keeper, Owner, Rule, WebhookKeeper
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.support.answering import answering
from tests.support.clouds import CLIENT, OURA, SECRET, ScriptedCloud, serving
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.loopback import served
from tests.support.web import HttpAnswer

SAFE = {"GET", "HEAD"}
KEEPING = (Administrator, Keeper, Owner, WebhookKeeper)
"""The rules of those who may change what is registered."""
NAMES = {"subscribers": "reader", "webhooks": "board", "admins": "second", "sinks": "copies"}
"""What ``{name}`` is, by what the path begins with."""
USUAL = {"user": "alice", "device": "watch", "app": "phone", "carer": "bob", "provider": "oura", "number": "1"}
SOON = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Write:
    """What a route is asked; ``named`` are parameters of its path that are not the usual ones."""

    body: Any = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    rows: int = 1


HOOK = {"name": "board", "subscriber": "reader"}
"""A webhook; its address is that of the receiver."""
APP = {"device_id": "phone", "formats": ["nightscout"]}
WRITES: dict[tuple[str, str], Write] = {
    ("POST", "/v1/users"): Write({"user_id": "carol", "consent": ["*"]}, rows=2),
    ("POST", "/v1/users/{user}/suspend"): Write(named={"user": "carol"}),
    ("POST", "/v1/users/{user}/resume"): Write(named={"user": "carol"}),
    ("POST", "/v1/users/{user}/invites"): Write(),
    ("POST", "/v1/users/{user}/devices"): Write({"device_id": "watch"}),
    ("POST", "/v1/users/{user}/devices/{device}/enrolment"): Write(),
    ("POST", "/v1/users/{user}/devices/{device}/token"): Write(),
    ("POST", "/v1/users/{user}/devices/{device}/suspend"): Write(),
    ("POST", "/v1/users/{user}/devices/{device}/resume"): Write(),
    ("POST", "/v1/users/{user}/devices/{device}/rename"): Write({"title": "Running watch"}),
    ("POST", "/v1/users/{user}/devices/{device}/revoke"): Write(),
    ("DELETE", "/v1/users/{user}/devices/{device}"): Write(),
    ("POST", "/v1/users/{user}/apps"): Write(APP),
    ("POST", "/v1/users/{user}/apps/{app}/rotate"): Write(),
    ("DELETE", "/v1/users/{user}/apps/{app}"): Write(),
    ("POST", "/v1/users/{user}/consents"): Write({"action": "withdraw", "types": ["steps"]}),
    ("PUT", "/v1/users/{user}/carers/{carer}"): Write({"types": ["weight"], "until": SOON}),
    ("DELETE", "/v1/users/{user}/carers/{carer}"): Write(),
    ("PUT", "/v1/users/{user}/sources"): Write({"sources": ["com.example"]}),
    ("POST", "/v1/users/{user}/imports"): Write(b"no archive"),
    ("POST", "/v1/users/{user}/links"): Write({"provider": "oura"}),
    ("POST", "/v1/users/{user}/links/{provider}/pause"): Write(),
    ("POST", "/v1/users/{user}/links/{provider}/resume"): Write(),
    ("POST", "/v1/users/{user}/links/{provider}/sync"): Write(),
    ("DELETE", "/v1/users/{user}/links/{provider}"): Write(),
    ("POST", "/v1/subscribers"): Write({"name": "reader", "users": ["alice"]}),
    ("POST", "/v1/subscribers/{name}/token"): Write(),
    ("POST", "/v1/subscribers/{name}/suspend"): Write(),
    ("POST", "/v1/subscribers/{name}/resume"): Write(),
    ("POST", "/v1/subscribers/{name}/revoke"): Write(),
    ("POST", "/v1/webhooks"): Write(HOOK),
    ("POST", "/v1/webhooks/{name}/enable"): Write(),
    ("POST", "/v1/webhooks/{name}/test"): Write(),
    ("POST", "/v1/webhooks/{name}/rotate"): Write(),
    ("DELETE", "/v1/webhooks/{name}"): Write(),
    ("DELETE", "/v1/subscribers/{name}"): Write(),
    ("POST", "/v1/admins"): Write({"name": "second"}),
    ("POST", "/v1/admins/{name}/invites"): Write(),
    ("DELETE", "/v1/admins/{name}"): Write(),
    ("POST", "/v1/sinks/{name}/suspend"): Write(),
    ("POST", "/v1/sinks/{name}/resume"): Write(),
    ("POST", "/v1/rejected/{number}/replay"): Write(),
    ("POST", "/v1/rejected/purge"): Write({"before": "2026-11-01T00:00:00Z"}),
    ("POST", "/v1/users/{user}/erasure"): Write({"confirm": "dave"}, {"user": "dave"}),
    ("DELETE", "/v1/users/{user}"): Write(named={"user": "carol"}),
}
"""What each is asked, in an order in which there is what it is about."""

SETTINGS = """[gateway]
public_url = "https://health.example.org/"
webhook_hosts = ["127.0.0.1"]
[adapters.oura]
client_id = "{client}"
client_secret = "{secret}"
base_url = "{url}"
auth_url = "{url}/oauth/authorize"
token_url = "{url}/oauth/token"
"""


@dataclass(frozen=True)
class Scene:
    here: GatewayHere
    hook: str
    """Where somebody takes what is posted."""

    def rows(self) -> list[tuple[str, str]]:
        """Who did what, by the audit log."""
        return [(row.actor, row.action) for row in self.here.place.audit_log().rows()]


class Takes(BaseHTTPRequestHandler):
    """The other side of a webhook."""

    def do_POST(self) -> None:  # the standard library's name
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """No lines on stderr."""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    data = tmp_path / "data"
    filled(data, ["alice", "bob", "dave"], [item("h-1")])
    with open_log(data) as log:
        log.stage([], [rejected("r-1")], NOW_US)
        log.commit()
    Sinks(data).prepare()
    Sinks(data).put(made(kind="file", name="copies", path=str(tmp_path / "out")), replace=False)
    with LinkBook.open(data) as book:
        book.agree("alice", "oura", Tokens("access", "refresh", NOW_US, account="a"), "daily", NOW_US)
    with serving(ScriptedCloud(OURA)) as cloud, served(Takes) as url:
        (data / "healthsync.toml").write_text(SETTINGS.format(client=CLIENT, secret=SECRET, url=cloud))
        (data / "healthsync.toml").chmod(0o600)
        with gateway_here(data) as here, answering(data, rejected_replay={"outcome": "stored"}, rejected_purge={}):
            here.house.uploads._command = lambda _: ("/bin/true",)  # what becomes of a file is no matter here
            yield Scene(here, f"{url}/hook")


def rule_of(route: APIRoute) -> Rule:
    [rule] = [each.call for each in route.dependant.dependencies if isinstance(each.call, Rule)]
    return rule


def test_every_write_is_written_down_with_who_did_it(scene: Scene) -> None:
    rules = {
        (method, route.path_format): rule_of(route)
        for router in scene.here.house.routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods - SAFE
    }
    assert {key for key, rule in rules.items() if isinstance(rule, KEEPING)} == set(WRITES)
    root, alice = scene.here.admin("root"), scene.here.invited("alice")

    def asked(method: str, path: str, write: Write, rule: Rule) -> HttpAnswer:
        body = write.body | {"url": scene.hook} if write.body is HOOK else write.body
        where = path.format(**{"name": NAMES.get(path.split("/")[2], "")} | USUAL | write.named)
        if isinstance(rule, Owner):
            return alice.call(method, where, body, x_csrf_token=alice.csrf)
        return root.call(method, where, body)

    for (method, path), write in WRITES.items():
        rule = rules[method, path]
        before = scene.rows()
        answer = asked(method, path, write, rule)
        assert answer.status == 200, (method, path, answer.body)
        new = scene.rows()[len(before) :]
        who = "user" if isinstance(rule, Owner) else "admin root"
        assert [actor for actor, _ in new] == [who] * write.rows, (method, path, new)


def test_what_is_refused_is_written_down_as_no_deed(scene: Scene) -> None:
    """The control: a row is of what was done."""
    root = scene.here.admin("root")
    before = scene.rows()
    for path, body in (("/v1/users", {"user_id": "alice", "consent": []}), ("/v1/users/nobody/suspend", {})):
        assert root.post(path, body).status in {404, 409}
    assert scene.rows() == before
