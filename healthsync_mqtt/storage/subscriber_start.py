"""Where in the log a subscriber begins that wants the past."""

from collections.abc import Callable

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.start_position import Earliest, FromPosition, FromTime, Since
from healthsync_mqtt.storage.port import LogReader


def place(since: Since, reader: LogReader, head: int, user: str | None) -> int:
    """The place in the log before the first event that is wanted, or after the last one when none is.

    ``user`` is the one whose events are wanted, None: of everybody; a position is one of a user's.
    """
    match since:
        case Earliest():
            return 0
        case FromTime(received_us):
            return _before(lambda record: record.received_us >= received_us, reader, head, user)
        case FromPosition(position):
            assert user is not None
            return _before(lambda record: record.position >= position, reader, head, user)


def _before(wanted: Callable[[Record], bool], reader: LogReader, head: int, user: str | None) -> int:
    """The place before the first row that is ``wanted``, where every later row is wanted too."""
    low, high = 0, head
    while low < high:
        middle = (low + high) // 2
        row = reader.next_row(middle, high, user=user)  # purged rows have their time and place, too
        if row is None or wanted(row):
            high = middle
        else:
            low = row.seq
    return low
