"""The life of a connection at the door."""

from enum import Enum, auto


class ConnectionState(Enum):
    """Where a connection is."""

    AWAITING_CONNECT = auto()
    #: a CONNECT is here and not decided
    JUDGING = auto()
    #: a refusal is being held back
    REFUSING = auto()
    OPEN = auto()
    CLOSED = auto()

    # Members are what they are by identity. Enum's own hash is Python, and tables are asked for each packet that comes.
    __hash__ = object.__hash__


TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    ConnectionState.AWAITING_CONNECT: frozenset({ConnectionState.JUDGING, ConnectionState.CLOSED}),
    ConnectionState.JUDGING: frozenset({ConnectionState.REFUSING, ConnectionState.OPEN, ConnectionState.CLOSED}),
    ConnectionState.REFUSING: frozenset({ConnectionState.CLOSED}),
    ConnectionState.OPEN: frozenset({ConnectionState.CLOSED}),
    ConnectionState.CLOSED: frozenset(),
}


def entered(state: ConnectionState, following: ConnectionState) -> ConnectionState:
    """``following``, where it may follow; RuntimeError for a way that does not exist: a defect of ours."""
    if following not in TRANSITIONS[state]:
        raise RuntimeError(f"no way from {state.name} to {following.name}")
    return following
