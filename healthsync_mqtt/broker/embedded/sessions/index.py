"""Who listens to what: an index from topic filters to sessions. Pure; matching costs O(levels), not O(filters)."""

from collections.abc import Iterable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from healthsync_mqtt.mqtt.codec.packets import NO_LOCAL, RETAIN_AS_PUBLISHED


class GrantedQos(int):
    """A granted QoS, with what MQTT 5 asks for beside it: as a number it is the QoS."""

    no_local = False
    as_published = False
    #: the identifiers of the subscriptions, several where several filters match
    identifiers: tuple[int, ...] = ()

    @classmethod
    def of(cls, options: int, identifier: int = 0) -> "GrantedQos":
        """What a SUBSCRIBE grants by these options (their QoS) and this subscription identifier, 0: none."""
        qos, no_local, as_published = options & 3, bool(options & NO_LOCAL), bool(options & RETAIN_AS_PUBLISHED)
        if not (no_local or as_published or identifier):
            return _PLAIN[qos]
        granted = cls(qos)
        granted.no_local, granted.as_published = no_local, as_published
        granted.identifiers = (identifier,) if identifier else ()
        return granted

    @property
    def options(self) -> int:
        """What ``of`` takes."""
        return int(self) | (NO_LOCAL if self.no_local else 0) | (RETAIN_AS_PUBLISHED if self.as_published else 0)

    @property
    def plain(self) -> bool:
        """Whether it is a QoS and nothing else."""
        return self is _PLAIN[self]

    def beside(self, other: "GrantedQos") -> "GrantedQos":
        """What holds for a message that both subscriptions match: it is sent once."""
        if self.plain and other.plain:
            return max(self, other)
        both = GrantedQos(max(self, other))
        both.no_local = self.no_local and other.no_local
        both.as_published = self.as_published or other.as_published
        both.identifiers = self.identifiers + other.identifiers
        return both


_PLAIN: Final = (GrantedQos(0), GrantedQos(1), GrantedQos(2))


class SubscriptionHolder(Protocol):
    """Anything hashable can subscribe."""

    def __hash__(self) -> int: ...


S = TypeVar("S", bound=SubscriptionHolder)


class _FilterNode(Generic[S]):
    __slots__ = ("children", "here")

    def __init__(self) -> None:
        self.children: dict[str, _FilterNode[S]] = {}
        self.here: dict[S, GrantedQos] = {}


def beside(granted: Iterable[GrantedQos]) -> GrantedQos | None:
    """What holds for a message that all these subscriptions match; None of none."""
    found: GrantedQos | None = None
    for each in granted:
        found = each if found is None else found.beside(each)
    return found


class Subscriptions(Generic[S]):
    """Filters by session. Exact filters live in one dict, wildcard filters in a trie."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[S, GrantedQos]] = {}
        self._root: _FilterNode[S] = _FilterNode()
        self._filters: dict[S, dict[str, GrantedQos]] = {}

    def add(self, session: S, topic_filter: str, qos: int) -> None:
        """Subscribe, or replace what was granted to a filter that is there already [MQTT-3.8.4-3]."""
        qos = qos if isinstance(qos, GrantedQos) else _PLAIN[qos]
        self._filters.setdefault(session, {})[topic_filter] = qos
        if "+" not in topic_filter and "#" not in topic_filter:
            self._exact.setdefault(topic_filter, {})[session] = qos
            return
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _FilterNode())
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

    def granted(self, session: S, topic_filter: str) -> GrantedQos | None:
        """What was granted to a filter of the session; None when it has no such filter."""
        return self._filters.get(session, {}).get(topic_filter)

    def count(self, session: S) -> int:
        """How many filters the session has."""
        return len(self._filters.get(session, ()))

    def filters(self, session: S) -> dict[str, GrantedQos]:
        """The session's filters with what was granted to them; a copy."""
        return dict(self._filters.get(session, {}))

    def match(self, topic: str) -> dict[S, GrantedQos]:
        """Every session with a filter that matches, with the highest QoS among its matching filters."""
        found = dict(self._exact.get(topic, ()))
        if self._root.children:
            for node in _matching(self._root, topic.split("/"), 0):
                for session, granted in node.here.items():
                    before = found.get(session)
                    found[session] = granted if before is None else before.beside(granted)
        return found

    def _prune(self, node: _FilterNode[S], levels: list[str], session: S) -> None:
        if not levels:
            node.here.pop(session, None)
            return
        child = node.children.get(levels[0])
        if child is None:
            return
        self._prune(child, levels[1:], session)
        if not child.children and not child.here:
            del node.children[levels[0]]


def _matching(node: _FilterNode[S], levels: list[str], at: int) -> Iterator[_FilterNode[S]]:
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
