"""The declared topics: loaded from ``topics.yaml``, built by key, parsed in one walk down a trie of their levels."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.document import ChannelEntry, Direction, Document, Problem, TopicsFileError, read_document
from healthsync_mqtt.topics.grammar import TOPIC_MAX_BYTES, Template, TopicError, is_id, parse_prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One declared topic template and who may use it how. ``ingest`` marks the topics whose messages are events.

    ``answer`` is the key of the channel that requests on this one are answered on; both of them are ``private``.
    A wildcard over a ``screened`` one is granted where each message is looked at.
    """

    key: str
    template: Template
    direction: Direction
    payload: str
    qos: int
    retain: bool
    roles_publish: frozenset[Role]
    roles_subscribe: frozenset[Role]
    summary: str
    ingest: bool = False
    will: bool = False
    answer: str = ""
    private: bool = False
    screened: bool = False


class ConflictingTemplatesError(TopicError):
    """Two templates claim the same place in the topic tree; ``key`` is the later of the two."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message, hint="give every channel a topic of its own: literals and variables may not mix")
        self.key = key


class TopicRegistry:
    """All channels by key. Immutable; safe to share."""

    def __init__(self, channels: Iterable[Channel], *, types: frozenset[str] | None = None) -> None:
        """``types`` limits what ``{type}`` may be (None = any id). Raises ConflictingTemplatesError."""
        self.channels: Mapping[str, Channel] = {channel.key: channel for channel in channels}
        self.types = types
        self._root = _GrammarNode()
        for channel in self.channels.values():
            _insert(self._root, channel)

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        prefix: str | None = None,
        *,
        types: frozenset[str] | None = frozenset(CATALOGUE),
    ) -> Self:
        """The registry of a topics file (None = the one that ships with the program).

        A ``prefix`` given here replaces the file's; ``types`` are what ``{type}`` may be (None = any id). Raises
        TopicsFileError with every problem, and ConfigError when the file cannot be read.
        """
        shipped, path = path is None, path or default_path()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"cannot read {path}: {reason}", hint="check the path of the topics file") from None
        document = read_document(text, str(path), shipped=shipped)
        try:
            parse_prefix(prefix or "")
        except TopicError as error:
            raise ConfigError(str(error), hint=error.hint) from None
        channels = _channels(document, document.prefix if prefix is None else prefix)
        try:
            return cls(channels, types=types)
        except ConflictingTemplatesError as error:
            problem = document.problem(("channels", error.key, "topic"), str(error), error.hint)
            raise TopicsFileError([problem]) from None

    def __getitem__(self, key: str) -> Channel:
        return self.channels[key]

    def __iter__(self) -> Iterator[Channel]:
        return iter(self.channels.values())

    def build(self, key: str, **values: str) -> str:
        """The topic of channel ``key``; TopicError when a value is missing, superfluous or no id."""
        return self.channels[key].template.build(values)

    def parse(self, topic: str) -> tuple[Channel, dict[str, str]] | None:
        """The channel and the variables of a declared topic, else None. O(levels); never raises."""
        if len(topic) > TOPIC_MAX_BYTES:
            return None
        node = self._root
        values = []
        for level in topic.split("/"):
            if node.channel is not None and node.channel.template.rest:
                if any(mark in topic for mark in "+#\0"):
                    return None
                break
            child = node.literals.get(level)
            if child is None:
                child = node.variable
                if child is None or not is_id(level):
                    return None
                values.append(level)
            node = child
        channel = node.channel
        if channel is None:
            return None
        variables = dict(zip(channel.template.variables, values, strict=True))
        if self.types is not None and "type" in variables and variables["type"] not in self.types:
            return None
        return channel, variables

    def rest(self, channel: Channel, topic: str) -> str:
        """What follows in a topic behind the levels that its channel declares."""
        return "/".join(topic.split("/")[len(channel.template.levels) :])

    def ingest_channels(self) -> tuple[Channel, ...]:
        """The channels whose messages are events for the journal."""
        return tuple(channel for channel in self if channel.ingest)

    def bridge_filters(self) -> tuple[str, ...]:
        """The filters a bridge subscribes to on an external broker; no topic matches two of them."""
        return tuple(channel.template.filter for channel in self.ingest_channels())


def default_path() -> Path:
    """``topics.yaml`` beside this module in a wheel, else at the root of the source tree."""
    packaged = Path(__file__).with_name("topics.yaml")
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "topics.yaml"


@dataclass(slots=True)
class _GrammarNode:
    literals: dict[str, "_GrammarNode"] = field(default_factory=dict)
    variable: "_GrammarNode | None" = None
    channel: Channel | None = None
    owner: str = ""
    """Key of the channel that made this node, for messages."""


def _insert(root: _GrammarNode, channel: Channel) -> None:
    """Literals and a variable never share a place, so that a parse has one way to go and filters cannot overlap."""
    node = root
    for text, variable in channel.template.levels:
        if node.channel is not None and node.channel.template.rest:
            raise ConflictingTemplatesError(channel.key, f"it lies below `{node.channel.key}`, which takes any levels")
        if variable:
            if node.literals:
                name, other = next(iter(node.literals.items()))
                message = f"{{{text}}} stands where `{other.owner}` has the literal {name!r}"
                raise ConflictingTemplatesError(channel.key, message)
            node.variable = node.variable or _GrammarNode(owner=channel.key)
            node = node.variable
        else:
            if node.variable:
                message = f"the literal {text!r} stands where `{node.variable.owner}` has a variable"
                raise ConflictingTemplatesError(channel.key, message)
            node = node.literals.setdefault(text, _GrammarNode(owner=channel.key))
    if node.channel:
        raise ConflictingTemplatesError(channel.key, f"the same topics as `{node.channel.key}`")
    if channel.template.rest and (node.literals or node.variable):
        raise ConflictingTemplatesError(channel.key, "it takes any levels, and another channel lies below it")
    node.channel = channel


class _Needed(NamedTuple):
    """What the program relies on for a channel it uses by key."""

    variables: tuple[str, ...]
    direction: Direction
    ingest: bool = False
    may_retain: bool = False
    optional: bool = False
    """A file of an earlier release has no such channel; what goes over it is off then."""
    rest: bool = False


_NEEDED = {
    "user_events": _Needed(("user",), Direction.into, ingest=True),
    "device_events": _Needed(("user", "device"), Direction.into, ingest=True),
    "format_messages": _Needed(("user", "device", "format"), Direction.into, ingest=True, optional=True, rest=True),
    "adapter_events": _Needed(("user", "provider"), Direction.into, ingest=True),
    "receipts": _Needed(("user", "device"), Direction.out),
    "status": _Needed(("user", "device"), Direction.peer, may_retain=True),
    "commands": _Needed(("user", "device"), Direction.peer),
    "canonical": _Needed(("user", "type"), Direction.out),
    "latest": _Needed(("user", "type"), Direction.out, may_retain=True, optional=True),
    "homeassistant_config": _Needed(("user", "type"), Direction.out, may_retain=True, optional=True),
    "homeassistant_status": _Needed((), Direction.into, may_retain=True, optional=True),
    "connection": _Needed(("user", "provider"), Direction.peer, may_retain=True),
    "insight": _Needed(("user", "kind"), Direction.out, may_retain=True),
    "bridge_status": _Needed(("bridge",), Direction.out, may_retain=True),
    "bridge_rejected": _Needed(("bridge",), Direction.out),
    "token_request": _Needed(("user", "device"), Direction.into),
    "token_response": _Needed(("user", "device"), Direction.out),
    "enroll_request": _Needed(("client",), Direction.into),
    "enroll_response": _Needed(("client",), Direction.out),
    "changes_request": _Needed(("client",), Direction.into, optional=True),
    "changes_response": _Needed(("client",), Direction.out, optional=True),
    "gateway_request": _Needed(("client",), Direction.into, optional=True),
    "gateway_answer": _Needed(("client",), Direction.out, optional=True),
}


def _channels(document: Document, prefix: str) -> list[Channel]:
    """The channels of a document; TopicsFileError when one breaks a rule that its shape cannot show."""
    try:
        parse_prefix(prefix)
    except TopicError as error:
        raise TopicsFileError([document.problem(("prefix",), str(error), error.hint)]) from None
    answers = {entry.answer for entry in document.channels.values() if entry.answer}
    channels: list[Channel] = []
    problems: list[Problem] = []
    for key, entry in document.channels.items():
        try:
            template = Template.parse(entry.topic, prefix=prefix)
        except TopicError as error:
            problems.append(document.problem(("channels", key, "topic"), str(error), error.hint))
            continue
        problems += _broken_rules(document, key, entry, template)
        channel = Channel(
            key=key,
            template=template,
            direction=entry.direction,
            payload=entry.payload,
            qos=entry.qos,
            retain=entry.retain,
            roles_publish=frozenset(entry.roles.publish),
            roles_subscribe=frozenset(entry.roles.subscribe),
            summary=entry.summary,
            ingest=entry.ingest,
            will=entry.will,
            answer=entry.answer,
            private=bool(entry.answer) or key in answers,
            screened=entry.screened,
        )
        channels.append(channel)
    needed = {key for key, each in _NEEDED.items() if not each.optional}
    for key in sorted(needed - document.channels.keys()):
        what, fix = f"the channel `{key}` is missing", f"add `{key}:` as in the file that ships with the program"
        problems.append(document.problem(("channels",), what, fix))
    if problems:
        raise TopicsFileError(problems)
    return channels


def _broken_rules(document: Document, key: str, entry: ChannelEntry, template: Template) -> Iterator[Problem]:
    def problem(name: str, what: str, fix: str) -> Problem:
        return document.problem(("channels", key, *name.split(".")), what, fix)

    publish, subscribe = entry.roles.publish, entry.roles.subscribe
    if needed := _NEEDED.get(key):
        if set(template.variables) != set(needed.variables):
            names = " and ".join(f"{{{name}}}" for name in needed.variables)
            yield problem("topic", "it has other variables than the program fills in", f"use {names}, each once")
        if template.rest is not needed.rest:
            yield problem(
                "topic", "what may follow it is not what the program expects", "end it as the file that ships"
            )
        if entry.direction is not needed.direction:
            yield problem("direction", "the program uses this channel the other way", f"write {needed.direction}")
        if entry.ingest is not needed.ingest:
            what = "this channel takes events" if needed.ingest else "this channel takes no events"
            yield problem("ingest", what, f"write {str(needed.ingest).lower()}")
        if entry.retain and not needed.may_retain:
            yield problem("retain", "messages of this channel are never retained", "write false")
    if entry.answer:
        answer = document.channels.get(entry.answer)
        if answer is None or answer.direction is not Direction.out:
            yield problem("answer", f"`{entry.answer}` is no channel of direction out", "name the response's channel")
        if entry.direction is not Direction.into or entry.ingest:
            yield problem("answer", "requests go to the bridge and are no events", "write direction: in, ingest: false")
    if entry.ingest and (entry.direction is not Direction.into or entry.retain):
        yield problem("ingest", "events go to the bridge and are not retained", "write direction: in, retain: false")
    if entry.direction is Direction.into and Role.bridge not in subscribe:
        yield problem("roles.subscribe", "the bridge has to receive a channel of direction in", "add bridge")
    if entry.direction is Direction.out and set(publish) != {Role.bridge}:
        yield problem("roles.publish", "only the bridge publishes on a channel of direction out", "write [bridge]")
    if entry.will and not entry.retain:
        yield problem("will", "a will is set on retained channels only", "write `retain: true` or `will: false`")
    if "user" in template.variables:
        return
    if "client" in template.variables:
        return  # bound to who is connected
    if "device" in template.variables:
        yield problem("topic", "{device} is an id of one user only", "put {user} in front of it")
    heard = {Role.device, Role.subscriber, Role.adapter, Role.enroll}.intersection(subscribe)
    if entry.direction is Direction.into and not heard:
        return  # the bridge's own: what is said there reaches nobody who could not be trusted with it
    for name, roles in (("publish", publish), ("subscribe", subscribe)):
        if personal := {Role.device, Role.subscriber}.intersection(roles):
            who = ", ".join(sorted(personal))
            yield problem(f"roles.{name}", f"{who} on topics of no user", f"add {{user}} to the topic or remove {who}")
