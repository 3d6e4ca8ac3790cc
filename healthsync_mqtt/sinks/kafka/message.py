"""What a row of the log becomes in Kafka: a message in the topic of events, and one in that of latest versions."""

from typing import Final, NamedTuple

from healthsync_mqtt.model.event_schema import BASE, canonical_name
from healthsync_mqtt.model.record import OP_WORDS, Record, canonical_json

_OVERHEAD_BYTES: Final = 100
"""What a message takes in its batch beside key, value and headers: at most 61 for the batch, 21 for the message."""


class TopicMessage(NamedTuple):
    """A message of one of the two topics. ``value`` is None for a deletion."""

    seq: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def bytes(self) -> int:
        """The most that it takes, not compressed."""
        headers = sum(len(name) + len(value) + 10 for name, value in self.headers)
        return _OVERHEAD_BYTES + len(self.key) + len(self.value or b"") + headers


def event_message(record: Record, epoch: str) -> TopicMessage:
    """The canonical event under its user: one partition has all of a user's events, in the order of the log.

    Headers: ``epoch`` and ``seq`` are the row's place in this log (what was sent once has the same), ``id``, ``type``,
    ``version`` and ``op`` the event's own, ``schema`` the id of the JSON Schema of its value. A deletion has no value;
    its headers say what it deletes.
    """
    headers = (
        ("epoch", epoch.encode()),
        ("seq", b"%d" % record.seq),
        ("id", record.id.encode()),
        ("type", record.type.encode()),
        ("version", b"%d" % record.version),
        ("op", OP_WORDS[record.op].encode()),
        ("schema", (BASE + canonical_name(record.type)).encode()),
    )
    return TopicMessage(record.seq, record.user.encode(), None if record.op else canonical_json(record), headers)


def latest_message(message: TopicMessage, event_id: str) -> TopicMessage:
    """The same under ``USER/ID``: a compacted topic keeps an event's latest version, and nothing of a deleted one."""
    return message._replace(key=message.key + b"/" + event_id.encode())


def owned_by(key: bytes, user: str) -> bool:
    """Whether a key of the topic of latest versions, or of days, is of this user. No user's id has a slash."""
    return key.startswith(user.encode() + b"/")
