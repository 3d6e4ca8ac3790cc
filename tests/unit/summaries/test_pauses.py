"""However much is on a day, whoever works it out lets others in all the time."""

from pathlib import Path

import pytest

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.part import RULES, Contribution, DayRule, fields_of
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
