"""Cursors that nobody comes back to: of subscribers that were revoked, or that stayed away too long."""

from collections.abc import Callable, Container, Mapping
from typing import Final

from healthsync_mqtt.storage.port import LogReader

CURSOR: Final = "subscriber:"
"""What names of subscribers' cursors in the log begin with."""


def positions(cursors: Mapping[str, int]) -> dict[str, int]:
    """The places of subscribers by client id, out of all cursors of a log."""
    return {name.removeprefix(CURSOR): seq for name, seq in cursors.items() if name.startswith(CURSOR)}


def abandoned(seq: int, *, registered: bool, received_after: Callable[[int], int | None], since_us: int) -> bool:
    """Whether a place is given up: its client may not connect any more, or did not take what came before ``since_us``.

    A session that is connected, or away for less than a session lasts, moves its place; ``since_us`` is that long ago.
    """
    if not registered:
        return True
    received_us = received_after(seq)
    return received_us is not None and received_us < since_us


def received_after(reader: LogReader, seq: int) -> int | None:
    """When the next row after this place came in (microseconds), purged or not; None when there is none."""
    found = reader.get(seq + 1)
    return None if found is None else found.received_us


def living(reader: LogReader, registered: Container[str], *, since_us: int) -> dict[str, int]:
    """The places that are not given up."""
    return {
        client_id: seq
        for client_id, seq in positions(reader.cursors()).items()
        if not abandoned(
            seq,
            registered=client_id in registered,
            received_after=lambda place: received_after(reader, place),
            since_us=since_us,
        )
    }
