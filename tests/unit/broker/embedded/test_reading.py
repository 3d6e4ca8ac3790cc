"""Why a client is not read, and whose doing its silence is then."""

from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.backpressure import Hold, Reading


class Wire:
    """Counts nothing, reads or does not."""

    def __init__(self) -> None:
        self.reads = True

    def pause(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True


def reading(*holds: Hold) -> tuple[Reading, Wire]:
    wire: Any = Wire()
    made = Reading(wire, lambda *, much: None)
    for hold in holds:
        made.stop(hold)
    return made, wire


@pytest.mark.parametrize(
    ("holds", "ours"),
    [
        ((), False),
        ((Hold.TURN,), True),
        ((Hold.RATE,), True),
        ((Hold.OUTBOX,), False),
        ((Hold.OUTBOX, Hold.TURN), False),
        ((Hold.OUTBOX, Hold.TURN, Hold.JOURNAL), True),
    ],
)
def test_a_client_that_does_not_read_is_silent_by_its_own_doing(holds: tuple[Hold, ...], ours: bool) -> None:
    """One that still had bytes to be handled was never cut off."""
    assert reading(*holds)[0].ours is ours


def test_it_is_read_again_when_the_last_reason_is_gone() -> None:
    made, wire = reading(Hold.TURN, Hold.RATE)
    made.release(Hold.TURN)
    assert not wire.reads
    made.release(Hold.RATE)
    assert wire.reads
