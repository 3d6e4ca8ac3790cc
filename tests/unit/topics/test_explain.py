"""An explanation never says anything else than the decision."""

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.explanation import explain_publish, explain_subscribe
from healthsync_mqtt.topics.registry import TopicRegistry

RULES = AccessRules(TopicRegistry.load(types=frozenset(CATALOGUE)))
IDS = st.sampled_from(["alice", "bob", "watch", "+", "#", "heart_rate", "steps", "$share", ""])
WORDS = st.sampled_from(
    ["users", "devices", "events", "receipts", "status", "commands", "canonical", "insights", "bridge", "adapters"]
)
TOPICS = st.lists(IDS | WORDS, min_size=1, max_size=6).map("/".join)
PRINCIPALS = st.sampled_from(
    [
        Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch"),
        Principal(role=Role.subscriber, client_id="app", users=frozenset({"alice"}), types=None),
        Principal(role=Role.subscriber, client_id="all", users=None, types=frozenset({"heart_rate"})),
        Principal(role=Role.admin, client_id="root", users=None, types=None),
        Principal(role=Role.adapter, client_id="fitbit", users=frozenset({"alice"}), provider="fitbit"),
    ]
)


@given(PRINCIPALS, TOPICS, st.booleans())
def test_publishing_is_explained_by_the_one_channel_that_decides(principal, topic: str, retain: bool) -> None:
    found = explain_publish(RULES, principal, topic, retain=retain)
    assert found.decision == RULES.may_publish(principal, topic, retain=retain)
    touched = [line.decision for line in found.lines if line.decision is not None]
    assert touched == ([found.decision] if found.decision.channel is not None else [])


@given(PRINCIPALS, TOPICS)
def test_a_filter_is_allowed_when_every_channel_it_touches_allows_it(principal, topic_filter: str) -> None:
    found = explain_subscribe(RULES, principal, topic_filter)
    assert found.decision == RULES.may_subscribe(principal, topic_filter)
    touched = [line.decision.allowed for line in found.lines if line.decision is not None]
    assert found.decision.allowed == (bool(touched) and all(touched))


def test_every_channel_has_its_line() -> None:
    device = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
    found = explain_subscribe(RULES, device, "users/alice/devices/watch/+")
    assert [line.channel for line in found.lines] == list(RULES.registry)
    said = {line.channel.key: line.decision.allowed for line in found.lines if line.decision is not None}
    assert said == {"device_events": False, "receipts": True, "status": True, "commands": True} | {
        key: allowed for key, allowed in said.items() if key not in {"device_events", "receipts", "status", "commands"}
    }
