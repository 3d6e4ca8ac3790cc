"""The time of a point: the millisecond of its start, and six digits below it that come from the event's id.

InfluxDB knows a point by series and time alone, so two samples of one millisecond would overwrite each other. The
digits are ``blake2b(id) mod 10^6``: the same event has the same time on every delivery, and two events of one
millisecond and series share it with a probability of 1 in 10^6. Where that happens within the window that
``displacement.py`` watches, the later one is moved on by a nanosecond.
"""

from hashlib import blake2b

SLOTS = 1_000_000
_MS_US = 1000


def slot(event_id: str) -> int:
    """The digits below the millisecond, 0 to 999,999."""
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "little") % SLOTS


def time_ns(start_us: int, digits: int) -> int:
    """Nanoseconds since the epoch: the millisecond of ``start_us`` and the digits below it."""
    return start_us // _MS_US * SLOTS + digits
