"""What the gateway may do at each external broker, in that broker's own words; and that nobody else may do it."""

import json
from pathlib import Path

import pytest

from healthsync_mqtt.broker.external.canary_world import COMMON
from healthsync_mqtt.broker.external.configuration import render
from healthsync_mqtt.broker.external.grants import Grant, grants_of
from healthsync_mqtt.broker.external.identities import bridge_principal, own_principals
from healthsync_mqtt.broker.external.mosquitto.dynsec import acls_of
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.unit.broker.external.test_hooks import House
from tests.unit.broker.external.test_render import plan

NAME = GATEWAY.client_id
REQUESTS, ANSWERS = f"gateway/{NAME}/request", f"gateway/{NAME}/answer"
RULES = AccessRules(TopicRegistry.load())
MAY = [("publish", REQUESTS), ("subscribe", ANSWERS)]
MAY_NOT = [
    ("publish", ANSWERS),
    ("publish", "gateway/another/request"),
    ("publish", "users/alice/devices/watch/receipts"),
    ("publish", "users/alice/devices/watch/status"),
    ("publish", "users/alice/canonical/heart_rate"),
    ("subscribe", REQUESTS),
    ("subscribe", "gateway/another/answer"),
    ("subscribe", "gateway/+/answer"),
    ("subscribe", "gateway/#"),
    ("subscribe", "users/alice/devices/watch/receipts"),
    ("subscribe", "users/+/canonical/+"),
    ("subscribe", "#"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    made = House(tmp_path_factory.mktemp("house"))
    made.secrets[NAME] = made.store.ensure(NAME)[0]
    return made


def test_it_has_an_account_beside_every_bridge() -> None:
    assert own_principals(["main"])[NAME] is GATEWAY


def test_its_rights_are_a_topic_for_calls_and_one_for_answers() -> None:
    grants = grants_of(RULES, GATEWAY)
    assert grants.publish == (
        Grant("users/+/devices/+/events"),
        Grant("users/+/devices/+/formats/+/#"),
        Grant(REQUESTS),
    )
    assert grants.subscribe == grants.receive == (ANSWERS,)


@pytest.mark.parametrize("who", ["bridge", "intruder", "reader"])
def test_of_all_others_bridges_alone_hear_calls_and_answer_them(who: str) -> None:
    principal = {"bridge": bridge_principal("main"), "intruder": COMMON.intruder, "reader": COMMON.reader}[who]
    grants, is_bridge = grants_of(RULES, principal), who == "bridge"
    assert ("gateway/+/request" in grants.receive) == is_bridge
    assert (Grant("gateway/+/answer") in grants.publish) == is_bridge
    own = [each.filter for each in grants.publish if each.filter.startswith("gateway/")]
    assert own == (["gateway/+/answer"] if is_bridge else [])


def test_mosquitto() -> None:
    assert {(each["acltype"], each["topic"]) for each in acls_of(grants_of(RULES, GATEWAY))} == {
        ("publishClientSend", "users/+/devices/+/events"),
        ("publishClientSend", "users/+/devices/+/formats/+/#"),
        ("publishClientSend", REQUESTS),
        ("subscribePattern", ANSWERS),
        ("publishClientReceive", ANSWERS),
    }
    shared = acls_of(grants_of(RULES, bridge_principal("main")), group=True)
    assert ("subscribePattern", "$share/+/gateway/+/request") in {(each["acltype"], each["topic"]) for each in shared}


def test_hivemq(tmp_path: Path) -> None:
    everybody = plan(tmp_path)
    everybody.grants.update({NAME: grants_of(RULES, GATEWAY)})  # type: ignore[attr-defined]  # a dict there
    rights = json.loads(render("hivemq", everybody)["hivemq-rights.json"].content)[NAME]
    assert rights["subscribe"] == [ANSWERS]
    assert {"filter": REQUESTS, "retain": False} in rights["publish"]


@pytest.mark.parametrize(
    ("action", "topic", "allowed"), [(*each, True) for each in MAY] + [(*each, False) for each in MAY_NOT]
)
def test_the_access_hooks_of_each_broker_say_the_same(house: House, action: str, topic: str, allowed: bool) -> None:
    emqx = {"clientid": NAME, "username": NAME, "topic": topic, "action": action, "qos": "1", "retain": "false"}
    assert json.loads(house.json("/emqx/acl", emqx))["result"] == ("allow" if allowed else "deny")
    rabbit = {"username": NAME, "vhost": "/", "resource": "topic", "name": "amq.topic"}
    key = topic.replace("/", ".").replace("+", "*")
    permission = "write" if action == "publish" else "read"
    said = house.form("/rabbitmq/topic", rabbit | {"permission": permission, "routing_key": key})
    assert said == (b"allow" if allowed else b"deny")
    goauth = {"username": NAME, "clientid": NAME, "topic": topic, "acc": 2 if action == "publish" else 4}
    assert json.loads(house.json("/goauth/acl", goauth))["Ok"] is allowed
    who = {"username": NAME, "mountpoint": "", "client_id": NAME}
    if action == "publish":
        asked = {"topic": topic, "qos": 1, "payload": "", "retain": False}
        said = house.json("/vernemq", who | asked, {"vernemq-hook": "auth_on_publish"})
        assert (said == b'{"result":"ok"}') is allowed
    else:
        asked = {"topics": [{"topic": topic, "qos": 1}]}
        said = house.json("/vernemq", who | asked, {"vernemq-hook": "auth_on_subscribe"})
        assert json.loads(said)["topics"][0]["qos"] == (1 if allowed else 128)


def test_it_logs_in_with_its_credential_and_no_token_is_one(house: House) -> None:
    login = {"clientid": NAME, "username": NAME, "password": house.secrets[NAME], "peerhost": "127.0.0.1"}
    said = json.loads(house.json("/emqx/auth", login))
    assert said["result"] == "allow"
    assert {"permission": "allow", "action": "publish", "topic": REQUESTS, "qos": [0, 1, 2], "retain": False} in said[
        "acl"
    ]
    assert said["acl"][-1] == {"permission": "deny", "action": "all", "topic": "#"}
    for wrong in (house.token, house.dash_token, "", house.secrets["healthsync-admin"]):
        assert house.json("/emqx/auth", login | {"password": wrong}) == b'{"result":"deny"}'


@pytest.mark.parametrize("topic", [REQUESTS, "gateway/alice-watch/request", ANSWERS, "gateway/alice-watch/answer"])
def test_a_device_reaches_none_of_its_topics(house: House, topic: str) -> None:
    asked = {"clientid": "alice-watch", "username": "alice-watch", "topic": topic, "qos": "1", "retain": "false"}
    for action in ("publish", "subscribe"):
        assert house.json("/emqx/acl", asked | {"action": action}) == b'{"result":"deny"}'
