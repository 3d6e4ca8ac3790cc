"""Nights that are known: found as by looking at each of them, without looking at each of them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.health_auto_export.sleep import Nights

HOUR_US = 3_600_000_000


class OneByOne:
    """The same by looking at each."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int, int]] = []

    def began(self, source: str, start_us: int, end_us: int) -> int | None:
        for place, (whose, began, known_start, known_end) in enumerate(self.rows):
            if whose != source or end_us <= known_start or start_us >= known_end:
                continue
            if start_us > known_start and end_us <= known_end:
                return None
            del self.rows[place]
            self.rows.append((source, began, start_us, end_us))
            return began
        self.rows.append((source, start_us, start_us, end_us))
        return start_us


hours = st.integers(-400, 400)
lengths = st.one_of(st.integers(1, 14), st.integers(150, 600))


@given(st.lists(st.tuples(st.sampled_from(["", "watch"]), hours, lengths), max_size=30))
def test_it_is_what_looking_at_each_would_find(nights: list[tuple[str, int, int]]) -> None:
    known, naive = Nights(), OneByOne()
    for source, start, length in nights:
        window = start * HOUR_US, (start + length) * HOUR_US
        assert known.began(source, *window) == naive.began(source, *window)
        assert known.rows == naive.rows[-Nights.MOST :]
    assert Nights(known.rows).rows == known.rows


def test_thousands_of_nights_are_not_compared_with_each_other() -> None:
    """4,000 nights were eight million comparisons: of each with all before it."""
    known, looked = Nights(), list[int]()
    near = known._near

    def counted(*of: Any) -> Any:
        found = near(*of)
        looked.append(len(list(found)))
        return found

    known._near = counted  # type: ignore[method-assign]
    for day in range(4_000):
        assert known.began("watch", (24 * day + 22) * HOUR_US, (24 * day + 30) * HOUR_US) is not None
    assert max(looked) <= 2
    assert len(known.rows) == Nights.MOST
