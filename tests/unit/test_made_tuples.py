"""Where a named tuple is made by ``tuple.__new__``, for its price, nothing fills in a field that was added since."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.texts import PACKAGES, ROOT


def makers(tree: ast.Module) -> set[str]:
    """The names that stand for ``tuple.__new__`` in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = (
                    zip(target.elts, node.value.elts, strict=True)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
                found |= {to.id for to, value in pairs if isinstance(to, ast.Name) and is_new(value)}
    return found


def is_new(node: ast.expr) -> bool:
    return ast.unparse(node) == "tuple.__new__"


def made(path: Path) -> Iterator[tuple[int, str, int]]:
    """Line, class and number of values of each that is made so."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = makers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (is_new(node.func) or ast.unparse(node.func) in named):
            of, values = node.args
            assert isinstance(of, ast.Name), f"{path}:{node.lineno}: the class has a name"
            if isinstance(values, ast.Tuple):
                yield node.lineno, of.id, len(values.elts)


USED = [
    path
    for package in PACKAGES
    for path in sorted(package.rglob("*.py"))
    if "tuple.__new__" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", USED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_has_every_field(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    found = list(made(path))
    for line, name, count in found:
        fields = getattr(module, name)._fields
        assert count == len(fields), f"line {line}: {name} has {', '.join(fields)}"


def test_they_are_found() -> None:
    assert sum(len(list(made(path))) for path in USED) >= 8
