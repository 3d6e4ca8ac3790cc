import pytest

from bridge.stages.authorise import origin_of
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.registry import TopicRegistry

REGISTRY = TopicRegistry.load()
WATCH = Principal(role=Role.device, client_id="alice-watch-1", user="alice", device="watch-1")
ALICE_FITBIT = Principal(role=Role.adapter, client_id="f", provider="fitbit", users=frozenset({"alice"}))
ADMIN = Principal(role=Role.admin, client_id="root")
NOBODY = Principal(role=Role.device, client_id="x")
FITBIT = Principal(role=Role.adapter, client_id="fitbit", provider="fitbit", users=None)


def origin(topic: str, principal: Principal | None) -> Origin:
    parsed = REGISTRY.parse(topic)
    assert parsed
    return origin_of(*parsed, principal, topic)


@pytest.mark.parametrize(
    ("topic", "principal", "user", "device", "provider"),
    [
        ("users/alice/events", WATCH, "alice", "watch-1", None),
        ("users/alice/events", None, "alice", None, None),
        ("users/alice/devices/watch-1/events", WATCH, "alice", "watch-1", None),
        ("users/alice/devices/phone/events", None, "alice", "phone", None),
        ("users/alice/adapters/fitbit/events", FITBIT, "alice", None, "fitbit"),
        ("users/alice/adapters/fitbit/events", None, "alice", None, "fitbit"),
    ],
)
def test_the_origin_comes_from_the_topic_and_the_session(
    topic: str, principal: Principal | None, user: str, device: str | None, provider: str | None
) -> None:
    assert origin(topic, principal) == Origin(user, device, provider, topic)


@pytest.mark.parametrize(
    ("topic", "principal"),
    [
        ("users/bob/events", WATCH),
        ("users/bob/devices/watch-1/events", WATCH),
        ("users/alice/devices/watch-2/events", WATCH),
        ("users/alice/adapters/fitbit/events", WATCH),
        ("users/alice/adapters/oura/events", FITBIT),
        ("users/bob/adapters/fitbit/events", ALICE_FITBIT),
        ("users/alice/devices/watch-1/events", FITBIT),
        ("users/alice/events", ADMIN),
        ("users/alice/events", NOBODY),
    ],
)
def test_a_topic_of_another_is_refused_again(topic: str, principal: Principal) -> None:
    with pytest.raises(DeniedError):
        origin(topic, principal)


@pytest.mark.parametrize("topic", ["users/alice/devices/watch-1/status", "users/alice/canonical/steps"])
def test_only_events_have_an_origin(topic: str) -> None:
    with pytest.raises(DeniedError):
        origin(topic, WATCH)
