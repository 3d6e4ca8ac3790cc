"""Our texts that tell a reader to type something, and the command lines in them: both packages', and the alerts'.

Found in the syntax tree, so that a new one is not forgotten: every text outside of docstrings that names a command of
ours, or a program of the system that our fixes use. In a text a command is written whole, as it is typed; it ends with
the text, or at a comma, a semicolon, a full stop, a bracket, the end of an element of a page. After ``, or`` its other
options may follow. What stands between backticks is the name of a command, which is not typed. Words
in capitals, and ``{fields}``, are filled in.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "healthsync_mqtt", ROOT / "bridge")
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
_OURS = re.compile(r"(?<![\w./`-])healthsync [a-z]")
_NAMED = re.compile(r"`healthsync ([^`]+)`")
SYSTEM = ("chmod", "chown", "mkdir", "mv", "unset", "echo", "openssl", "pip", "sudo", "journalctl", "df", "git")
_SYSTEM = re.compile(rf"(?:^|: |; |[:,] in the checkout: )((?:{'|'.join(SYSTEM)}) .*)")
_END = re.compile(r"[;,](?= |$)| \(|\)|\.(?= |$)|`|</|\n|: | and (?=healthsync)| or (?=healthsync)|$")
_MORE = re.compile(r", (?:or|and) (?=--[a-z])")


@dataclass(frozen=True, slots=True, order=True)
class Told:
    """A text. Fields of an f-string stand in braces."""

    file: str
    text: str

    @property
    def typed(self) -> tuple[str, ...]:
        """What a reader types of it, one command each."""
        return typed_in(self.text)

    @property
    def named(self) -> tuple[str, ...]:
        """The commands that it names and that nobody types from it."""
        return tuple(_NAMED.findall(self.text))


def told() -> list[Told]:
    """All of them, in the order of their files."""
    return sorted({Told(path.relative_to(ROOT).as_posix(), text) for path, text in _everything() if _tells(text)})


def _everything() -> Iterator[tuple[Path, str]]:
    yield from _texts()
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            for text in rule["annotations"].values():
                yield ALERTS, text


def _tells(text: str) -> bool:
    return bool(_OURS.search(text) or _NAMED.search(text) or _SYSTEM.search(text))


def _texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.py")):
        if PACKAGES[0] / "testing" in path.parents:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = {id(each) for each in _docstrings(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(part) for part in ast.walk(node) if part is not node}
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.create_task":
                skipped |= {id(word.value) for word in node.keywords if word.arg == "name"}
        for node in ast.walk(tree):
            if id(node) in skipped:
                continue
            if isinstance(node, ast.JoinedStr):
                yield path, "".join(map(_part, node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    """Also what stands below a name and describes it."""
    return (
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return "{" + re.findall(r"[A-Za-z_]+", ast.unparse(part.value))[-1] + "}"


def typed_in(text: str) -> tuple[str, ...]:
    """The commands in a text, printed or not."""
    return tuple(_typed(text))


def _typed(text: str) -> Iterator[str]:
    system = _SYSTEM.search(text)
    if system is not None:
        yield from (each.strip() for each in _until_end(system[1]).split("; ") if each)
    for found in _OURS.finditer(text):
        whole = text[found.start() :]
        command = _until_end(whole)
        yield command
        rest = whole[len(command) :]
        while (more := _MORE.match(rest)) is not None:
            options = _until_end(rest[more.end() :])
            yield f"{_path(command)} {options}"
            rest = rest[more.end() + len(options) :]


def _until_end(text: str) -> str:
    found = _END.search(text)
    assert found is not None
    return text[: found.start()].strip()


def _path(command: str) -> str:
    """The words of a command before what it is given."""
    words = []
    for word in command.split():
        if not re.fullmatch(r"[a-z]+(?:-[a-z]+)*", word):
            break
        words.append(word)
    return " ".join(words)
