"""However much is on a day, whoever works it out lets others in all the time."""

from pathlib import Path

import pytest

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.summaries import file as summary_file
from healthsync_mqtt.summaries.file import MOST_MOMENTS, SummaryFile
from healthsync_mqtt.summaries.part import RULES, Contribution, DayRule, fields_of, part_of
from healthsync_mqtt.summaries.rules import outcome

DAY = 20_779
DAY_US = 86_400_000_000
PARTS = 2_000
STRETCH = 300
"""Rows that are enough for a pause."""

OF_RULE = {rule: next(name for name, of in RULES.items() if of is rule) for rule in DayRule}


def part(name: str, place: int, rows: int = 1) -> Contribution:
    start_us = DAY * DAY_US + place * 1_000_000
    numbers = (1.0,) * len(fields_of(CATALOGUE[name]))
    lasts = RULES[name] in {DayRule.SHARED, DayRule.PORTIONS, DayRule.LONGEST}
    end_us = start_us + 30_000_000 if lasts else None
    each = tuple((start_us + row, numbers) for row in range(rows))
    return Contribution(f"e{place}", f"app{place % 7}", 1, 0, False, start_us, end_us, each)


@pytest.mark.parametrize("name", OF_RULE.values(), ids=OF_RULE)
def test_a_day_of_many_events_lets_others_in_at_each(name: str) -> None:
    pauses: list[int] = []
    found = outcome(name, DAY, [part(name, place) for place in range(PARTS)], pause=lambda: pauses.append(1))
    assert found is not None
    assert len(pauses) >= PARTS


@pytest.mark.parametrize("rule", [DayRule.MOMENTS, DayRule.LAST, DayRule.WORD])
def test_a_long_series_lets_others_in_too(rule: DayRule) -> None:
    pauses: list[int] = []
    outcome(OF_RULE[rule], DAY, [part(OF_RULE[rule], 0, rows=20_000)], pause=lambda: pauses.append(1))
    assert len(pauses) >= 20_000 / STRETCH


def test_reading_in_and_working_out_let_others_in_at_each_row(tmp_path: Path) -> None:
    rows = [
        Record(seq, "alice", "scale", None, f"w{seq}", "weight", DAY * DAY_US + seq, None, DAY * DAY_US + seq, 0, 0,
               b'{"value":{"kg":70}}', 1)
        for seq in range(1, 201)
    ]  # fmt: skip
    pauses: list[int] = []
    with SummaryFile.open(tmp_path / "summaries.db") as file:
        file.take(200, rows, {}, lambda: pauses.append(1))
        assert len(pauses) == 200
        file.work_out(50, lambda _user, _type: 0, within_s=60, pause=lambda: pauses.append(1))
    assert len(pauses) >= 3 * 200


def series(seq: int, samples: int) -> Record:
    each = ",".join(f"[{second * 2},{60 + second % 9}]" for second in range(samples))
    body = b'{"value":{"samples":[%b]}}' % each.encode()
    start_us = DAY * DAY_US
    return Record(seq, "alice", "watch", None, f"s{seq}", "heart_rate", start_us, start_us, start_us, 0, 0, body, 1)


def test_a_series_lets_others_in_while_its_samples_are_read() -> None:
    """With a point for each of twenty thousand samples it took 38 ms in one piece."""
    pauses: list[int] = []
    found = part_of(series(1, 20_000), lambda: pauses.append(1))
    assert found is not None
    assert found.rows[:2] == ((DAY * DAY_US, (60.0,)), (DAY * DAY_US + 2_000_000, (61.0,)))
    assert len(found.rows) == 20_000
    assert len(pauses) >= 20


@pytest.mark.parametrize("name", [name for name in RULES if CATALOGUE[name].spread.series])
def test_a_series_adds_the_points_that_its_type_makes_of_it(name: str) -> None:
    of = CATALOGUE[name]
    body = b'{"value":{"samples":[[0,1],[0.29,2],[2.5,1.5]]}}'
    found = part_of(Record(1, "alice", "watch", None, "s", name, DAY_US, 2 * DAY_US, DAY_US, 0, 0, body, 1))
    points = of.spread.points(of.spread.stored(samples=[(0, 1.0), (0.29, 2.0), (2.5, 1.5)]), DAY_US, 2 * DAY_US)
    if fields_of(of) == (of.spread.series,):
        assert found is not None
        assert found.rows == tuple((point.at_us, (dict(point.fields)[of.spread.series],)) for point in points)


def test_a_day_of_too_many_samples_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each series of a flood had the first two hundred thousand read once more, to say nothing of them."""
    each = 20_000
    with SummaryFile.open(tmp_path / "summaries.db") as file:
        file.take(MOST_MOMENTS // each + 1, [series(seq, each) for seq in range(1, MOST_MOMENTS // each + 2)], {})
        monkeypatch.setattr(summary_file, "_rows", lambda _: pytest.fail("it was read"))
        assert file.work_out(50, lambda _user, _type: 0, within_s=60)
        (told,) = file.days("alice", DAY, DAY)[DAY].values()
        assert told.figures["too_large"]
