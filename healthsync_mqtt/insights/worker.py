"""The work of the insights' process, a bounded piece at a time: follow the days, look at those that are due."""

from collections.abc import Callable
from typing import Any

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.insights.catalogue import FOLDER, known
from healthsync_mqtt.insights.evaluation import Evaluation
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.summaries.reader import DayReader
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("insights")


class InsightWorker:
    """One data directory. The file of days is opened when it is there, and again when it is another file."""

    def __init__(self, paths: DataPaths, *, now_us: Callable[[], int]) -> None:
        self._paths = paths
        self._now_us = now_us
        self._known = known(paths.root / FOLDER)
        for each in self._known.broken:
            log.warning("insights.module_not_loaded", module=each.where, why=each.why)
        self._file: InsightFile | None = None
        self._days: DayReader | None = None
        self._inode = -1
        self._evaluation: Evaluation | None = None
        self._steps = 0

    def step(self) -> bool:
        """Do a piece; whether there is more to do now. StoreError: it is tried again."""
        evaluation = self._opened()
        if evaluation is None:
            return False
        self._steps += 1
        now_us = self._now_us()
        more = evaluation.follow(now_us)
        return evaluation.work(now_us) or more

    def run(self, user: str, day: int) -> None:
        """Look at one day of a user."""
        if (evaluation := self._opened()) is not None:
            evaluation.run(user, day, self._now_us())

    def status(self) -> dict[str, Any]:
        """What is said of it; no names."""
        return {"steps": self._steps, "kinds": sorted(self._known.insights)}

    def close(self) -> None:
        """Release the files. Idempotent."""
        self._give_up_days()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> Evaluation | None:
        path = self._paths.summaries_db
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            self._give_up_days()
            return None
        if self._days is None or inode != self._inode:
            self._give_up_days()
            self._days, self._inode = DayReader.open(path), inode
            if self._days is None:
                return None
            if self._file is None:
                self._file = InsightFile.open(self._paths.insights_db)
            self._evaluation = Evaluation(self._known.insights, self._known.rules, self._days, self._file)
        return self._evaluation

    def _give_up_days(self) -> None:
        days, self._days, self._evaluation = self._days, None, None
        if days is not None:
            days.close()
