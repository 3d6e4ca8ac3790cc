"""Retained messages: found by filter as paho matches, one copy, bounded bytes, nothing left behind."""

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained, RetainedMessages
from healthsync_mqtt.topics.access import AccessRules
from tests.unit.bridge.bench import REGISTRY
from tests.unit.broker.embedded.test_parts import FILTER, TOPIC


def store(total: int = 1 << 20) -> RetainedMessages:
    return RetainedMessages(ByteBudget(total, total), owner=AccessRules(REGISTRY).owner)


@given(st.lists(st.tuples(TOPIC, st.booleans()), max_size=30), FILTER)
def test_retained_messages_are_found_as_paho_matches(steps: list[tuple[str, bool]], topic_filter: str) -> None:
    kept, model = store(), {}
    for number, (topic, clear) in enumerate(steps):
        if clear:
            kept.clear(topic)
            model.pop(topic, None)
        else:
            message = Retained(topic, b"x" * number, 1, number)
            assert kept.keep(message)
            model[topic] = message
    found = kept.match(topic_filter)
    assert len(found) == len(set(found))
    assert set(found) == {m for topic, m in model.items() if topic_matches_sub(topic_filter, topic)}
    assert kept.held_bytes == sum(m.size for m in model.values())
    for topic in list(model):
        kept.clear(topic)
    assert (len(kept), kept.held_bytes, kept._root.children, kept._held) == (0, 0, {}, {})


def test_one_user_leaves_room_for_every_other() -> None:
    kept = store(1_000_000)
    for n in range(1000):
        kept.keep(Retained(f"users/greedy/devices/d{n}/status", b"x" * 9_000, 1))
    assert 900_000 < kept.held_bytes <= 1_000_000
    for n in range(300):
        assert kept.keep(Retained(f"users/u{n}/devices/d/status", b"x" * 1_000, 1))
    assert len(kept.match("users/+/devices/d/status")) == 300
    assert kept.held_bytes <= 1_000_000


def test_a_user_is_one_wherever_it_stands_in_the_topic() -> None:
    kept = store(1_000_000)
    for n in range(1000):
        kept.keep(Retained(f"homeassistant/device/greedy/t{n}/config", b"x" * 9_000, 1))
    for n in range(300):
        assert kept.keep(Retained(f"homeassistant/device/u{n}/weight/config", b"x" * 1_000, 1))
        assert kept.keep(Retained(f"users/u{n}/latest/weight", b"x", 1))
    assert len(kept.match("homeassistant/device/+/weight/config")) == 300
    kept.keep(Retained("users/greedy/devices/d/status", b"x" * 500_000, 1))
    assert len(kept.match("homeassistant/device/+/weight/config")) == 300, "both are greedy's"


def test_a_message_that_finds_no_room_leaves_no_older_one() -> None:
    kept = store(1_000)
    assert kept.keep(Retained("a/b", b"old", 1))
    assert not kept.keep(Retained("a/b", b"x" * 2_000, 1))
    assert kept.get("a/b") is None
    assert kept.match("a/+") == []
