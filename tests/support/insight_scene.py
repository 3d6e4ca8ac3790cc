"""Days in a summaries.db and the insights of them, step by step, in the test's process."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from healthsync_mqtt.insights.catalogue import known
from healthsync_mqtt.insights.evaluation import Evaluation
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.memory import MemoryEventLog, MemoryLogReader
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.reader import DayReader

DAY = 20_780  # 2026-11-23
DAY_US = 86_400_000_000
NOW_US = DAY * DAY_US + DAY_US // 2


def reading(
    name: str,
    type_name: str,
    day: int,
    value: Mapping[str, Any],
    *,
    hour: float = 7,
    version: int = 0,
    user: str = "alice",
) -> Item:
    """An event of a moment of a day, UTC."""
    origin = Origin(user, f"{user}-watch", None, f"users/{user}/devices/{user}-watch/events")
    at_us = day * DAY_US + int(hour * DAY_US / 24)
    body = json.dumps({"value": value}).encode()
    return Item(origin, Event(name, type_name, at_us, None, version, Op.UPSERT, body, 0))


def resting(day: int, bpm: float, *, version: int = 0, user: str = "alice") -> Item:
    """The resting heart rate of a day."""
    return reading(f"rhr-{user}-{day}", "resting_heart_rate", day, {"bpm": bpm}, version=version, user=user)


class InsightScene:
    """``agreed``: what each user agreed to, as the follower of the log writes it into the file of days."""

    def __init__(self, path: Path, insights: Mapping[str, Insight] | None = None) -> None:
        self.path = path
        self.log = MemoryEventLog()
        self.days = SummaryFile.open(path / "summaries.db")
        self.insights = dict(known().insights if insights is None else insights)
        self.file = InsightFile.open(path / "insights.db")
        reader = DayReader.open(path / "summaries.db")
        assert reader is not None
        self.reader = reader
        self.rules = "1"
        self.now_us = NOW_US
        self.permitted: dict[str, dict[str, int]] = {}

    def since(self, user: str, type_name: str) -> int | None:
        return self.permitted.get(user, {}).get(type_name, self.permitted.get(user, {}).get("*"))

    def agree(self, user: str = "alice", **types: int) -> None:
        """From when on what is received counts, by type; ``rest`` for the others."""
        self.permitted[user] = {"*" if name == "rest" else name: since for name, since in types.items()}
        text = "\n".join(f"{name} {since}" for name, since in sorted(self.permitted[user].items()))
        self.days.agree(user, text, self.since)
        self.sum_up()

    def store(self, items: Iterable[Item], at_us: int = 1) -> None:
        """Into the log, and summed up."""
        self.log.stage(list(items), [], at_us)
        self.log.commit()
        self.sum_up()

    def sum_up(self) -> None:
        log = MemoryLogReader(self.log)
        if self.days.epoch != log.epoch:
            self.days.begin_anew(log.epoch)
        while self.days.seq < log.head():
            found = log.stretch(self.days.seq, 100, look=1_000)
            older = log.superseded_by(found.rows[0].seq, found.rows[-1].seq) if found.rows else {}
            wanted = [
                row
                for row in found.rows
                if (at := self.since(row.user, row.type)) is not None and at <= row.received_us
            ]
            self.days.take(found.through, wanted, older)
        while self.days.waiting:
            self.days.work_out(100, self.since)

    def evaluation(self) -> Evaluation:
        return Evaluation(self.insights, self.rules, self.reader, self.file)

    def settle(self) -> None:
        """What the process does until nothing is left to do."""
        evaluation = self.evaluation()
        while evaluation.follow(self.now_us) | evaluation.work(self.now_us):
            pass

    def found(self, user: str = "alice", file: InsightFile | None = None) -> list[dict[str, Any]]:
        return (file or self.file).between(user, 0, 10**6)

    def afresh(self, user: str = "alice") -> list[dict[str, Any]]:
        """What a run from nothing comes to."""
        path = self.path / "afresh.db"
        path.unlink(missing_ok=True)
        with InsightFile.open(path) as file:
            evaluation = Evaluation(self.insights, self.rules, self.reader, file)
            while evaluation.follow(self.now_us) | evaluation.work(self.now_us):
                pass
            return self.found(user, file)

    def close(self) -> None:
        for each in (self.reader, self.file, self.days):
            each.close()
