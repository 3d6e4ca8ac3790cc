"""From days to findings: whatever order days come in, what a run from nothing comes to; nothing without consent."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.evaluation import Evaluation
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from tests.support.insight_scene import DAY, DAY_US, InsightScene, reading, resting


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[InsightScene]:
    made = InsightScene(tmp_path)
    made.agree(rest=0)
    yield made
    made.close()


def quiet(first: int, last: int, *, user: str = "alice", bpm: float = 60) -> list[object]:
    return [resting(day, bpm + day % 3, user=user) for day in range(first, last + 1)]


def test_two_days_far_from_the_usual_are_found_with_what_they_rest_on(scene: InsightScene) -> None:
    scene.store(quiet(DAY - 39, DAY - 2))
    scene.settle()
    assert scene.found() == []
    scene.store([resting(DAY - 1, 74), resting(DAY, 75)])
    scene.settle()
    (found,) = scene.found()
    assert (found["kind"], found["subject"], found["what"]) == ("baseline", "resting_heart_rate", "above")
    assert found["day"] == "2026-11-23"
    assert found["rests_on"] == {
        "types": ["resting_heart_rate"], "from": "2026-10-15", "to": "2026-11-23", "days": 40, "readings": 40,
    }  # fmt: skip
    assert found["sentence"].startswith("Your resting heart rate was 75 beats a minute, and 74 beats a minute the time")
    assert (found["type"], found["user_id"]) == ("insight", "alice")


def test_a_correction_takes_it_back_and_the_same_one_has_the_same_id(scene: InsightScene) -> None:
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    scene.settle()
    (before,) = scene.found()
    scene.store([resting(DAY - 1, 61, version=1)])
    scene.settle()
    assert scene.found() == []
    scene.store([resting(DAY - 1, 76, version=2)])
    scene.settle()
    (after,) = scene.found()
    assert after["id"] == before["id"]
    assert after["figures"]["before"] == 76


def test_a_day_to_come_is_looked_at_when_it_is_there(scene: InsightScene) -> None:
    scene.store([*quiet(DAY - 39, DAY), resting(DAY + 1, 74), resting(DAY + 2, 75)])
    scene.settle()
    assert scene.found() == []
    scene.now_us += 2 * DAY_US
    scene.settle()
    assert [each["day"] for each in scene.found()] == ["2026-11-25"]


def test_what_happens_today_makes_no_work_for_days_to_come(scene: InsightScene) -> None:
    scene.store(quiet(DAY - 39, DAY))
    scene.settle()
    scene.store([resting(DAY, 63, version=1)])
    scene.evaluation().follow(scene.now_us)
    assert scene.file.due_days("alice", 99) == [DAY]


def test_what_is_withdrawn_is_in_no_finding_and_what_is_granted_again_begins_anew(scene: InsightScene) -> None:
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    scene.agree("bob", rest=0)
    scene.store([*quiet(DAY - 39, DAY - 2, user="bob"), resting(DAY - 1, 74, user="bob"), resting(DAY, 75, user="bob")])
    scene.settle()
    assert len(scene.found()) == len(scene.found("bob")) == 1
    scene.agree(weight=0)
    scene.settle()
    assert (scene.found(), len(scene.found("bob"))) == ([], 1)
    scene.agree(rest=2)
    scene.settle()
    assert scene.found() == []


def test_what_was_looked_at_before_a_withdrawal_is_not_written_after_it(scene: InsightScene) -> None:
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    baseline = scene.insights["baseline"]

    def withdrawn_meanwhile(recent: RecentDays) -> Sequence[InsightFinding]:
        found = baseline.find(recent)
        if found:
            scene.agree(weight=0)
            scene.file.withdraw("alice")
        return found

    scene.insights = {"baseline": Insight(baseline.capability, withdrawn_meanwhile)}
    evaluation = scene.evaluation()
    evaluation.follow(scene.now_us)
    while evaluation.work(scene.now_us) and scene.since("alice", "resting_heart_rate") is not None:
        pass
    assert scene.found() == []


def test_of_an_erased_person_nothing_comes_back(scene: InsightScene) -> None:
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    evaluation = scene.evaluation()
    evaluation.follow(scene.now_us)
    scene.days.forget_person("alice")
    scene.file.forget_person("alice")
    while evaluation.follow(scene.now_us) | evaluation.work(scene.now_us):
        pass
    assert scene.file.users() == set()
    scene.file.close()
    assert b"alice" not in (scene.path / "insights.db").read_bytes()


def test_a_file_of_days_that_is_made_again_is_followed_from_its_beginning(scene: InsightScene, tmp_path: Path) -> None:
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    scene.settle()
    assert len(scene.found()) == 1
    (tmp_path / "other").mkdir()
    other = InsightScene(tmp_path / "other")
    other.agree(rest=0)
    other.store([*quiet(DAY - 80, DAY - 2), resting(DAY - 1, 61), resting(DAY, 60)])
    evaluation = Evaluation(scene.insights, scene.rules, other.reader, scene.file)
    while evaluation.follow(scene.now_us) | evaluation.work(scene.now_us):
        pass
    assert scene.found() == []
    other.close()


def test_a_module_that_fails_leaves_the_others_alone_and_its_error_says_no_value(scene: InsightScene) -> None:
    def find(_recent: RecentDays) -> Sequence[InsightFinding]:
        raise ValueError("75 beats")

    capability = InsightCapability(kind="mine", title="Mine", types=frozenset({"resting_heart_rate"}), days=3)
    scene.insights["mine"] = Insight(capability, find)
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    evaluation = scene.evaluation()
    while evaluation.follow(scene.now_us) | evaluation.work(scene.now_us):
        pass
    assert [each["kind"] for each in scene.found()] == ["baseline"]
    assert evaluation.failed == {"mine": "ValueError"}


def test_other_rules_look_at_everything_again(scene: InsightScene) -> None:
    scene.store([*quiet(DAY - 39, DAY - 2), resting(DAY - 1, 74), resting(DAY, 75)])
    scene.settle()
    scene.insights, scene.rules = {}, "2"
    scene.settle()
    assert scene.found() == []


def noon(recent: RecentDays) -> list[InsightFinding]:
    """How many readings of the last week were before noon: an insight that depends on moments, and on nothing else."""
    early = [each for each in recent.readings["glucose"] if each.hour < 12]
    if not early:
        return []
    basis = Basis(types=("glucose",), first_day=recent.first, last_day=recent.day, days=1, readings=len(early))
    return [InsightFinding(subject="glucose", what="early", sentence="Early.", basis=basis)]


NOON = Insight(
    InsightCapability(kind="noon", title="Noon", types=frozenset(), readings=frozenset({"glucose"}), days=7), noon
)


def test_a_reading_that_only_moves_over_the_day_is_looked_at_again(scene: InsightScene) -> None:
    scene.insights = {"noon": NOON}
    scene.store([reading("g", "glucose", DAY - 2, {"mg_dl": 99}, hour=15)])
    scene.store([reading("h", "glucose", DAY - 2, {"mg_dl": 99}, hour=16)])
    scene.settle()
    assert scene.found() == []
    scene.store([reading("g", "glucose", DAY - 2, {"mg_dl": 99}, hour=8, version=1)])
    scene.settle()
    assert [each["day"] for each in scene.found()] == ["2026-11-21", "2026-11-22", "2026-11-23"]


@given(seed=st.integers(0, 10**6), pieces=st.integers(1, 5))
@settings(max_examples=8, deadline=None)
def test_late_data_comes_to_what_a_full_run_comes_to(seed: int, pieces: int) -> None:
    rng = Random(seed)
    items = []
    for day in range(DAY - 70, DAY + 1):
        high = 15 if rng.random() < 0.1 or DAY - 12 < day < DAY - 8 else 0
        items += [resting(day, 60 + rng.choice((0, 1, 2)) + high)] if rng.random() < 0.9 else []
        items += [reading(f"g{day}", "glucose", day, {"mg_dl": rng.randint(80, 120)}, hour=rng.uniform(6, 20))]
    items += [resting(day, 60, version=1) for day in range(DAY - 12, DAY - 5) if rng.random() < 0.3]
    items += [
        reading(f"g{day}", "glucose", day, {"mg_dl": 100}, hour=rng.uniform(6, 20), version=1)
        for day in range(DAY - 20, DAY) if rng.random() < 0.3
    ]  # fmt: skip
    rng.shuffle(items)
    with TemporaryDirectory() as place:
        scene = InsightScene(Path(place))
        scene.insights["noon"] = NOON
        scene.agree(rest=0)
        for piece in range(pieces):
            scene.store(items[piece::pieces])
            scene.now_us += DAY_US * rng.choice((0, 0, 1))
            scene.settle()
        assert scene.found() == scene.afresh() != []
        scene.close()
