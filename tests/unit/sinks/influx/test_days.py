"""Days of users arrive as points, follow every change, and are sent again to a server that may have lost them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.days import DaysShipping
from healthsync_mqtt.sinks.influx.days import InfluxDays
from healthsync_mqtt.sinks.influx.line import Line, ServerAnswer
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.pseudonym import LostPseudonymError, Pseudonyms
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.part import DAY_US
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.summaries.test_histories import read_on

DAY = NOW_US // DAY_US
DAY_NS = DAY * 86_400 * 10**9
TAKEN = ServerAnswer(204)


@dataclass
class Bucket:
    """A server in memory: points by series and time, each a dict of its fields."""

    points: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    connections: int = 1
    answers: list[ServerAnswer] = field(default_factory=list)
    requests: int = 0

    def write(self, lines: list[str]) -> ServerAnswer:
        self.requests += 1
        if self.answers:
            return self.answers.pop(0)
        for line in lines:
            series, fields, at = line.split(" ")
            said = dict(each.split("=") for each in fields.split(","))
            self.points.setdefault((series, int(at)), {}).update(
                {name: float(text) if text not in {"true", "false"} else text == "true" for name, text in said.items()}
            )
        return TAKEN

    def delete(self, line: Line) -> ServerAnswer:
        self.requests += 1
        if self.answers:
            return self.answers.pop(0)
        self.points.pop(line.point, None)
        return TAKEN

    def probe(self) -> ServerAnswer:
        return TAKEN


class Stand:
    def __init__(self, path: Path, *, deletes: str = "delete", settle_s: float = 0.0) -> None:
        self.now = 1000.0
        self.bucket = Bucket()
        self.uncovered: set[str] = set()
        self.pseudonym: Callable[[str], str] = lambda user: f"p-{user}"
        self.file = SummaryFile.open(path / "summaries.db")
        self.ledger = SinkLedger.open(path / "ledger.db")
        self.log = MemoryEventLog()
        for user in ("alice", "bob"):
            self.ledger.admit(SeriesSource("heart_rate", user, None, None, None))
        self.config = InfluxConfig(
            name="influx", url="http://localhost:8086", deletes=deletes, settle_s=settle_s,  # type: ignore[arg-type]
        )  # fmt: skip
        self.shipping = self.begun()

    def begun(self) -> DaysShipping:
        pseudonym = self.pseudonym
        sink = InfluxDays(self.config, ledger=self.ledger, pseudonym=pseudonym, connect=lambda: self.bucket)
        return DaysShipping(
            self.config,
            sink,
            open_days=lambda: self.file,
            ledger=self.ledger,
            covers=lambda user, _type: user not in self.uncovered,
            clock=lambda: self.now,
        )

    def store(self, *items: object) -> None:
        self.log.stage(list(items), [], 1)  # type: ignore[arg-type]
        self.log.commit()
        read_on(self.file, self.log, 1000)
        while self.file.waiting:
            self.file.work_out(1000, lambda _user, _type: 0)

    def ship(self, steps: int = 3) -> None:
        for _ in range(steps):
            self.now += 100
            self.shipping.step()

    def point(self, user: str = "alice", kind: str = "heart_rate", day: int = 0) -> dict[str, float] | None:
        series = f"daily_summary,type={kind},user=p-{user}"
        return self.bucket.points.get((series, DAY_NS + day * 86_400 * 10**9))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.file.close()
    made.ledger.close()


def test_a_day_is_a_point_and_a_correction_overwrites_it(stand: Stand) -> None:
    stand.store(item("a"), item("b", start_us=NOW_US + 1), item("c", "bob"))
    stand.ship()
    assert stand.point() == {"mean": 60.0, "min": 60.0, "max": 60.0, "count": 2.0, "sources": 1.0}
    assert stand.point("bob") is not None
    stand.store(item("a", version=2))
    stand.ship()
    assert stand.point() == {"mean": 61.0, "min": 60.0, "max": 62.0, "count": 2.0, "sources": 1.0}
    requests = stand.bucket.requests
    stand.ship()
    assert stand.bucket.requests == requests, "nothing has changed"


def test_a_day_that_is_shipped_before_any_event_of_its_user_gives_the_user_a_name(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    pseudonyms = Pseudonyms.open(tmp_path / "pseudonyms.db", known=stand.ledger.knows)
    stand.pseudonym = pseudonyms.of
    stand.shipping = stand.begun()
    stand.store(item("a", "carol"))
    stand.ship()
    assert [series for series, _ in stand.bucket.points] == [
        f"daily_summary,type=heart_rate,user={pseudonyms.of('carol')}"
    ]
    assert stand.ledger.knows("carol")
    stand.store(item("b"))  # alice's points are there, the name that they have is not
    with pytest.raises(LostPseudonymError):
        stand.ship()
    pseudonyms.close()


def test_a_day_that_comes_to_nothing_loses_its_point(stand: Stand) -> None:
    stand.store(item("a"), item("d", start_us=NOW_US + DAY_US))
    stand.ship()
    stand.store(item("a", version=1, op=1))
    stand.ship()
    assert stand.point() is None
    assert stand.point(day=1) is not None
    stand.file.agree("alice", "", lambda _user, _type: None)
    stand.ship()
    assert stand.bucket.points == {}, "what is withdrawn goes, too"


def test_where_nothing_is_deleted_points_are_marked(tmp_path: Path) -> None:
    stand = Stand(tmp_path, deletes="mark")
    stand.store(item("a"))
    stand.ship()
    assert [point["deleted"] for point in stand.bucket.points.values()] == [False]
    stand.store(item("a", version=1, op=1))
    stand.ship()
    assert [point["deleted"] for point in stand.bucket.points.values()] == [True]


def test_what_is_not_covered_is_not_written_and_who_was_never_shipped_is_not_named(stand: Stand) -> None:
    stand.uncovered.add("alice")
    stand.store(item("a"), item("z", "zoe"), item("z", "zoe", version=1, op=1))
    stand.ship()
    assert stand.bucket.points == {}
    assert not any("zoe" in series for series, _ in stand.bucket.points)


@pytest.mark.parametrize("answer", [ServerAnswer(503), ServerAnswer(0, fault="unreachable"), ServerAnswer(401)])
def test_what_the_server_does_not_take_now_comes_later(stand: Stand, answer: ServerAnswer) -> None:
    stand.store(item("a"))
    stand.bucket.answers.append(answer)
    stand.ship(1)
    assert stand.point() is None
    assert stand.ledger.days_place() == 0
    said = stand.shipping.status()
    assert said["days_lag"] == 1
    assert said["days_reason"] in {"unavailable", "unreachable", "unauthorized"}, said
    stand.ship(2)
    assert stand.point() is not None
    assert stand.shipping.status() == {"days_lag": 0, "days_reason": ""}


def test_one_line_that_is_refused_does_not_stop_the_others(stand: Stand) -> None:
    stand.store(item("a"), item("b", "bob"))
    refusal = ServerAnswer(422, '{"code":"unprocessable entity","message":"points outside retention policy dropped=1"}')
    stand.bucket.answers += [refusal, refusal]
    stand.ship()
    assert len(stand.bucket.points) == 1


def test_the_place_outlasts_a_restart_and_is_kept_when_it_is_safe(tmp_path: Path) -> None:
    stand = Stand(tmp_path, settle_s=300)
    stand.store(item("a"))
    stand.ship(1)
    assert stand.point() is not None
    assert stand.ledger.days_place() == 0
    stand.ship(5)
    assert stand.ledger.days_place() == stand.file.last_change() > 0
    stand.bucket.points.clear()
    stand.shipping = stand.begun()
    stand.ship()
    assert stand.bucket.points == {}, "it is behind it"


def test_a_server_that_was_restarted_gets_again_what_it_may_have_lost(tmp_path: Path) -> None:
    stand = Stand(tmp_path, settle_s=300)
    stand.store(item("a"), item("b", "bob"))
    stand.ship(1)
    stand.store(item("a", version=1, op=1))
    stand.ship(1)
    assert stand.point() is None
    stand.bucket.points[f"daily_summary,type=heart_rate,user=p-alice", DAY_NS] = {"mean": 1.0}  # noqa: F541  # it lost the deletion
    stand.bucket.points.pop(("daily_summary,type=heart_rate,user=p-bob", DAY_NS))
    stand.bucket.connections += 1
    stand.ship(3)
    assert stand.point() is None
    assert stand.point("bob") is not None


def test_days_of_another_file_are_sent_from_its_beginning(stand: Stand, tmp_path: Path) -> None:
    stand.store(*(item(f"e{n}", start_us=NOW_US + n * DAY_US) for n in range(5)))
    stand.ship()
    (tmp_path / "other").mkdir()
    stand.file.close()
    stand.file = SummaryFile.open(tmp_path / "other" / "summaries.db")
    stand.log = MemoryEventLog()
    stand.store(item("new", version=3))
    stand.bucket.points.clear()
    stand.shipping = stand.begun()
    stand.ship()
    assert stand.point() == {"mean": 63.0, "min": 63.0, "max": 63.0, "count": 1.0, "sources": 1.0}


def test_times_and_numbers_of_several_fields_are_fields(stand: Stand) -> None:
    stand.store(item("p", event_type="heart_rate"))
    from healthsync_mqtt.sinks.influx.days import _numbers

    figures = {
        "start_time": "2026-01-05T00:00:00Z", "duration_s": 60, "systolic": {"mean": 120, "count": 2},
        "at": "2026-01-05T00:00:01Z", "too_large": True, "sources": ["a", "b"],
    }  # fmt: skip
    assert dict(_numbers(figures)) == {
        "start_s": 1_767_571_200.0, "duration_s": 60.0, "systolic_mean": 120.0, "systolic_count": 2.0,
        "at_s": 1_767_571_201.0, "sources": 2.0,
    }  # fmt: skip


def test_who_is_forgotten_takes_no_number_along(stand: Stand) -> None:
    """A number that came again would be behind the place: the day that has it was never sent, or all were again."""
    stand.store(item("a"), *(item(f"b{n}", "bob", start_us=NOW_US + n * DAY_US) for n in range(5)))
    stand.ship()
    before = stand.file.last_change()
    assert stand.ledger.days_place() == before
    stand.file.agree("bob", "", lambda _user, _type: None)
    stand.ship()
    stand.file.forget_person("bob")
    assert stand.file.last_change() == stand.ledger.days_place() > before
    requests = stand.bucket.requests
    stand.ship()
    assert stand.bucket.requests == requests, "nobody else's days are sent again"
    stand.store(item("late", start_us=NOW_US + DAY_US))
    stand.ship()
    assert stand.point(day=1) is not None
    stand.file.agree("alice", "", lambda _user, _type: None)
    stand.ship()
    assert stand.point() is None
