"""What the shipped kinds find in synthetic lives: the floor that the figures in docs/insights.md stand on."""

import pytest

from healthsync_mqtt.insights.catalogue import SHIPPED, known
from tests.support.backtest import Score, backtest


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    return backtest(known().insights, range(1_000, 1_010))


@pytest.mark.parametrize("kind", SHIPPED)
def test_a_kind_says_what_was_planted_and_little_else(scores: dict[str, Score], kind: str) -> None:
    score = scores[kind]
    assert score.planted >= 5
    assert score.precision >= 0.9, score
    assert score.recall >= 0.8, score
