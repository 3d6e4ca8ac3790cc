"""A future that somebody waits for may be given up at any moment: who tells it looks first."""

import ast

from tests.support.sources import Function, functions

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
    for place, function in functions():
        named = {each.attr for node in function.body for each in _own(node) if isinstance(each, ast.Attribute)}
        if named & TELLS and "done" not in named:
            blind.add(place)
    assert blind == OWN


def _own(node: ast.AST) -> list[ast.AST]:
    """The nodes of a function, without those of functions in it, which look for themselves."""
    if isinstance(node, Function):
        return []
    return [node, *(each for child in ast.iter_child_nodes(node) for each in _own(child))]
