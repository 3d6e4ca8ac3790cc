"""The follower of the insights: who is told what, what is taken back, and what is left of a person who is erased."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.follow.agreement import agreed_text
from bridge.follow.insights import Insights
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.consent.decisions import NOBODY, Purpose
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.insights.file import InsightFile, LookedAt
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.unit.bridge.follow.test_homeassistant import Broker

NOW_US = 1_790_000_000_000_000
TOPIC = "users/alice/insights/baseline"


def finding(day: int, *types: str, subject: str = "x") -> InsightFinding:
    basis = Basis(types=types, first_day=day - 40, last_day=day, days=30, readings=30)
    return InsightFinding(subject=subject, what="above", sentence=f"Day {day}.", basis=basis)


class Scene:
    """Consents, a broker, the file that the other process writes, and the follower."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broker = Broker()
        self.gate = ConsentGate(NOBODY)
        self.now_us = NOW_US
        self.heard = True
        self.people = Registry.open(path / "registry.db")
        self.follower = self.started()

    def started(self) -> Insights:
        return Insights(
            self.path,
            self.path / "insights.db",
            self.path / "summaries.db",
            topics=TopicRegistry.load(),
            gate=self.gate,
            shelf=self.broker,
            heard=lambda: self.heard,
            clock_us=lambda: self.now_us,
        )

    def add(self, user: str) -> None:
        self.people.add_user(user, "all", NOW_US)
        self.consented()

    def consented(self) -> None:
        self.gate.replace(self.people.consent.permissions())

    def withdraw(self, user: str, types: list[str] | None, purpose: Purpose) -> None:
        self.now_us += 1
        self.people.consent.withdraw(user, types, self.now_us, purposes=[purpose])
        self.consented()

    def wrote(self, user: str, *found: tuple[str, int, InsightFinding]) -> None:
        """What the other process writes, of a user who agrees to what the file of days knows."""
        text, _ = agreed_text(self.gate.insights[user], self.now_us)
        with InsightFile.open(self.path / "insights.db") as file:
            if file.looked_at(user).agreed != text:
                file.keep(user, LookedAt(text, 30_000), [], still=lambda: True)
            by_kind: dict[tuple[str, int], list[InsightFinding]] = {}
            for kind, day, each in found:
                by_kind.setdefault((kind, day), []).append(each)
            file.write(user, [day for _, day, _ in found], by_kind, still=lambda: True)

    def told(self, topic: str = TOPIC) -> dict[str, Any] | None:
        found = self.broker.held.get(topic)
        return None if found is None else msgspec.json.decode(found)

    def left(self) -> set[str]:
        with InsightFile.open(self.path / "insights.db") as file:
            return file.users()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    made.add("alice")
    yield made
    made.people.close()


async def test_nothing_is_made_before_the_other_process_found_something(scene: Scene) -> None:
    await scene.follower.look()
    await scene.follower.forget("alice")
    await scene.follower.close()
    assert not (scene.path / "insights.db").exists()


async def test_the_newest_day_of_each_kind_is_retained(scene: Scene) -> None:
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")), ("trend", 20_001, finding(20_001, "weight")))
    await scene.follower.look()
    assert scene.told() == {
        "user_id": "alice", "kind": "baseline", "day": "2024-10-04",
        "findings": [finding(20_000, "sleep").event("alice", "baseline", 20_000)],
    }  # fmt: skip
    assert scene.told("users/alice/insights/trend") is not None
    scene.wrote(
        "alice",
        ("baseline", 20_002, finding(20_002, "sleep")),
        ("baseline", 20_002, finding(20_002, "steps", subject="y")),
    )
    await scene.follower.look()
    said = scene.told()
    assert said is not None
    assert [each["sentence"] for each in said["findings"]] == ["Day 20002."] * 2
    published = len(scene.broker.published)
    await scene.follower.look()
    assert len(scene.broker.published) == published, "what is retained is not said again"
    await scene.follower.close()


@pytest.mark.parametrize("purpose", [Purpose.share, Purpose.insights])
async def test_what_rests_on_a_withdrawn_type_is_told_no_more_and_an_older_one_is(
    scene: Scene, purpose: Purpose
) -> None:
    scene.wrote(
        "alice", ("baseline", 20_000, finding(20_000, "sleep")), ("baseline", 20_001, finding(20_001, "sleep", "steps"))
    )
    await scene.follower.look()
    scene.withdraw("alice", ["steps"], purpose)
    await scene.follower.look()
    said = scene.told()
    if purpose is Purpose.share:
        assert said is not None
        assert said["day"] == "2024-10-04"
    else:
        assert said is None, "all of it was found while more was agreed to"
        assert scene.left() == set()
        scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
        await scene.follower.look()
        assert scene.told() is not None
    await scene.follower.close()


async def test_what_was_found_of_what_was_agreed_to_before_is_not_told_also_until_it_is_gone(scene: Scene) -> None:
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    await scene.follower.look()
    scene.heard = False
    scene.withdraw("alice", ["steps"], Purpose.insights)
    await scene.follower.look()
    assert scene.told() is None
    assert scene.left() == {"alice"}, "the file of days has not heard of it: what is taken out now might come back"
    scene.heard = True
    await scene.follower.look()
    assert scene.left() == set()
    await scene.follower.close()


async def test_a_consent_that_ends_by_itself_ends_what_is_told(scene: Scene) -> None:
    scene.people.add_user("carol", "none", NOW_US)
    scene.people.consent.grant("carol", None, NOW_US, purposes=list(Purpose), expires_us=NOW_US + 5_000_000)
    scene.consented()
    scene.wrote("carol", ("baseline", 20_000, finding(20_000, "sleep")))
    await scene.follower.look()
    assert scene.told("users/carol/insights/baseline") is not None
    scene.now_us += 5_000_000
    await scene.follower.look()
    await scene.follower.look()
    assert scene.told("users/carol/insights/baseline") is None
    assert scene.left() == set()
    await scene.follower.close()


async def test_an_erased_person_is_in_no_file_when_nothing_is_retained(scene: Scene) -> None:
    scene.add("bob")
    for user in ("alice", "bob"):
        scene.wrote(user, ("baseline", 20_000, finding(20_000, "sleep")))
    await scene.follower.look()
    with pytest.raises(UnavailableError, match="has not been heard"):
        await scene.follower.forget("alice")
    scene.broker.ready = False
    scene.withdraw("alice", None, Purpose.insights)
    with pytest.raises(UnavailableError, match="may still be retained"):
        await scene.follower.forget("alice")
    scene.broker.ready = True
    await scene.follower.look()
    await scene.follower.forget("alice")
    await scene.follower.close()
    assert (scene.left(), set(scene.broker.held)) == ({"bob"}, {"users/bob/insights/baseline"})
    assert b"alice" not in (scene.path / "insights.db").read_bytes()


async def test_after_a_kill_what_is_retained_is_known_and_taken_back(scene: Scene) -> None:
    scene.broker.answers = False  # the broker takes it, and the kill comes before its answer
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    await scene.follower.look()
    scene.broker.answers = True
    scene.withdraw("alice", None, Purpose.insights)
    second = scene.started()
    await second.look()
    await second.look()
    assert scene.broker.held == {}
    assert scene.left() == set()
    await second.close()
    await scene.follower.close()


async def test_a_message_that_the_broker_refuses_is_tried_again_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.follow.board._AGAIN_S", 0.0)
    scene.broker.takes = False
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    await scene.follower.look()
    assert scene.told() is None
    scene.broker.takes = True
    await scene.follower.look()
    assert scene.told() is not None
    await scene.follower.close()


REPORT = "users/alice/insights/report"


def phrased(scene: Scene, *types: str, day: int = 20_000) -> None:
    """What the other process writes when a model has answered."""
    with InsightFile.open(scene.path / "insights.db") as file:
        file.write_report("alice", day, finding(day, *types, subject="week"), still=lambda: True)


def analysed(scene: Scene, *types: str, until_us: int | None = None) -> None:
    scene.now_us += 1
    scene.people.consent.grant("alice", types or "*", scene.now_us, purposes=[Purpose.analysis], expires_us=until_us)
    scene.consented()


async def test_a_report_is_retained_until_phrasing_is_withdrawn_and_the_findings_stay(scene: Scene) -> None:
    analysed(scene)
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    phrased(scene, "sleep")
    await scene.follower.look()
    said = scene.told(REPORT)
    assert said is not None
    assert (said["kind"], said["day"], said["findings"][0]["kind"]) == ("report", "2024-10-04", "report")
    scene.withdraw("alice", None, Purpose.analysis)
    await scene.follower.look()
    await scene.follower.look()
    assert scene.told(REPORT) is None
    assert scene.told() is not None
    with InsightFile.open(scene.path / "insights.db") as file:
        assert file.reported() == set()
    await scene.follower.close()


async def test_one_type_that_may_be_phrased_no_more_takes_its_reports_and_leaves_the_others(scene: Scene) -> None:
    analysed(scene)
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    phrased(scene, "sleep")
    phrased(scene, "sleep", "weight", day=20_007)
    await scene.follower.look()
    assert (scene.told(REPORT) or {})["day"] == "2024-10-11"
    scene.withdraw("alice", ["weight"], Purpose.analysis)
    await scene.follower.look()
    assert (scene.told(REPORT) or {})["day"] == "2024-10-04"
    await scene.follower.close()


async def test_an_agreement_to_phrasing_that_ends_by_itself_ends_reports(scene: Scene) -> None:
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    await scene.follower.look()
    analysed(scene, until_us=scene.now_us + 5_000_000)
    phrased(scene, "sleep")
    await scene.follower.look()
    assert scene.told(REPORT) is not None
    scene.now_us += 5_000_000
    await scene.follower.look()
    await scene.follower.look()
    assert scene.told(REPORT) is None
    with InsightFile.open(scene.path / "insights.db") as file:
        assert file.reported() == set()
    await scene.follower.close()


async def test_what_was_withdrawn_while_the_service_was_away_is_in_no_report(scene: Scene) -> None:
    analysed(scene)
    scene.wrote("alice", ("baseline", 20_000, finding(20_000, "sleep")))
    phrased(scene, "sleep")
    await scene.follower.look()
    await scene.follower.close()
    scene.withdraw("alice", None, Purpose.analysis)
    later = scene.started()
    await later.look()
    assert scene.told(REPORT) is None
    with InsightFile.open(scene.path / "insights.db") as file:
        assert file.reported() == set()
    await later.close()
