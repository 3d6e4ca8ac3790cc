"""What a CONNECT is answered, and that nothing is asked before it has to be."""

import pytest

from healthsync_mqtt.broker.embedded.admission import Refusal, admission
from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec.packets import Connect, ConnectCode, Will
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

RULES = AccessRules(TopicRegistry.load(None, types=frozenset(CATALOGUE)))
ALICE = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
STATUS = "users/alice/devices/watch/status"


class _Accepted:
    principal = ALICE


def accept(_: Connect) -> Login:
    return _Accepted()  # type: ignore[return-value]


def refuse(_: Connect) -> Login:
    raise TokenError("expired")


def never(_: Connect) -> Login:
    raise AssertionError("asked for a login")


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (Connect("a", protocol_level=6), ConnectCode.BAD_PROTOCOL_VERSION),
        (Connect("a", protocol_level=5, protocol_name="MQIsdp"), ConnectCode.BAD_PROTOCOL_VERSION),
        (Connect("a", protocol_level=4, protocol_name="MQIsdp"), ConnectCode.BAD_PROTOCOL_VERSION),
        (Connect("a", protocol_level=3), ConnectCode.BAD_PROTOCOL_VERSION),
        (Connect("", clean_session=True), ConnectCode.IDENTIFIER_REJECTED),
        (Connect("", clean_session=False), ConnectCode.IDENTIFIER_REJECTED),
    ],
)
def test_what_is_refused_without_a_login(packet: Connect, code: ConnectCode) -> None:
    verdict = admission(packet, never, RULES)
    assert isinstance(verdict, Refusal)
    assert (verdict.code, verdict.held) == (code, False)


def test_mqtt_3_1_is_let_in_and_a_wrong_token_is_not_hidden_by_it() -> None:
    old = Connect("a", protocol_level=3, protocol_name="MQIsdp")
    assert admission(old, refuse, RULES) == Refusal(ConnectCode.NOT_AUTHORIZED, "expired", held=True)
    assert isinstance(admission(old, accept, RULES), _Accepted)


def test_a_failed_login_is_held_back() -> None:
    assert admission(Connect("a"), refuse, RULES) == Refusal(ConnectCode.NOT_AUTHORIZED, "expired", held=True)


@pytest.mark.parametrize(
    ("topic", "retain", "allowed"),
    [
        (STATUS, True, True),
        (STATUS, False, True),
        ("users/alice/devices/phone/status", False, False),
        ("users/alice/devices/watch/events", False, False),
        ("users/bob/devices/watch/status", True, False),
        ("$SYS/x", False, False),
    ],
)
def test_the_will_is_judged_with_the_principal_of_the_login(topic: str, retain: bool, allowed: bool) -> None:
    verdict = admission(Connect("a", will=Will(topic, b"x", 1, retain)), accept, RULES)
    assert isinstance(verdict, Refusal) is not allowed
