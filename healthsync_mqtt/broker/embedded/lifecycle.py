"""The life of a connection at the door."""

from enum import Enum, auto


class State(Enum):
    """Where a connection is."""

    AWAITING_CONNECT = auto()
    #: a CONNECT is here and not decided
    JUDGING = auto()
    #: a refusal is being held back
    REFUSING = auto()
    OPEN = auto()
    CLOSED = auto()


TRANSITIONS: dict[State, frozenset[State]] = {
    State.AWAITING_CONNECT: frozenset({State.JUDGING, State.CLOSED}),
    State.JUDGING: frozenset({State.REFUSING, State.OPEN, State.CLOSED}),
    State.REFUSING: frozenset({State.CLOSED}),
    State.OPEN: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


def entered(state: State, following: State) -> State:
    """``following``, where it may follow; RuntimeError for a way that does not exist: a defect of ours."""
    if following not in TRANSITIONS[state]:
        raise RuntimeError(f"no way from {state.name} to {following.name}")
    return following
