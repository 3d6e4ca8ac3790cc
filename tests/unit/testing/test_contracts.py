"""Every suite that the package ships is run by something here: one that nobody runs promises nothing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SUITES = sorted((ROOT / "healthsync_mqtt" / "testing").glob("*_contract.py"))


def classes(file: Path) -> list[ast.ClassDef]:
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)]


def clauses(suite: ast.ClassDef) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in suite.body if isinstance(node, kinds) and node.name.startswith("test_")}


@pytest.fixture(scope="module")
def run_by() -> dict[str, set[str]]:
    """The classes of tests that subclass each class, by name."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in classes(file):
            for parent in node.bases:
                found.setdefault(ast.unparse(parent).rpartition(".")[2], set()).add(node.name)
    return found


@pytest.mark.parametrize("file", SUITES, ids=lambda file: file.stem)
def test_every_suite_is_run(file: Path, run_by: dict[str, set[str]]) -> None:
    suites = [node for node in classes(file) if node.name.endswith("Contract")]
    assert suites, "a file named so has a suite"
    for suite in suites:
        assert clauses(suite), suite.name
        assert any(name.startswith("Test") for name in run_by.get(suite.name, ())), f"nothing runs {suite.name}"


def test_every_suite_is_named_where_people_look() -> None:
    assert SUITES
    assert "`healthsync_mqtt/testing/` (`*_contract.py`)" in (ROOT / "CONTRIBUTING.md").read_text()
