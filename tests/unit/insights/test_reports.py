"""Weekly reports: what a model is asked, what is taken of its answer, of whom, and what ends them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from healthsync_mqtt.config.insight_sections import ModelSettings
from healthsync_mqtt.errors import ConfigError, HealthSyncError, UnavailableError
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.insights import language_model
from healthsync_mqtt.insights.file import InsightFile, LookedAt
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.reports import WeeklyReports
from healthsync_mqtt.insights.wording import MOST_SENT
from tests.support.language_model import KEY, ScriptedModel
from tests.support.patience import PATIENCE_S

SUNDAY = 20_779
"""2026-11-22"""
TODAY = SUNDAY + 2
NOW_US = TODAY * 86_400_000_000
QUARTER_US = 15 * 60_000_000


def finding(day: int, *types: str, subject: str = "x", sentence: str = "Your usual is 61 beats.") -> InsightFinding:
    basis = Basis(types=types, first_day=day - 40, last_day=day, days=30, readings=30)
    return InsightFinding(subject=subject, what="above", sentence=sentence, basis=basis, figures={"value": 74.26})


class Scene:
    """A person whose days were looked at, what they agree to, a model's server, and who asks it."""

    def __init__(self, path: Path, model: ScriptedModel) -> None:
        self.model = model
        self.people = Registry.open(path / "registry.db")
        self.file = InsightFile.open(path / "insights.db")
        key = path / "model.key"
        key.write_text(f"{KEY}\n")
        key.chmod(0o600)
        self.settings = ModelSettings(url=model.url, name="small", key_file=key, answer_s=20)
        self.people.add_user("alice", "all", NOW_US)
        self.now_us = NOW_US
        self.reports = WeeklyReports("small", self.ask, self.people, self.file)

    def ask(self, body: bytes) -> bytes:
        return language_model.ask(self.settings, body)

    def agree(self, *types: str, user: str = "alice") -> None:
        self.people.consent.grant(user, types or "*", self.now_us, purposes=[Purpose.analysis])

    def looked(self, *found: tuple[str, int, InsightFinding], user: str = "alice") -> None:
        self.file.keep(user, LookedAt("* 0", TODAY), [], still=lambda: True)
        self.write(*found, user=user)

    def write(self, *found: tuple[str, int, InsightFinding], user: str = "alice") -> None:
        by_kind: dict[tuple[str, int], list[InsightFinding]] = {}
        for kind, day, each in found:
            by_kind.setdefault((kind, day), []).append(each)
        self.file.write(user, [day for _, day, _ in found], by_kind, still=lambda: True)

    def step(self) -> None:
        while self.reports.step(self.now_us):
            pass

    def told(self, user: str = "alice") -> list[dict[str, Any]]:
        return [each for each in self.file.between(user, 0, 10**6) if each["kind"] == "report"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ScriptedModel() as model:
        made = Scene(tmp_path, model)
        model.known = lambda: [
            {"sentence": each["sentence"], "figures": each["figures"]}
            for each in made.file.between("alice", SUNDAY - 6, SUNDAY)
        ]
        yield made
        made.file.close()
        made.people.close()
        assert model.refused == []


WEEK = (
    ("baseline", SUNDAY - 1, finding(SUNDAY - 1, "resting_heart_rate")),
    ("trend", SUNDAY, finding(SUNDAY, "weight", subject="w", sentence="Your weight fell by 1.2 kg.")),
)


def test_a_week_is_phrased_once_of_its_sentences_and_figures_and_nothing_else(scene: Scene) -> None:
    scene.agree()
    before = ("baseline", SUNDAY - 7, finding(SUNDAY - 7, "resting_heart_rate", sentence="Last week 12."))
    after = ("baseline", SUNDAY + 1, finding(SUNDAY + 1, "resting_heart_rate", sentence="This week 13."))
    scene.looked(before, *WEEK, after)
    scene.step()
    scene.step()
    assert scene.model.shown == [
        [
            {"sentence": "Your usual is 61 beats.", "figures": {"value": 74.26}},
            {"sentence": "Your weight fell by 1.2 kg.", "figures": {"value": 74.26}},
        ]
    ]
    (report,) = scene.told()
    assert (report["day"], report["what"], report["subject"]) == ("2026-11-22", "phrased", "week")
    assert report["sentence"] == "Your usual is 61 beats. Your weight fell by 1.2 kg."
    assert report["figures"] == {"findings": 2.0, "model": "small"}
    assert report["rests_on"]["types"] == ["resting_heart_rate", "weight"]


def test_who_did_not_agree_by_name_is_asked_about_by_nobody(scene: Scene) -> None:
    scene.looked(*WEEK)
    scene.step()
    assert scene.people.consent.permissions()[Purpose.analysis] == {}, "all purposes are not this one"
    assert (scene.model.shown, scene.told()) == ([], [])


def test_a_type_that_may_not_be_phrased_goes_nowhere(scene: Scene) -> None:
    scene.agree("weight")
    scene.looked(*WEEK)
    scene.step()
    assert [[each["sentence"] for each in shown] for shown in scene.model.shown] == [["Your weight fell by 1.2 kg."]]
    assert scene.told()[0]["rests_on"]["types"] == ["weight"]


@pytest.mark.parametrize("through", [SUNDAY, SUNDAY + 1])
def test_a_week_is_phrased_when_it_is_over(scene: Scene, through: int) -> None:
    scene.agree()
    scene.file.keep("alice", LookedAt("* 0", through), [], still=lambda: True)
    scene.write(*WEEK)
    scene.step()
    assert len(scene.told()) == through - SUNDAY


def test_nothing_is_asked_while_a_day_of_the_week_has_to_be_looked_at(scene: Scene) -> None:
    scene.agree()
    scene.looked(*WEEK)
    scene.file.keep("alice", LookedAt("* 0", TODAY), [SUNDAY], still=lambda: True)
    scene.step()
    assert scene.model.shown == []
    scene.file.settle("alice", [SUNDAY])
    scene.step()
    assert len(scene.told()) == 1


def test_a_finding_that_becomes_another_takes_the_report_with_it(scene: Scene) -> None:
    scene.agree()
    scene.looked(*WEEK)
    scene.step()
    scene.write(*WEEK)
    assert len(scene.told()) == 1, "the same ones are no change"
    (change,) = [number for (_, kind), number in scene.file.changes_after(0, 99) if kind == "report"]
    scene.write(("baseline", SUNDAY - 1, finding(SUNDAY - 1, "resting_heart_rate", sentence="Your usual is 62.")))
    assert scene.told() == []
    assert ("alice", "report") in [key for key, _ in scene.file.changes_after(change, 99)], "it is retained no more"
    scene.step()
    assert scene.told()[0]["sentence"].startswith("Your usual is 62.")


@pytest.mark.parametrize("late", ["withdrawn", "another finding", "erased"])
def test_what_is_withdrawn_or_changed_while_the_model_thinks_is_not_written(scene: Scene, late: str) -> None:
    scene.agree()
    scene.looked(*WEEK)

    def meanwhile(findings: list[dict[str, Any]]) -> str:
        with InsightFile.open(Path(scene.file._connection.execute("PRAGMA database_list").fetchone()[2])) as other:
            match late:
                case "withdrawn":
                    scene.people.consent.withdraw("alice", "*", NOW_US + 1)
                case "another finding":
                    other.write("alice", [SUNDAY], {}, still=lambda: True)
                case _:
                    other.forget_person("alice")
        return str(findings[0]["sentence"])

    scene.model.words = meanwhile
    scene.reports.step(scene.now_us)
    assert scene.told() == []


@pytest.mark.parametrize(
    "said",
    ["Your usual is 61 beats, and tomorrow it will be 99.", "", "x" * 4_001, "61,5 beats"],
    ids=["a number that is made up", "nothing", "too much", "a number that is another"],
)
def test_an_answer_that_is_not_to_be_shown_is_not_kept_and_asked_for_again_later(scene: Scene, said: str) -> None:
    scene.agree()
    scene.looked(*WEEK)
    scene.model.words = lambda _: said
    scene.step()
    scene.now_us += QUARTER_US - 1
    scene.step()
    assert (len(scene.model.shown), scene.told()) == (1, [])
    scene.now_us += 1
    scene.step()
    scene.now_us += 2 * QUARTER_US - 1
    scene.step()
    assert len(scene.model.shown) == 2, "the second time it is given more time"
    scene.now_us += 1
    scene.model.words = lambda _: "In 7 days: 61 beats,\u202e and 74.3 \x1bthen.\n\n 1.2 kg. "
    scene.step()
    assert scene.told()[0]["sentence"] == "In 7 days: 61 beats, and 74.3 then.\n1.2 kg."


@pytest.mark.parametrize("many", [60, 4_000])
def test_a_question_is_bounded(scene: Scene, many: int) -> None:
    scene.agree()
    said = "Your usual is 61 beats." + "x" * (many if many > 60 else 0)
    scene.looked(*(("baseline", SUNDAY, finding(SUNDAY, "weight", subject=f"{n}", sentence=said)) for n in range(60)))
    sizes: list[int] = []

    def ask(body: bytes) -> bytes:
        sizes.append(len(body))
        return scene.ask(body)

    scene.reports = WeeklyReports("small", ask, scene.people, scene.file)
    scene.model.words = lambda _: "Your usual is 61 beats."
    scene.step()
    assert sizes[0] <= MOST_SENT
    assert len(scene.model.shown[0]) == (40 if many == 60 else 5)
    assert scene.told()[0]["figures"]["findings"] == len(scene.model.shown[0])


def test_an_answer_is_bounded_in_time_and_bytes_and_leads_nowhere(scene: Scene) -> None:
    body = json.dumps({"asked": 1}).encode()
    for instead, says in (
        ((302, {"Location": f"{scene.model.url}/chat/completions"}, b""), "answered 302"),
        ((401, {}, b"{}"), "answered 401"),
        ((200, {}, b"x" * 262_145), "longer than"),
    ):
        scene.model.instead = instead
        with pytest.raises(UnavailableError, match=says):
            scene.ask(body)
    scene.model.instead, scene.model.slow_s = (200, {}, b"x" * 10_000), 0.02
    scene.settings = scene.settings.model_copy(update={"answer_s": 0.2})
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match="no answer in"):
        scene.ask(body)  # each byte comes in time, and all of them do not
    assert time.monotonic() - begun < PATIENCE_S
    scene.model.refused.clear()  # these were no questions


@pytest.mark.parametrize("instead", [b"<html>", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}'])
def test_what_is_no_answer_is_none(scene: Scene, instead: bytes) -> None:
    scene.agree()
    scene.looked(*WEEK)
    scene.model.instead = (200, {}, instead)
    scene.step()
    assert scene.told() == []


def test_an_answer_that_was_cut_off_is_none(scene: Scene) -> None:
    scene.agree()
    scene.looked(*WEEK)
    scene.model.finish = "length"
    scene.step()
    assert scene.told() == []


def test_reports_go_where_what_they_rest_on_may_not_be_phrased(scene: Scene) -> None:
    scene.agree()
    scene.looked(*WEEK)
    scene.step()
    scene.file.withdraw_reports("alice", may=lambda _: True)
    assert len(scene.told()) == 1
    scene.file.withdraw_reports("alice", may=lambda name: name != "weight")
    assert scene.told() == []
    assert scene.file.reported() == set()


def test_a_key_that_others_may_read_is_not_used(scene: Scene) -> None:
    assert scene.settings.key_file is not None
    scene.settings.key_file.chmod(0o644)
    with pytest.raises(ConfigError, match="open to other accounts"):
        scene.ask(b"{}")
    scene.settings.key_file.chmod(0o600)
    scene.settings.key_file.write_text("two words\nand a line")
    with pytest.raises(HealthSyncError, match="holds no key"):
        scene.ask(b"{}")
    assert scene.model.shown == []


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://models.example.org/v1", True), ("http://127.0.0.1:11434/v1", True), ("http://[::1]:1/v1", True),
        ("http://localhost/v1", True), ("", True), ("http://10.0.0.5/v1", False), ("http://169.254.169.254/", False),
        ("http://127.0.0.1.example.org/", False), ("https://me:secret@models.example.org", False), ("ftp://x", False),
        ("https:///v1", False), ("http://0.0.0.0/v1", False), ("https://x/v1?key=1", False),
        ("file:///etc/passwd", False),
    ],
)  # fmt: skip
def test_a_model_is_asked_by_tls_or_on_this_machine(url: str, *, good: bool) -> None:
    if good:
        assert ModelSettings(url=url, name="m").url == url
    else:
        with pytest.raises(ValidationError):
            ModelSettings(url=url, name="m")


def test_a_model_has_a_name() -> None:
    with pytest.raises(ValidationError, match="a name"):
        ModelSettings(url="https://models.example.org/v1")


def test_a_file_that_is_being_made_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "insights.db"
    path.touch(0o600)
    assert InsightFile.read(path) is None
    InsightFile.open(path).close()
    file = InsightFile.read(path)
    assert file is not None
    with file:
        assert file.kinds("alice") == []
