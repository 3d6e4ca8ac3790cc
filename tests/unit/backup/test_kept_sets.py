"""Which sets are kept."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.backup.calendar import RetentionCalendar, kept
from healthsync_mqtt.model.times import micros

_START = datetime(2026, 11, 1, tzinfo=UTC)


def hourly(hours: int) -> dict[str, int]:
    return {f"{n:05d}": micros(_START + timedelta(hours=n)) for n in range(hours)}


def test_the_newest_of_each_hour_day_and_week() -> None:
    """The last is of Monday 30 November, 23:00."""
    assert sorted(kept(hourly(24 * 30), RetentionCalendar(hourly=3, daily=2, weekly=3))) == [
        "00527",  # Sunday 22 November, 23:00
        "00695",  # Sunday 29 November, 23:00: of its day and of its week
        "00717",
        "00718",
        "00719",
    ]


def test_several_of_an_hour_are_one() -> None:
    sets = {f"a{n}": micros(_START + timedelta(minutes=n)) for n in range(60)}
    assert kept(sets, RetentionCalendar(24, 7, 5)) == {"a59"}


@given(st.lists(st.integers(0, 10**16), unique=True), st.integers(0, 30), st.integers(0, 10), st.integers(0, 10))
def test_never_more_than_asked_for_and_never_without_the_newest(times, hours, days, weeks) -> None:
    sets = {str(at): at for at in times}
    found = kept(sets, RetentionCalendar(hours, days, weeks))
    assert len(found) <= max(1, hours + days + weeks)
    assert not times or str(max(times)) in found
    assert found <= sets.keys()
