"""The topic tree: grammar, registry of declared topics, access decisions and their AsyncAPI document."""

from healthsync_mqtt.topics.access import AccessDecision, AccessGround, AccessRules
from healthsync_mqtt.topics.document import Direction, TopicsFileError
from healthsync_mqtt.topics.grammar import TopicError, is_id, matches
from healthsync_mqtt.topics.registry import Channel, TopicRegistry

__all__ = [
    "AccessDecision",
    "AccessGround",
    "AccessRules",
    "Channel",
    "Direction",
    "TopicError",
    "TopicRegistry",
    "TopicsFileError",
    "is_id",
    "matches",
]
