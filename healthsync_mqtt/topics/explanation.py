"""Access decisions rule by rule: the same question asked of each declared channel on its own, then of all. Pure.

Nothing is decided here: each line is what ``AccessRules`` says of a registry with that one channel in it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import AccessDecision, AccessGround, AccessRules
from healthsync_mqtt.topics.registry import Channel, TopicRegistry

_NOT_CONCERNED = frozenset({AccessGround.unknown_topic, AccessGround.bad_topic, AccessGround.reserved})


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """What one channel says; ``decision`` is None when the topic or filter does not touch it."""

    channel: Channel
    decision: AccessDecision | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision as the door makes it, and a line for each declared channel."""

    decision: AccessDecision
    lines: tuple[ChannelLine, ...]


def explain_publish(rules: AccessRules, principal: Principal, topic: str, *, retain: bool = False) -> Explanation:
    """Why ``principal`` may or may not publish to ``topic``."""
    return _explained(rules, lambda each: each.may_publish(principal, topic, retain=retain))


def explain_subscribe(rules: AccessRules, principal: Principal, topic_filter: str) -> Explanation:
    """Why ``principal`` may or may not subscribe to ``topic_filter``: every channel it touches has to allow it."""
    return _explained(rules, lambda each: each.may_subscribe(principal, topic_filter))


def _explained(rules: AccessRules, ask: Callable[[AccessRules], AccessDecision]) -> Explanation:
    registry = rules.registry
    lines = []
    for channel in registry:
        decision = ask(AccessRules(TopicRegistry([channel], types=registry.types), screens=True))
        lines.append(ChannelLine(channel, None if decision.reason in _NOT_CONCERNED else decision))
    return Explanation(ask(rules), tuple(lines))
