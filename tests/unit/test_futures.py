"""A future that somebody waits for may be given up at any moment: who tells it looks first."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
TELLS = {"set_result", "set_exception"}
#: by function, why it need not look: its own, or one that nobody but it can end
OWN = {
    "healthsync_mqtt/client/handover.py:__init__",  # made in the line before
    "healthsync_mqtt/gateway/event_log/tail.py:run",  # waited for behind a shield
    "healthsync_mqtt/testing/simulator/virtual_time.py:_work",  # its caller looks
}


def test_who_tells_a_future_looks_whether_it_was_given_up() -> None:
    """Else the error comes where it does not belong, and whoever was to be told next is not."""
    blind = set()
    for path in sorted(file for top in ("healthsync_mqtt", "bridge") for file in (ROOT / top).rglob("*.py")):
        for scope in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            inside = [each for node in scope.body for each in _own(node)]
            tells = any(isinstance(each, ast.Attribute) and each.attr in TELLS for each in inside)
            looks = any(isinstance(each, ast.Attribute) and each.attr == "done" for each in inside)
            if tells and not looks:
                blind.add(f"{path.relative_to(ROOT)}:{scope.name}")
    assert blind == OWN


def _own(node: ast.AST) -> list[ast.AST]:
    """The nodes of a function, without those of functions in it, which look for themselves."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    return [node, *(each for child in ast.iter_child_nodes(node) for each in _own(child))]
