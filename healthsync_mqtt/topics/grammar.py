"""The grammar of ids, topic names, topic filters and templates. Pure; linear in the length of its input.

Facts: MQTT 3.1.1, section 4.7 (names and filters) and 1.5.3 (strings).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from healthsync_mqtt.errors import InputError

ID_MAX = 64
TOPIC_MAX_BYTES = 256
"""The longest declared topic, prefix included."""
FILTER_MAX = TOPIC_MAX_BYTES + len("$share/") + ID_MAX + len("/")
"""The longest filter that reaches a declared topic, in characters: a shared one."""
TOPIC_MAX_LEVELS = 8
"""The deepest declared topic, counted after the prefix."""
VARIABLES = ("user", "device", "provider", "type", "kind", "bridge", "client", "format")
"""The ids that a template may leave open; access rules know how a role is bound to each."""

_MQTT_MAX_BYTES = 65_535
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class TopicError(InputError):
    """An id, topic name, topic filter or template does not follow the grammar."""

    reason = "bad_topic"


def is_id(text: object) -> bool:
    """Whether ``text`` is an id: 1 to 64 of ``A-Z a-z 0-9 _ -``, so never a wildcard, separator or pattern."""
    return isinstance(text, str) and 0 < len(text) <= ID_MAX and _ALPHABET.issuperset(text)


def validate_topic_name(topic: str) -> str:
    """The topic itself when MQTT allows it in a PUBLISH; TopicError otherwise."""
    _validate_string(topic, "topic")
    if "+" in topic or "#" in topic:
        raise TopicError("a topic name has no wildcard", hint="publish to one topic; + and # belong in filters")
    return topic


def validate_filter(text: str) -> str:
    """The filter itself when MQTT allows it in a SUBSCRIBE; TopicError otherwise."""
    _validate_string(text, "filter")
    levels = text.split("/")
    for position, level in enumerate(levels, 1):
        if level not in {"+", "#"} and ("+" in level or "#" in level):
            raise TopicError(f"level {position}: a wildcard stands alone in its level", hint="write a/+/b or a/#")
        if level == "#" and position < len(levels):
            raise TopicError(f"level {position}: # is only allowed as the last level", hint="write a/# or a/+/b")
    return text


def _validate_string(text: str, what: str) -> None:
    if not text:
        raise TopicError(f"the {what} is empty")
    if len(text) > _MQTT_MAX_BYTES:
        raise TopicError(f"the {what} is longer than {_MQTT_MAX_BYTES} bytes")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise TopicError(f"the {what} is not valid UTF-8") from None
    if size > _MQTT_MAX_BYTES:
        raise TopicError(f"the {what} is longer than {_MQTT_MAX_BYTES} bytes")
    if "\0" in text:
        raise TopicError(f"the {what} contains U+0000")


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a valid filter matches a valid topic name; a leading wildcard does not match a ``$`` topic."""
    if topic.startswith("$") and topic_filter.startswith(("+", "#")):
        return False
    wanted = topic_filter.split("/")
    levels = topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(levels) < len(wanted):
            return False
    elif len(levels) != len(wanted):
        return False
    return all(want in ("+", level) for want, level in zip(wanted, levels, strict=False))


class SharedFilter(NamedTuple):
    """``$share/{group}/{filter}``: a filter whose messages the members of a group divide among them."""

    group: str
    filter: str


def shared_filter(text: str) -> SharedFilter | None:
    """The two parts of a shared filter; None for an ordinary one, TopicError where the group is no id."""
    first, _, rest = text.partition("/")
    if first != "$share":
        return None
    group, _, inner = rest.partition("/")
    if not is_id(group):
        raise TopicError("the name of the group is not an id", hint=f"$share/GROUP/FILTER; {_ID_HINT}")
    return SharedFilter(group, validate_filter(inner))


class Level(NamedTuple):
    """One level of a template: a literal, or the name of the variable that stands there."""

    text: str
    variable: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A topic with variables, such as ``users/{user}/canonical/{type}``; ``text`` includes the prefix.

    ``rest``: it ends in ``/#``, and any levels may follow, none too. They are not in ``levels``.
    """

    text: str
    levels: tuple[Level, ...]
    variables: tuple[str, ...]
    rest: bool = False

    @classmethod
    def parse(cls, text: str, *, prefix: str = "") -> Self:
        """Template of ``text`` with ``prefix`` in front; TopicError says which level is wrong and how to write it."""
        own = text.split("/")
        if len(own) > TOPIC_MAX_LEVELS:
            raise TopicError(f"it has {len(own)} levels", hint=f"use at most {TOPIC_MAX_LEVELS} levels")
        rest = len(own) > 1 and own[-1] == "#"
        if rest:
            own.pop()
        levels = [Level(level, variable=False) for level in parse_prefix(prefix)]
        levels += [_parse_level(level, position) for position, level in enumerate(own, 1)]
        variables = tuple(level.text for level in levels if level.variable)
        for name in variables:
            if variables.count(name) > 1:
                raise TopicError(f"the variable {{{name}}} stands twice", hint="use each variable once")
        full = f"{prefix}/{text}" if prefix else text
        longest = sum(ID_MAX if level.variable else len(level.text) for level in levels) + len(levels) - 1
        if longest > TOPIC_MAX_BYTES:
            raise TopicError(
                f"its longest topic has {longest} bytes", hint=f"shorten it or the prefix: {TOPIC_MAX_BYTES} at most"
            )
        return cls(full, tuple(levels), variables, rest)

    @property
    def filter(self) -> str:
        """The filter that matches every topic of the template: ``+`` for each variable."""
        return "/".join(["+" if level.variable else level.text for level in self.levels] + ["#"] * self.rest)

    def build(self, values: Mapping[str, str]) -> str:
        """The topic with ``values`` filled in, and no rest; TopicError when one is missing, superfluous or no id."""
        if len(values) != len(self.variables):
            names = ", ".join(self.variables)
            raise TopicError(f"{self.text} takes exactly: {names}", hint=f"pass {names}")
        parts = []
        for text, variable in self.levels:
            if not variable:
                parts.append(text)
                continue
            value = values.get(text)
            if value is None or not is_id(value):
                raise TopicError(f"{{{text}}} of {self.text} is missing or not an id", hint=_ID_HINT)
            parts.append(value)
        return "/".join(parts)

    def match(self, topic: str) -> dict[str, str] | None:
        """The variables of ``topic`` when it is one of the template's topics, else None."""
        parts = topic.split("/")
        if len(parts) != len(self.levels) and not (self.rest and len(parts) > len(self.levels)):
            return None
        if "+" in topic or "#" in topic or "\0" in topic:
            return None
        values = {}
        for (text, variable), part in zip(self.levels, parts, strict=False):
            if not variable:
                if part != text:
                    return None
            elif is_id(part):
                values[text] = part
            else:
                return None
        return values


def parse_prefix(prefix: str) -> tuple[str, ...]:
    """The levels of a prefix, none for ``""``; TopicError when a level is not an id."""
    levels = tuple(prefix.split("/")) if prefix else ()
    for level in levels:
        if not is_id(level):
            raise TopicError(f"the prefix level {level!r} is not an id", hint=_ID_HINT)
    return levels


def _parse_level(text: str, position: int) -> Level:
    if text.startswith("{") and text.endswith("}"):
        name = text[1:-1]
        if name not in VARIABLES:
            known = " ".join(f"{{{known}}}" for known in VARIABLES)
            raise TopicError(f"level {position}: {{{name}}} is no known variable", hint=f"use one of: {known}")
        return Level(name, variable=True)
    if not is_id(text):
        raise TopicError(f"level {position}: {text!r} is neither an id nor a {{variable}}", hint=_ID_HINT)
    return Level(text, variable=False)


_ID_HINT = f"use 1 to {ID_MAX} of A-Z a-z 0-9 _ -"
