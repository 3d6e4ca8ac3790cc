"""Weekly reports: of whom one is due, what it is made of, and that it is written only while that is still so.

A report is due of the last week that is over, of who agrees to the purpose analysis, when all its days were looked at
and something was found. It goes with any of the findings that it was made of (``InsightFile.write``), and is asked for
again then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, Permission, Purpose
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.insights.week import weekday
from healthsync_mqtt.insights.wording import ToldFinding, question, report_of
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("insights")

_FIRST_WAIT_US: Final = 15 * 60_000_000
_MOST_WAIT_US: Final = 6 * 3_600_000_000
_LOOKED: Final = 50


@dataclass(frozen=True, slots=True)
class _NextTry:
    """Whom a model failed: not before when it is asked again, and how long after the time after that."""

    not_before_us: int
    wait_us: int


class WeeklyReports:
    """``ask`` is given the body of a question and returns that of the answer; HealthSyncError."""

    def __init__(self, model: str, ask: Callable[[bytes], bytes], registry: Registry, file: InsightFile) -> None:
        self._model = model
        self._ask = ask
        self._registry = registry
        self._file = file
        self._turn = ""
        self._tries: dict[str, _NextTry] = {}

    def step(self, now_us: int) -> bool:
        """Ask for at most one report; whether there may be another one. StoreError."""
        agreeing = self._agreeing()
        for user in [user for user in self._tries if user not in agreeing]:
            del self._tries[user]
        names = sorted(agreeing)
        names = [each for each in names if each > self._turn][:_LOOKED]
        for user in names:
            self._turn = user
            next_try = self._tries.get(user)
            if next_try is not None and now_us < next_try.not_before_us:
                continue
            sunday = self._sunday(user)
            week = [] if sunday is None else self._week(user, sunday, agreeing[user], now_us)
            if sunday is not None and week:
                self._phrase(user, sunday, week, now_us)
                return True
        if len(names) < _LOOKED:
            self._turn = ""
        return self._turn != ""

    def _agreeing(self) -> Mapping[str, Permission]:
        return self._registry.consent.permissions()[Purpose.analysis]

    def _sunday(self, user: str) -> int | None:
        """The last day of the week of which a report is due."""
        looked = self._file.looked_at(user)
        if not looked.agreed:
            return None
        sunday = looked.through - 1 - weekday(looked.through)
        if any(day <= sunday for day in self._file.due_days(user, 1)):
            return None
        return None if any(day == sunday for day, _ in self._file.reports(user)) else sunday

    def _week(self, user: str, sunday: int, agreed: Permission, now_us: int) -> list[ToldFinding]:
        """What was found in it, as far as it may be phrased."""
        return [
            each
            for each in self._file.told(user, sunday - 6, sunday)
            if all(now_us < agreed.span(name).until_us for name in each.types)
        ]

    def _phrase(self, user: str, sunday: int, week: list[ToldFinding], now_us: int) -> None:
        body, sent = question(self._model, week)
        try:
            report = report_of(self._ask(body), self._model, sent)
        except HealthSyncError as error:
            before = self._tries.get(user)
            wait_us = _FIRST_WAIT_US if before is None else min(2 * before.wait_us, _MOST_WAIT_US)
            self._tries[user] = _NextTry(now_us + wait_us, wait_us)
            log.warning("insights.no_report", error=error)  # of whom is nobody's business, and what it said neither
            return
        self._tries.pop(user, None)

        def still() -> bool:
            agreed = self._agreeing().get(user, NO_PERMISSION)
            return self._week(user, sunday, agreed, now_us) == week and bool(self._file.looked_at(user).agreed)

        self._file.write_report(user, sunday, report, still=still)
