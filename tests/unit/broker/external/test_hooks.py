"""The access hooks, byte for byte as each broker documents its question and the answer it understands."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.external.canary_world import COMMON, world_of
from healthsync_mqtt.broker.external.emqx.hooks import emqx_acl
from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.hooks import _HOOKS, answered
from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.broker.external.question import HookAnswer, Question
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

NOW = 1_795_000_000.0
NOW_US = int(NOW * 1_000_000)
BRIDGE = bridge_client_id("main")
OWN = world_of("main")


class House:
    """A registry with alice, bob and a subscriber, and the gatekeeper over it."""

    def __init__(self, root: Path) -> None:
        self.registry = Registry.open(root / "registry.db")
        for user in ("alice", "bob"):
            self.registry.add_user(user, "all", NOW_US)
        self.alice = self.registry.add_device("alice", "watch", NOW_US)
        self.bob = self.registry.add_device("bob", "watch", NOW_US)
        self.dash = self.registry.add_subscriber("dash", ["alice"], ["heart_rate"], NOW_US)
        self.keys = LiveKeys(KeyStore(root / "keys"), NOW_US)
        self.store = CredentialStore(root / "credentials")
        self.secrets = {name: self.store.ensure(name)[0] for name in (BRIDGE, OWN.probe.client_id, "healthsync-admin")}
        directory = Directory(self.registry)
        logins = Logins.of(directory, TokenVerifier(self.keys), self.store)
        rules = AccessRules(TopicRegistry.load())
        self.gate = Gatekeeper(
            directory=directory, logins=logins, keys=self.keys, store=self.store, rules=rules, bridges=["main"]
        )
        self.newcomers = Newcomers(logins)
        issuer = TokenIssuer(self.keys)
        self.token = issuer.issue(self.alice.principal, lifetime_s=3600, now=NOW).token
        self.dash_token = issuer.issue(self.dash.principal, lifetime_s=3600, now=NOW).token

    def ask(self, path: str, body: bytes, headers: Mapping[str, str] | None = None, now: float = NOW) -> HookAnswer:
        return asyncio.run(answered(self.gate, Question(path, headers or {}, body, now), self.newcomers))

    def json(self, path: str, body: object, headers: Mapping[str, str] | None = None, now: float = NOW) -> bytes:
        said = self.ask(path, json.dumps(body).encode(), headers, now)
        assert (said.status, said.content_type) == (200, "application/json")
        return said.body

    def form(self, path: str, body: Mapping[str, str], now: float = NOW) -> bytes:
        said = self.ask(path, urlencode(body).encode(), {"content-type": "application/x-www-form-urlencoded"}, now)
        assert said.status == 200
        return said.body


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


# -- EMQX


def emqx_login(house: House, **other: object) -> bytes:
    asked = {
        "clientid": "alice-watch",
        "username": "alice-watch",
        "password": house.token,
        "peerhost": "127.0.0.1",
        "cert_common_name": "undefined",
    }
    return house.json("/emqx/auth", asked | other)


def test_emqx_login_allows_until_the_token_ends_with_the_rights_of_the_device(house: House) -> None:
    said = emqx_login(house)
    start = (
        b'{"result":"allow","is_superuser":false,"client_attrs":{"role":"device","user":"alice","device":"watch"},'
        b'"expire_at":1795003600,"acl":['
        b'{"permission":"allow","action":"publish","topic":"users/alice/events","qos":[0,1,2],"retain":false},'
    )
    assert said.startswith(start)
    assert b'{"permission":"allow","action":"publish","topic":"users/alice/devices/watch/status","qos":[0,1,2]}' in said
    assert b'{"permission":"allow","action":"subscribe","topic":"users/alice/devices/watch/receipts"}' in said
    assert said.endswith(b',{"permission":"deny","action":"all","topic":"#"}]}')
    assert json.loads(said)["acl"] == emqx_acl(house.gate.rules, house.alice.principal)


@pytest.mark.parametrize(
    "other",
    [
        {"clientid": "bob-watch"},
        {"username": "bob-watch"},
        {"clientid": "bob-watch", "username": "bob-watch"},
        {"password": "wrong"},
        {"password": ""},
        {"password": None},
        {"clientid": 5},
        {"clientid": "enroll", "username": "enroll"},
    ],
)
def test_emqx_login_of_anybody_else_is_denied_with_status_200(house: House, other: dict[str, object]) -> None:
    assert emqx_login(house, **other) == b'{"result":"deny"}'


@pytest.mark.parametrize(
    ("action", "topic", "retain", "result"),
    [
        ("publish", "users/alice/devices/watch/events", "false", "allow"),
        ("publish", "users/alice/devices/watch/events", "true", "deny"),
        ("publish", "users/alice/devices/watch/events", True, "deny"),
        ("publish", "users/alice/devices/watch/status", "true", "allow"),
        ("publish", "users/bob/devices/watch/events", "false", "deny"),
        ("subscribe", "users/alice/devices/watch/receipts", "false", "allow"),
        ("subscribe", "users/bob/devices/watch/receipts", "false", "deny"),
        ("subscribe", "users/+/devices/watch/receipts", "false", "deny"),
        ("subscribe", "$share/g/users/alice/devices/watch/receipts", "false", "deny"),
        ("subscribe", "#", "false", "deny"),
        ("all", "users/alice/devices/watch/events", "false", "deny"),
    ],
)
def test_emqx_authorization(house: House, action: str, topic: str, retain: object, result: str) -> None:
    asked = {"clientid": "alice-watch", "username": "alice-watch", "topic": topic, "action": action, "qos": "1"}
    assert house.json("/emqx/acl", asked | {"retain": retain}) == b'{"result":"%b"}' % result.encode()


def test_emqx_a_bridge_may_share_its_subscription_and_nothing_else(house: House) -> None:
    asked = {"clientid": BRIDGE, "username": BRIDGE, "action": "subscribe", "qos": "1", "retain": "false"}
    shared = "$share/hs/users/+/devices/+/events"
    assert house.json("/emqx/acl", asked | {"topic": shared}) == b'{"result":"allow"}'
    assert house.json("/emqx/acl", asked | {"topic": "$share/hs/#"}) == b'{"result":"deny"}'
    for each in (COMMON.intruder, COMMON.perch, OWN.perch):
        canary = asked | {"clientid": each.client_id, "username": each.client_id, "topic": shared}
        assert house.json("/emqx/acl", canary) == b'{"result":"deny"}'


def test_a_canary_of_each_bridge_is_let_in_into_its_own_world(house: House) -> None:
    name = OWN.probe.client_id
    login = {"clientid": name, "username": name, "password": house.secrets[name]}
    assert json.loads(emqx_login(house, **login))["result"] == "allow"
    assert emqx_login(house, **login | {"password": house.token}) == b'{"result":"deny"}'
    asked = {"clientid": name, "username": name, "action": "publish", "qos": "1", "retain": "false"}
    for user, result in ((OWN.probe.user, "allow"), (COMMON.probe.user, "deny"), (world_of("two").probe.user, "deny")):
        topic = f"users/{user}/devices/probe/events"
        assert house.json("/emqx/acl", asked | {"topic": topic}) == b'{"result":"%b"}' % result.encode()


# -- RabbitMQ


def test_rabbitmq_login(house: House) -> None:
    asked = {"username": "alice-watch", "password": house.token, "client_id": "alice-watch", "vhost": "/"}
    assert house.form("/rabbitmq/user", asked) == b"allow"
    assert house.form("/rabbitmq/user", asked | {"client_id": "bob-watch"}) == b"deny"
    assert house.form("/rabbitmq/user", asked | {"password": "wrong"}) == b"deny"
    without_mqtt = {"username": "alice-watch", "password": house.token}
    assert house.form("/rabbitmq/user", without_mqtt) == b"deny"


def test_rabbitmq_the_operator_is_administrator_and_nobody_over_mqtt(house: House) -> None:
    name, password = "healthsync-admin", house.secrets["healthsync-admin"]
    asked = {"username": name, "password": password}
    assert house.form("/rabbitmq/user", asked) == b"allow administrator"
    assert house.form("/rabbitmq/user", asked | {"password": "x"}) == b"deny"
    for client_id in (name, "", "alice-watch"):
        assert house.form("/rabbitmq/user", asked | {"client_id": client_id}) == b"deny"
    topic = {
        "username": name,
        "vhost": "/",
        "resource": "topic",
        "name": "amq.topic",
        "routing_key": "users.bob.events",
    }
    assert house.form("/rabbitmq/topic", topic | {"permission": "write"}) == b"deny"


def test_rabbitmq_the_operator_may_do_what_an_eviction_does(house: House) -> None:
    asked = {"username": "healthsync-admin", "vhost": "/"}
    assert house.form("/rabbitmq/vhost", asked) == b"allow"
    assert house.form("/rabbitmq/vhost", asked | {"vhost": "other"}) == b"deny"
    resources = {
        ("queue", "mqtt-subscription-alice-watchqos1", "configure"): b"allow",
        ("queue", "another", "configure"): b"deny",
        ("exchange", "amq.topic", "read"): b"allow",
        ("exchange", "amq.direct", "read"): b"deny",
    }
    for (kind, name, permission), answer in resources.items():
        question = asked | {"resource": kind, "name": name, "permission": permission}
        assert house.form("/rabbitmq/resource", question) == answer
        assert house.form("/rabbitmq/resource", question | {"vhost": "other"}) == b"deny"
    unbinding = asked | {"resource": "topic", "name": "amq.topic", "permission": "read"}
    assert house.form("/rabbitmq/topic", unbinding | {"routing_key": "users.bob.canonical.*"}) == b"allow"


@pytest.mark.parametrize(
    ("permission", "key", "result"),
    [
        ("write", "users.alice.devices.watch.events", b"allow"),
        ("write", "users.bob.devices.watch.events", b"deny"),
        ("write", "users.alice.devices.watch.receipts", b"deny"),
        ("read", "users.alice.devices.watch.receipts", b"allow"),
        ("read", "users.bob.devices.watch.receipts", b"deny"),
        ("read", "users.*.devices.watch.receipts", b"deny"),
        ("read", "#", b"deny"),
        ("write", "users/alice/devices/watch/events", b"deny"),
        ("configure", "users.alice.devices.watch.events", b"deny"),
    ],
)
def test_rabbitmq_topics(house: House, permission: str, key: str, result: bytes) -> None:
    asked = {"username": "alice-watch", "vhost": "/", "resource": "topic", "name": "amq.topic"}
    assert house.form("/rabbitmq/topic", asked | {"permission": permission, "routing_key": key}) == result


@pytest.mark.parametrize(
    ("kind", "name", "permission", "result"),
    [
        ("exchange", "amq.topic", "write", b"allow"),
        ("exchange", "amq.topic", "read", b"allow"),
        ("exchange", "amq.topic", "configure", b"deny"),
        ("exchange", "amq.direct", "write", b"deny"),
        ("queue", "mqtt-subscription-alice-watchqos1", "configure", b"allow"),
        ("queue", "mqtt-subscription-bob-watchqos1", "read", b"deny"),
        ("queue", "anything", "read", b"deny"),
    ],
)
def test_rabbitmq_resources(house: House, kind: str, name: str, permission: str, result: bytes) -> None:
    asked = {"username": "alice-watch", "vhost": "/", "resource": kind, "name": name, "permission": permission}
    assert house.form("/rabbitmq/resource", asked) == result
    assert house.form("/rabbitmq/resource", asked | {"vhost": "other"}) == b"deny"


def test_rabbitmq_virtual_hosts(house: House) -> None:
    assert house.form("/rabbitmq/vhost", {"username": "alice-watch", "vhost": "/", "ip": "127.0.0.1"}) == b"allow"
    assert house.form("/rabbitmq/vhost", {"username": "alice-watch", "vhost": "other", "ip": ""}) == b"deny"
    assert house.form("/rabbitmq/vhost", {"username": "nobody", "vhost": "/", "ip": "127.0.0.1"}) == b"deny"


# -- mosquitto-go-auth

YES, NO = b'{"Ok":true,"Error":""}', b'{"Ok":false,"Error":"denied"}'


def test_goauth_login_by_json_and_by_form(house: House) -> None:
    asked = {"username": "alice-watch", "password": house.token, "clientid": "alice-watch"}
    assert house.json("/goauth/user", asked) == YES
    assert house.form("/goauth/user", asked) == YES
    assert house.json("/goauth/user", asked | {"clientid": "bob-watch"}) == NO
    assert house.json("/goauth/superuser", {"username": "alice-watch"}) == NO


@pytest.mark.parametrize(
    ("topic", "access", "said"),
    [
        ("users/alice/devices/watch/events", 2, YES),
        ("users/alice/devices/watch/events", 1, NO),
        ("users/alice/devices/watch/events", 3, NO),
        ("users/alice/devices/watch/status", 3, YES),
        ("users/alice/devices/watch/receipts", 1, YES),
        ("users/alice/devices/watch/receipts", 4, YES),
        ("users/bob/devices/watch/receipts", 4, NO),
        ("#", 4, NO),
        ("users/alice/devices/watch/status", 0, NO),
        ("users/alice/devices/watch/status", 7, NO),
    ],
)
def test_goauth_acl(house: House, topic: str, access: int, said: bytes) -> None:
    asked = {"username": "alice-watch", "clientid": "alice-watch", "topic": topic, "acc": access}
    assert house.json("/goauth/acl", asked) == said
    assert house.form("/goauth/acl", {key: str(value) for key, value in asked.items()}) == said


# -- VerneMQ

ERROR = b'{"result":{"error":"not_allowed"}}'


@pytest.mark.parametrize("suffix", ["", "_m5"])
def test_vernemq(house: House, suffix: str) -> None:
    who = {"username": "alice-watch", "mountpoint": "", "client_id": "alice-watch"}

    def ask(hook: str, **more: object) -> bytes:
        return house.json("/vernemq", who | more, {"vernemq-hook": hook + suffix})

    login = {"peer_addr": "127.0.0.1", "peer_port": 8888, "password": house.token, "clean_session": False}
    assert ask("auth_on_register", **login) == b'{"result":"ok"}'
    assert ask("auth_on_register", **login | {"password": "wrong"}) == ERROR
    assert ask("auth_on_register", **login | {"client_id": "bob-watch"}) == ERROR
    publish = {"qos": 1, "payload": "aGVsbG8=", "retain": False}
    assert ask("auth_on_publish", topic="users/alice/events", **publish) == b'{"result":"ok"}'
    assert ask("auth_on_publish", topic="users/alice/events", **publish | {"retain": True}) == ERROR
    assert ask("auth_on_publish", topic="users/bob/events", **publish) == ERROR
    topics = [
        {"topic": "users/alice/devices/watch/receipts", "qos": 1},
        {"topic": "users/bob/devices/watch/receipts", "qos": 1},
    ]
    assert ask("auth_on_subscribe", topics=topics) == (
        b'{"result":"ok","topics":[{"topic":"users/alice/devices/watch/receipts","qos":1},'
        b'{"topic":"users/bob/devices/watch/receipts","qos":128}]}'
    )
    assert ask("auth_on_publish", topic="users/alice/events", mountpoint="other", **publish) == ERROR
    assert ask("on_deliver", topic="users/alice/events") == ERROR


# -- all of them


def test_an_ended_or_revoked_login_may_do_nothing_more(house: House) -> None:
    assert house.json("/emqx/auth", {"clientid": "alice-watch", "username": "alice-watch", "password": house.token})
    asked = {"clientid": "alice-watch", "username": "alice-watch", "topic": "users/alice/events", "action": "publish"}
    assert house.json("/emqx/acl", asked) == b'{"result":"allow"}'
    assert house.json("/emqx/acl", asked, now=NOW + 3600) == b'{"result":"deny"}'
    lost = house.registry.add_device("alice", "lost", NOW_US)
    asked = {"clientid": lost.client_id, "username": lost.client_id, "topic": "users/alice/events", "action": "publish"}
    house.gate.refresh()
    assert house.json("/emqx/acl", asked) == b'{"result":"allow"}'
    house.registry.remove_device("alice", "lost", NOW_US)
    assert house.gate.refresh() == {lost.client_id}
    assert house.json("/emqx/acl", asked) == b'{"result":"deny"}'


def test_a_credential_of_a_provisioned_broker_is_as_good_as_a_token(house: House) -> None:
    secret, _ = house.store.ensure("bob-watch")
    asked = {"username": "bob-watch", "clientid": "bob-watch"}
    assert house.json("/goauth/user", asked | {"password": secret}) == YES
    assert house.json("/goauth/user", asked | {"password": house.store.ensure("alice-watch")[0]}) == NO


REFUSALS = {
    "/emqx": b'{"result":"deny"}',
    "/rabbitmq": b"deny",
    "/goauth": NO,
    "/vernemq": ERROR,
}


@pytest.mark.parametrize("path", sorted(_HOOKS))
@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"null", b"{", b'{"username":1}', b"a=1&a=2", b"[" * 50_000, b"username=%00"]
)
def test_what_cannot_be_read_is_refused_with_status_200(house: House, path: str, body: bytes) -> None:
    said = house.ask(path, body)
    assert said.status == 200
    assert said.body == next(words for start, words in REFUSALS.items() if path.startswith(start))


@given(body=st.binary(max_size=300), path=st.sampled_from(sorted(_HOOKS)), hook=st.text(max_size=20))
def test_no_bytes_make_a_hook_say_yes_or_fail(house: House, body: bytes, path: str, hook: str) -> None:
    said = house.ask(path, body, {"vernemq-hook": hook})
    assert (said.status, said.body) == (200, next(words for start, words in REFUSALS.items() if path.startswith(start)))


def test_other_paths_are_no_hooks(house: House) -> None:
    assert house.ask("/emqx", b"{}").status == 404
