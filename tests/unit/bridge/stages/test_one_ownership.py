"""Whose a topic is: the door, the stage behind it and the rules of external brokers give one answer."""

from itertools import product

import pytest

from bridge.stages.authorise import origin_of
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from healthsync_mqtt.topics.registry import TopicRegistry

REGISTRY = TopicRegistry.load()
RULES = AccessRules(REGISTRY)
PRINCIPALS = [
    Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch"),
    Principal(role=Role.device, client_id="app", user="alice", device="watch", formats=frozenset({"fit"})),
    Principal(role=Role.device, client_id="lost"),
    Principal(role=Role.adapter, client_id="fitbit", provider="fitbit", users=None),
    Principal(role=Role.adapter, client_id="f", provider="fitbit", users=frozenset({"alice"})),
    Principal(role=Role.adapter, client_id="none", users=None),
    Principal(role=Role.subscriber, client_id="reader", users=frozenset({"alice"}), types=frozenset({"steps"})),
    Principal(role=Role.admin, client_id="root"),
    Principal(role=Role.enroll, client_id="guest"),
]
IDS = {
    "user": ("alice", "bob"),
    "device": ("watch", "phone"),
    "provider": ("fitbit", "oura"),
    "type": ("steps", "weight"),
    "kind": ("sleep",),
    "bridge": ("main",),
    "client": ("guest", "root"),
    "format": ("fit", "openscale"),
}
TOPICS = [
    channel.template.build(dict(zip(channel.template.variables, values, strict=True))) + rest
    for channel in REGISTRY
    for values in product(*(IDS[name] for name in channel.template.variables))
    for rest in (("", "/x", "/x/y") if channel.template.rest else ("",))
]


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda each: each.client_id)
def test_the_stage_lets_through_what_the_door_lets_through(principal: Principal) -> None:
    for topic in TOPICS:
        parsed = REGISTRY.parse(topic)
        assert parsed
        try:
            origin_of(*parsed, principal, topic)
            accepted = True
        except DeniedError:
            accepted = False
        assert accepted == (parsed[0].ingest and RULES.may_publish(principal, topic).allowed), topic


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda each: each.client_id)
def test_the_rules_handed_out_are_the_decisions_of_the_door(principal: Principal) -> None:
    grants = grants_of(RULES, principal)
    for topic in TOPICS:
        granted = any(matches(grant.filter, topic) for grant in grants.publish)
        assert granted == RULES.may_publish(principal, topic).allowed, topic
        received = any(matches(name, topic) for name in grants.receive)
        assert received == RULES.may_subscribe(principal, topic).allowed, topic
