"""Numbers thinned for a picture: nothing that stands out is lost, and few enough stay as they are."""

import math

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.gateway.event_log.thinning import WIDTHS_S, thinned, width_for

SECOND = 1_000_000
POINTS = st.lists(
    st.tuples(st.integers(0, 86_400 * SECOND - 1), st.floats(-1e6, 1e6, allow_nan=False)), max_size=400
).map(sorted)


@given(POINTS, st.integers(10, 200), st.integers(-50_000, 50_000))
def test_the_lowest_the_highest_and_the_sum_of_all_stay(
    points: list[tuple[int, float]], most: int, offset_s: int
) -> None:
    span_us = 86_400 * SECOND
    found = thinned(points, span_us=span_us, most=most, adds_up=True, offset_s=offset_s)
    assert len({len(column) for column in found[1:]}) == 1
    assert found.at == sorted(found.at)
    if not points:
        assert found.at == []
        return
    numbers = [number for _, number in points]
    assert min(found.low) == min(numbers)
    assert max(found.high) == max(numbers)
    if found.width_s:
        assert len(points) > most
        assert len(found.at) <= most + 2  # a span seldom begins where a bucket does
        assert len(set(found.at)) == len(found.at)
        assert math.isclose(math.fsum(found.value), math.fsum(numbers), rel_tol=1e-9, abs_tol=1e-3)
        assert all((at // 1000 + offset_s) % found.width_s == 0 for at in found.at)
    else:
        assert found.value == numbers
        assert found.at == [at_us // 1000 for at_us, _ in points]


def test_a_bucket_has_the_mean_of_what_does_not_add_up() -> None:
    points = [(at * SECOND, float(at)) for at in range(20)]
    found = thinned(points, span_us=20 * SECOND, most=10, adds_up=False)
    assert found.width_s == 2
    assert found.value == [0.5 + 2 * n for n in range(10)]
    assert (found.low[3], found.high[3]) == (6, 7)


def test_widths_are_those_of_clocks_and_whole_weeks_beyond() -> None:
    assert width_for(86_400 * SECOND, 96) == 900
    assert width_for(60 * SECOND, 600) == 1
    for years in (1, 10, 100):
        width = width_for(years * 365 * 86_400 * SECOND, 100)
        assert width in WIDTHS_S or width % 604_800 == 0
        assert years * 365 * 86_400 / width <= 100
