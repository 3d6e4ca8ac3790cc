"""Who listens to what: an index from topic filters to sessions. Pure; matching costs O(levels), not O(filters)."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Subscriber(Protocol):
    """Anything hashable can subscribe."""

    def __hash__(self) -> int: ...


S = TypeVar("S", bound=Subscriber)


class _Node(Generic[S]):
    __slots__ = ("children", "here")

    def __init__(self) -> None:
        self.children: dict[str, _Node[S]] = {}
        self.here: dict[S, int] = {}


class Subscriptions(Generic[S]):
    """Filters by session. Exact filters live in one dict, wildcard filters in a trie."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[S, int]] = {}
        self._root: _Node[S] = _Node()
        self._filters: dict[S, dict[str, int]] = {}

    def add(self, session: S, topic_filter: str, qos: int) -> None:
        """Subscribe, or replace the QoS of a filter that is there already [MQTT-3.8.4-3]."""
        self._filters.setdefault(session, {})[topic_filter] = qos
        if "+" not in topic_filter and "#" not in topic_filter:
            self._exact.setdefault(topic_filter, {})[session] = qos
            return
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.here[session] = qos

    def remove(self, session: S, topic_filter: str) -> None:
        """Unsubscribe; a filter that is not there is no error."""
        filters = self._filters.get(session)
        if filters is None or filters.pop(topic_filter, None) is None:
            return
        if not filters:
            del self._filters[session]
        exact = self._exact.get(topic_filter)
        if exact is not None and exact.pop(session, None) is not None:
            if not exact:
                del self._exact[topic_filter]
            return
        self._prune(self._root, topic_filter.split("/"), session)

    def drop(self, session: S) -> None:
        """Remove every filter of a session."""
        for topic_filter in list(self._filters.get(session, ())):
            self.remove(session, topic_filter)

    def granted(self, session: S, topic_filter: str) -> int | None:
        """The QoS granted to a filter of the session; None when it has no such filter."""
        return self._filters.get(session, {}).get(topic_filter)

    def count(self, session: S) -> int:
        """How many filters the session has."""
        return len(self._filters.get(session, ()))

    def filters(self, session: S) -> dict[str, int]:
        """The session's filters with their granted QoS; a copy."""
        return dict(self._filters.get(session, {}))

    def match(self, topic: str) -> dict[S, int]:
        """Every session with a filter that matches, with the highest QoS among its matching filters."""
        found = dict(self._exact.get(topic, ()))
        if self._root.children:
            for node in _matching(self._root, topic.split("/"), 0):
                for session, qos in node.here.items():
                    if qos > found.get(session, -1):
                        found[session] = qos
        return found

    def _prune(self, node: _Node[S], levels: list[str], session: S) -> None:
        if not levels:
            node.here.pop(session, None)
            return
        child = node.children.get(levels[0])
        if child is None:
            return
        self._prune(child, levels[1:], session)
        if not child.children and not child.here:
            del node.children[levels[0]]


def _matching(node: _Node[S], levels: list[str], at: int) -> Iterator[_Node[S]]:
    hidden = at == 0 and levels[0].startswith("$")  # [MQTT-4.7.2-1]
    rest = node.children.get("#")
    if rest is not None and not hidden:
        yield rest
    if at == len(levels):
        yield node
        return
    for level in (levels[at], "+"):
        child = node.children.get(level)
        if child is not None and not (hidden and level == "+"):
            yield from _matching(child, levels, at + 1)
