"""Who measures all day is looked at by the stated pace, and keeps nobody else waiting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.insights.evaluation import _DAYS, PACE_US, Evaluation
from tests.support.insight_scene import DAY, DAY_US, InsightScene, resting

SECOND_US = 1_000_000
MINUTES = 4


class Counted(Evaluation):
    """How often each user was looked at."""

    def __init__(self, scene: InsightScene) -> None:
        super().__init__(scene.insights, scene.rules, scene.reader, scene.file)
        self.looks: list[str] = []

    def _look(self, person, days, now_us):  # type: ignore[no-untyped-def]
        self.looks.append(person.name)
        super()._look(person, days, now_us)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[InsightScene]:
    made = InsightScene(tmp_path)
    for user in ("alice", "bob"):
        made.agree(user, rest=0)
    yield made
    made.close()


def step(evaluation: Evaluation, now_us: int) -> None:
    """What the process does each second."""
    while evaluation.follow(now_us) | evaluation.work(now_us):
        pass


def test_a_day_that_changes_each_second_is_looked_at_by_the_pace(scene: InsightScene) -> None:
    evaluation = Counted(scene)
    began_us = scene.now_us
    for second in range(MINUTES * 60):
        scene.now_us = began_us + second * SECOND_US
        scene.store([resting(DAY, 60 + second % 9, version=second)])
        step(evaluation, scene.now_us)
    assert evaluation.looks.count("alice") <= MINUTES * 60 * SECOND_US // PACE_US + 1
    scene.now_us += PACE_US
    step(evaluation, scene.now_us)
    assert not scene.file.waiting, "what changed last was looked at, too"
    assert scene.found() == scene.afresh()


def test_somebody_else_is_looked_at_at_once(scene: InsightScene) -> None:
    evaluation = Counted(scene)
    scene.store([resting(DAY, 60)])
    step(evaluation, scene.now_us)
    scene.store([resting(DAY, 61, version=1)])
    scene.store([resting(DAY, 60, user="bob")])
    evaluation.looks.clear()
    scene.now_us += SECOND_US
    step(evaluation, scene.now_us)
    assert evaluation.looks == ["bob"]
    assert scene.file.waiting


def test_a_history_is_looked_at_in_one_go(scene: InsightScene) -> None:
    evaluation = Counted(scene)
    scene.store([resting(day, 60 + day % 3) for day in range(DAY - 3 * _DAYS, DAY + 1)])
    step(evaluation, scene.now_us)
    assert not scene.file.waiting
    assert len(evaluation.looks) > 1


def test_a_clock_that_was_set_back_keeps_nobody_waiting(scene: InsightScene) -> None:
    evaluation = Counted(scene)
    scene.store([resting(DAY, 60)])
    step(evaluation, scene.now_us + DAY_US)
    scene.store([resting(DAY, 61, version=1)])
    evaluation.looks.clear()
    step(evaluation, scene.now_us)
    assert evaluation.looks == ["alice"]
