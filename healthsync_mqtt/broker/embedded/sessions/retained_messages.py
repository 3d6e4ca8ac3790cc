"""Retained messages: the last one of each topic, found by filter in O(levels + hits). Pure.

The payload is the very object that the sessions wait with: one copy, whoever gets it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.limits.heaviest import Heaviest


class Retained(NamedTuple):
    """A message with its publisher's QoS; ``number`` is its place among all that was routed, 0 in an earlier run.

    ``about`` and ``expires`` are as in ``Message``; ``sender`` is the client that published it, empty for the bridge.
    """

    topic: str
    payload: bytes
    qos: int
    number: int = 0
    about: bytes = b""
    expires: float = 0.0
    sender: str = ""

    @property
    def size(self) -> int:
        """Bytes that it is counted with."""
        return len(self.topic) + len(self.payload) + len(self.about)


class _Level:
    __slots__ = ("children", "here")

    def __init__(self) -> None:
        self.children: dict[str, _Level] = {}
        self.here: Retained | None = None


class RetainedMessages:
    """By topic. The bytes are bounded; the owner of most makes room for others."""

    def __init__(
        self,
        budget: ByteBudget,
        *,
        owner: Callable[[str], str],
        evicted: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``owner`` says whose a topic is; ``evicted`` is told of a topic whose message had to make room."""
        self._budget = budget
        self._owner = owner
        self._evicted = evicted
        self._root = _Level()
        self._by_topic: dict[str, Retained] = {}
        #: topics and bytes by owner
        self._owned: dict[str, dict[str, int]] = {}
        self._held: dict[str, int] = {}
        self._heaviest: Heaviest[str] = Heaviest(budget.each)
        #: messages that were not kept, or not kept any longer, for lack of room
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._by_topic)

    @property
    def held_bytes(self) -> int:
        """Bytes kept now."""
        return self._budget.used

    def keep(self, message: Retained) -> bool:
        """Keep it in place of the topic's earlier one; False: there is no room, and the topic has none any more."""
        self.clear(message.topic)
        owner, size = self._owner(message.topic), message.size
        held = self._held.get(owner, 0)
        while not self._budget.room(size):
            if not self._relieve(held + size):
                self.dropped += 1
                return False
        self._budget.take(size)
        self._held[owner] = held + size
        self._heaviest.moved(owner, held, held + size)
        self._owned.setdefault(owner, {})[message.topic] = size
        self._by_topic[message.topic] = message
        level = self._root
        for name in message.topic.split("/"):
            level = level.children.setdefault(name, _Level())
        level.here = message
        return True

    def clear(self, topic: str) -> None:
        """The topic has none any more; one that had none is no error."""
        message = self._by_topic.pop(topic, None)
        if message is None:
            return
        owner, size = self._owner(topic), message.size
        self._budget.give_back(size)
        held = self._held[owner]
        self._held[owner] = held - size
        self._heaviest.moved(owner, held, held - size)
        del self._owned[owner][topic]
        if not self._owned[owner]:
            del self._held[owner], self._owned[owner]
        path = [self._root]
        names = topic.split("/")
        for name in names:
            path.append(path[-1].children[name])
        path[-1].here = None
        for level, name in zip(reversed(path[:-1]), reversed(names), strict=True):
            child = level.children[name]
            if child.here is not None or child.children:
                break
            del level.children[name]

    def _relieve(self, size: int) -> bool:
        """Take half from the owner of most, oldest topics first; False when nobody holds more than ``size``."""
        owner = self._heaviest.find(self._held.__getitem__)
        most = 0 if owner is None else self._held[owner]
        if owner is None or most <= size:
            return False
        for topic in list(self._owned[owner]):
            self.clear(topic)
            self._evicted(topic)
            self.dropped += 1
            if self._held.get(owner, 0) <= most // 2:
                break
        return True

    def get(self, topic: str) -> Retained | None:
        """The message that is retained on this topic."""
        return self._by_topic.get(topic)

    def match(self, topic_filter: str) -> list[Retained]:
        """What a new subscription to this filter gets."""
        if "+" not in topic_filter and "#" not in topic_filter:
            message = self._by_topic.get(topic_filter)
            return [] if message is None else [message]
        return list(_matching(self._root, topic_filter.split("/"), 0))


def _matching(level: _Level, names: list[str], at: int) -> Iterator[Retained]:
    if at == len(names):
        if level.here is not None:
            yield level.here
        return
    name = names[at]
    if name == "#":
        yield from _everything(level, at)
    elif name == "+":
        for key, child in level.children.items():
            if at or not key.startswith("$"):  # [MQTT-4.7.2-1]
                yield from _matching(child, names, at + 1)
    else:
        child_of_name = level.children.get(name)
        if child_of_name is not None:
            yield from _matching(child_of_name, names, at + 1)


def _everything(level: _Level, at: int) -> Iterator[Retained]:
    if level.here is not None:
        yield level.here
    for key, child in level.children.items():
        if at or not key.startswith("$"):
            yield from _everything(child, at + 1)
