"""However much is on a day, working it out reads no more than is stated, and no user waits for all of another's."""

from pathlib import Path

import pytest

from healthsync_mqtt.cli.summary import _told
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.summaries import file as summary_file
from healthsync_mqtt.summaries.file import SummaryFile

DAY = 20_779
DAY_US = 86_400_000_000


def weight(seq: int, user: str, day: int = DAY) -> Record:
    body = b'{"value":{"kg":70}}'
    at_us = day * DAY_US + seq * 1_000_000
    return Record(seq, user, "scale", None, f"w{seq}", "weight", at_us, None, at_us, 0, 0, body, 1)


def always(_user: str, _type: str) -> int:
    return 0


def test_a_day_of_too_many_samples_has_no_figures_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_file, "MOST_MOMENTS", 3)
    with SummaryFile.open(tmp_path / "summaries.db") as file:
        file.take(3, [weight(seq, "alice") for seq in range(1, 4)], {})
        file.work_out(50, always, within_s=60)
        assert "too_large" not in file.days("alice", DAY, DAY)[DAY]["weight"].figures
        file.take(4, [weight(4, "alice")], {})
        file.work_out(50, always, within_s=60)
        figures = file.days("alice", DAY, DAY)[DAY]["weight"].figures
        assert figures == {"too_large": True, "sources": []}
        assert _told("weight", figures).startswith("too large")


def test_users_take_turns(tmp_path: Path) -> None:
    with SummaryFile.open(tmp_path / "summaries.db") as file:
        rows = [weight(day + 1, "alice", DAY + day) for day in range(20)] + [weight(21, "bob"), weight(22, "carol")]
        file.take(22, rows, {})
        assert {key.user for key in file.work_out(3, always, within_s=60)} == {"alice", "bob", "carol"}


def test_one_call_ends_by_time(tmp_path: Path) -> None:
    with SummaryFile.open(tmp_path / "summaries.db") as file:
        file.take(5, [weight(seq, "alice", DAY + seq) for seq in range(1, 6)], {})
        assert len(file.work_out(50, always, within_s=0)) == 1
        assert file.waiting
