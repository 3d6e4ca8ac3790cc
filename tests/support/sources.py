"""The functions of both packages, as syntax trees: for rules that hold wherever something is done."""

import ast
from collections.abc import Sequence
from functools import cache

from tests.support.texts import PACKAGES, ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions() -> Sequence[tuple[str, Function]]:
    """Each with its place, ``FILE:NAME``; those within others too."""
    return [
        (f"{path.relative_to(ROOT)}:{node.name}", node)
        for path in sorted(file for package in PACKAGES for file in package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function)
    ]
