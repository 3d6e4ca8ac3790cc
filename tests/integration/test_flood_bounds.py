"""What the flood suite makes of what it measured: the rank of a p99, and which figures it refuses."""

import pytest

from tests.support.floods.run import p99


@pytest.mark.parametrize(
    ("count", "large", "wanted"),
    [(20, 1, 9.0), (100, 1, 1.0), (100, 2, 9.0), (150, 1, 1.0), (150, 2, 9.0), (200, 2, 1.0), (200, 3, 9.0)],
)
def test_one_in_a_hundred_may_be_larger_and_no_more(count: int, large: int, wanted: float) -> None:
    assert p99([9.0] * large + [1.0] * (count - large)) == wanted
