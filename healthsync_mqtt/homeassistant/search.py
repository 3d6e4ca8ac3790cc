"""The newest values, found by a search through the log: when a key is asked for, or its newest event is gone."""

from collections.abc import Callable, Iterable
from typing import Final

from healthsync_mqtt.homeassistant.latest import LatestValue, ValueKey, newest
from healthsync_mqtt.storage.port import LogReader

_PAGE: Final = 1_000


def search(
    reader: LogReader, keys: Iterable[ValueKey], stopped: Callable[[], bool]
) -> dict[ValueKey, LatestValue] | None:
    """The newest values of keys among the rows that nothing supersedes; None when it was stopped. For a thread."""
    found: dict[ValueKey, LatestValue] = {}
    for key in keys:
        best, after = None, 0
        while rows := reader.read(after, _PAGE, user=key.user, type=key.type):
            if stopped():
                return None
            best, after = newest(rows, best), rows[-1].seq
        if best is not None:
            found[key] = best
    return found
