"""Wildcards over channels of which everybody has a part: granted where each message is looked at, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.broker.external.mosquitto.dynsec import acls_of
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from healthsync_mqtt.topics.registry import TopicRegistry

REGISTRY = TopicRegistry.load()
STRICT, SCREENING = AccessRules(REGISTRY), AccessRules(REGISTRY, screens=True)
HA = Principal(role=Role.subscriber, client_id="ha", users=frozenset({"alice"}), types=frozenset({"heart_rate"}))
EVERY = Principal(role=Role.subscriber, client_id="every", users=None, types=None)
WATCH = Principal(role=Role.device, client_id="w", user="alice", device="watch")
ADMIN = Principal(role=Role.admin, client_id="root")
FILTERS = [
    "homeassistant/#",
    "homeassistant/device/#",
    "homeassistant/device/+/+/config",
    "homeassistant/+/+/+/config",
    "homeassistant/device/alice/+/config",
]


@pytest.mark.parametrize("name", FILTERS)
def test_a_reader_of_one_user_has_its_wildcards_where_messages_are_looked_at(name: str) -> None:
    assert SCREENING.may_subscribe(HA, name).allowed
    assert not STRICT.may_subscribe(HA, name).allowed
    assert not SCREENING.may_subscribe(WATCH, name).allowed
    assert SCREENING.may_subscribe(ADMIN, name).allowed


def test_a_reader_of_all_has_them_everywhere_but_for_the_status_of_others() -> None:
    assert STRICT.may_subscribe(EVERY, "homeassistant/device/+/+/config").allowed
    assert not STRICT.may_subscribe(EVERY, "homeassistant/#").allowed
    for rules in (STRICT, SCREENING):
        assert not rules.may_subscribe(EVERY, "homeassistant/status").allowed


@pytest.mark.parametrize("name", ["#", "+/#", "+/device/+/+/config", "users/#", "users/+/latest/+", "users/alice/#"])
def test_a_wildcard_that_reaches_more_is_decided_as_before(name: str) -> None:
    for principal in (HA, WATCH):
        assert SCREENING.may_subscribe(principal, name).allowed == (name == "+/device/+/+/config" and principal is HA)


topics = st.sampled_from(
    [
        REGISTRY.build(key, user=user, type=name)
        for key in ("latest", "homeassistant_config")
        for user in ("alice", "bob")
        for name in ("heart_rate", "weight", "menstrual_flow")
    ]
    + ["homeassistant/status"]
)
readers = st.builds(
    Principal,
    role=st.just(Role.subscriber),
    client_id=st.just("r"),
    users=st.none() | st.frozensets(st.sampled_from(["alice", "bob"])),
    types=st.none() | st.frozensets(st.sampled_from(["heart_rate", "menstrual_flow"])),
    named=st.frozensets(st.sampled_from(["menstrual_flow"])),
)


@given(readers, topics)
def test_what_reaches_a_reader_through_a_wildcard_it_may_have_by_name(reader: Principal, topic: str) -> None:
    granted = any(SCREENING.may_subscribe(reader, name).allowed and matches(name, topic) for name in FILTERS)
    if granted and SCREENING.reaches(reader, topic):
        assert STRICT.may_subscribe(reader, topic).allowed


@given(readers, topics)
def test_mosquitto_is_told_to_hand_out_exactly_that(reader: Principal, topic: str) -> None:
    if reader.users is not None and not reader.users:
        return
    best, allowed = -1, False
    for acl in acls_of(grants_of(STRICT, reader)):
        if acl["acltype"] == "publishClientReceive" and matches(acl["topic"], topic) and acl["priority"] > best:
            best, allowed = acl["priority"], acl["allow"]
    assert allowed == STRICT.may_receive(reader, topic)


def test_mosquitto_lets_it_subscribe_to_its_root() -> None:
    for reader in (HA, EVERY):
        acls = acls_of(grants_of(STRICT, reader))
        assert {"acltype": "subscribePattern", "topic": "homeassistant/#", "priority": 0, "allow": True} in acls
        assert {acl["topic"] for acl in acls if acl["acltype"] == "publishClientSend" and acl["allow"]} >= {
            "homeassistant/status"
        }
    assert "homeassistant" not in str(acls_of(grants_of(STRICT, WATCH)))


def test_no_type_that_is_guarded_reaches_who_did_not_name_it() -> None:
    assert CATALOGUE.keys() > GUARDED
    for name in GUARDED:
        for key in ("latest", "homeassistant_config"):
            assert not SCREENING.reaches(EVERY, REGISTRY.build(key, user="alice", type=name))
