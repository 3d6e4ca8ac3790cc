"""Reads a topics file: YAML with positions, checked against its model, every problem with file, line, key and fix."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.principal import Role

Path = tuple[str | int, ...]
"""Where a value stands in the file: keys and list indexes from the top."""


_OF_OURS = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Direction(StrEnum):
    """Which way a channel's messages go."""

    into = "in"
    out = "out"
    peer = "peer"


class Problem(NamedTuple):
    """One thing that is wrong in a topics file. ``line`` counts from 1."""

    file: str
    line: int
    key: str
    what: str
    fix: str

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        return f"{self.file}:{self.line}:{key} {self.what}"


class TopicsFileError(ConfigError):
    """A topics file cannot be used; ``problems`` lists everything found, in the order of the file."""

    reason = "bad_topics"

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        if len(self.problems) == 1:
            super().__init__(str(self.problems[0]), hint=self.problems[0].fix)
            return
        lines = "\n".join(f"{problem} (fix: {problem.fix})" for problem in self.problems)
        super().__init__(lines, hint=f"correct these {len(self.problems)} lines")


def _not_a_bool(value: object) -> object:
    """``true`` equals 1 to Python, and to nobody who writes a QoS."""
    return str(value) if isinstance(value, bool) else value


class _DocumentEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RolesEntry(_DocumentEntry):
    """Who may publish and who may subscribe."""

    publish: Annotated[tuple[Role, ...], Field(min_length=1)]
    subscribe: Annotated[tuple[Role, ...], Field(min_length=1)]


class ChannelEntry(_DocumentEntry):
    """One channel as it is written in the file."""

    topic: str
    direction: Direction
    payload: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]
    qos: Annotated[Literal[0, 1, 2], BeforeValidator(_not_a_bool)]
    retain: StrictBool
    roles: RolesEntry
    summary: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\n|]*$")]
    ingest: StrictBool = False
    will: StrictBool = False
    screened: StrictBool = False
    answer: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,63})?$")] = ""


class _TopicsFile(_DocumentEntry):
    prefix: str = ""
    channels: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ChannelEntry],
        Field(min_length=1),
    ]


class Document:
    """A topics file that has the right shape: ``prefix``, ``channels`` by key, and the line of every value."""

    def __init__(self, file: str, prefix: str, channels: Mapping[str, ChannelEntry], lines: Mapping[Path, int]) -> None:
        self.file = file
        self.prefix = prefix
        self.channels = channels
        self._lines = lines

    def line(self, *path: str | int) -> int:
        """Line of the value at ``path``, or of the nearest parent that has one."""
        return _line(self._lines, path)

    def problem(self, path: Path, what: str, fix: str) -> Problem:
        """A problem of the value at ``path``."""
        return Problem(self.file, self.line(*path), ".".join(map(str, path)), what, fix)


def read_document(text: str, file: str, *, shipped: bool = False) -> Document:
    """The document in ``text``; ``file`` names it in messages. TopicsFileError lists every problem of shape.

    ``shipped``: it is ours. libyaml reads it then, which takes a tenth of the time, but has other words for what is
    wrong with a text and no bound for how deep one is.
    """
    try:
        node = yaml.compose(text, Loader=_OF_OURS if shipped else yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise TopicsFileError(
            [Problem(file, mark.line + 1 if mark else 1, "", f"not YAML: {error.problem}", "correct the YAML syntax")]
        ) from None
    except yaml.YAMLError:
        raise TopicsFileError([Problem(file, 1, "", "not YAML text", "save the file as UTF-8 text")]) from None
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node else 1
        raise TopicsFileError(
            [Problem(file, line, "", "the file is not a mapping", "write `channels:` with one entry per topic")]
        )
    walk = _Walk(file)
    data = walk.value(node, ())
    problems = walk.problems
    try:
        parsed = _TopicsFile.model_validate(data)
    except ValidationError as error:
        problems += _shape_problems(error, file, walk.lines)
    else:
        if not problems:
            return Document(file, parsed.prefix, parsed.channels, walk.lines)
    raise TopicsFileError(problems)


class _Walk:
    """Turns YAML nodes into values, noting lines, repeated keys and aliases (which can make a small file huge)."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path) -> Any:
        if id(node) in self._seen:
            self._problem(node, path, "a YAML alias stands here", "write the value out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path))
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self.lines[*path, index] = item.start_mark.line + 1
                items.append(self.value(item, (*path, index)))
            return items
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._problem(node, path, f"the tag {node.tag} is not allowed here", "write a plain value")
            return None

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            place = (*path, key)
            if place in self.lines:
                first = self.lines[place]
                self._problem(key_node, place, f"the key stands twice, first in line {first}", "keep one of the two")
                continue
            self.lines[place] = key_node.start_mark.line + 1
            yield key, self.value(value_node, place)

    def _problem(self, node: yaml.Node, path: Path, what: str, fix: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, ".".join(map(str, path)), what, fix))


def _shape_problems(error: ValidationError, file: str, lines: Mapping[Path, int]) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        name = path[-1] if path else ""
        given = detail["input"]
        context = detail.get("ctx", {})
        match detail["type"]:
            case "too_short" if given:
                continue  # its items are what is wrong, and they are reported
            case "missing":
                what, fix = f"`{name}` is missing", f"add `{name}: {_EXAMPLES.get(str(name), '…')}`"
            case "extra_forbidden":
                model = _TopicsFile if len(path) == 1 else RolesEntry if path[-2] == "roles" else ChannelEntry
                what, fix = f"`{name}` is no known field", f"use only: {', '.join(model.model_fields)}"
            case "enum" | "literal_error":
                what, fix = f"{given!r} is not allowed here", f"use one of: {context['expected']}"
            case "string_pattern_mismatch":
                what, fix = f"{given!r} is not well-formed", _SPELLINGS.get(str(name), "use a-z 0-9 _, a-z first")
            case "too_short" | "string_too_short":
                what, fix = "it is empty", f"write `{name}: {_EXAMPLES.get(str(name), '…')}`"
            case _:
                what = detail["msg"][:1].lower() + detail["msg"][1:]
                fix = f"write {_EXAMPLES.get(str(name), 'a mapping')}"
        yield Problem(file, _line(lines, path), ".".join(map(str, path)), what, fix)


def _line(lines: Mapping[Path, int], path: Path) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


_EXAMPLES = {
    "channels": "… with one entry per topic",
    "topic": "users/{user}/canonical/{type}",
    "direction": "out",
    "payload": "CanonicalMessage",
    "qos": "1",
    "retain": "false",
    "ingest": "false",
    "will": "false",
    "answer": "token_response",
    "roles": "{publish: [bridge], subscribe: [subscriber, admin]}",
    "publish": "[bridge]",
    "subscribe": "[subscriber, admin]",
    "summary": "one line that says what it carries",
    "prefix": "home/health",
}

_SPELLINGS = {
    "payload": "write a schema name such as CanonicalMessage",
    "summary": "write one line without |",
}
