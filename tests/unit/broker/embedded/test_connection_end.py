"""A connection that ends is counted out, in whatever order its ends come."""

from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.turns import Turns
from healthsync_mqtt.config.sections import LimitSettings


class Wire:
    peer = "127.0.0.1"
    waits = True
    congested = False
    soon = False

    def pause(self) -> None:
        """Nothing is read."""

    def resume(self) -> None:
        """Everything is read."""

    def read(self, _work: int) -> tuple[bytes, int]:
        self.waits = False
        return b"\xc0\x00", 1

    def close(self, *, soon: bool = False) -> None:
        self.waits = False
        self.soon = soon

    abort = close


class Door:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: self.calls.append(name)


async def test_one_that_is_taken_over_while_it_waits_for_its_turn_after_its_end() -> None:
    """It was never counted out: no turn came for one that had nothing to do any more."""
    door: Any = Door()
    wire: Any = Wire()
    passes: list[Callable[[], None]] = []
    turns = Turns(passes.append)
    connection = Connection(door, wire, LimitSettings(), turns, visitors=door, wanted=lambda _: None)
    connection.lost()
    assert "left" not in door.calls
    connection.close("taken_over", will=False)
    assert door.calls.count("leave") == 1
    while passes:
        passes.pop()()
    assert door.calls.count("left") == 1


@pytest.mark.parametrize(
    ("reason", "soon"),
    [("revoked", True), ("token_expired", True), ("shutdown", True), ("taken_over", False), ("moved", False)],
)
async def test_one_that_lost_its_right_is_not_waited_for(reason: str, soon: bool) -> None:
    """A client that did not read was there for two seconds after its revocation."""
    door: Any = Door()
    wire: Any = Wire()
    turns = Turns(lambda _work: None)
    Connection(door, wire, LimitSettings(), turns, visitors=door, wanted=lambda _: None).close(reason, will=False)
    assert wire.soon is soon
