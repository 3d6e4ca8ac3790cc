"""From days to findings: which days have to be looked at again after which change, and what is found there.

What is written depends on the days alone, not on the order in which they came: a day that changed is looked at again
with every later day that looks back at it. Of who measures all day a day changes each second: whose days have all been
looked at is left alone for a while, and what has changed by then is looked at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from healthsync_mqtt.insights.file import FollowedPlace, InsightFile, LookedAt
from healthsync_mqtt.insights.finding import InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.summaries.reader import DayReader, DayValue, SummedPerson, TimedReading
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("insights")

_CHANGES: Final = 500
_DAYS: Final = 60
PACE_US: Final = 30_000_000
"""Between two looks at a person of whom no day was left over by the first one."""
_MOST_RESTING: Final = 1_000
"""People who are passed over in one step; the next one goes on behind them."""
Found = dict[tuple[str, int], Sequence[InsightFinding]]
"""By kind and day."""


def look_at(
    insights: Iterable[Insight],
    days: Iterable[int],
    values: Mapping[int, Mapping[str, DayValue]],
    readings: Mapping[str, Sequence[TimedReading]],
    failed: Callable[[str, Exception], None],
) -> Found:
    """What the modules find on these days. Each is shown its own days and types, and no later day."""
    found: Found = {}
    for insight in insights:
        capability = insight.capability
        own = {day: {n: v for n, v in types.items() if n in capability.types} for day, types in values.items()}
        own = {day: types for day, types in own.items() if types}
        moments = {name: _by_day(readings.get(name, ())) for name in capability.readings}
        for day in days:
            shown = range(day - capability.days + 1, day + 1)
            recent = RecentDays(
                day=day,
                first=shown[0],
                values={each: own[each] for each in shown if each in own},
                readings={
                    name: [each for at in shown for each in by_day.get(at, ())] for name, by_day in moments.items()
                },
            )
            if not recent.values and not any(recent.readings.values()):
                continue
            try:
                findings = list(insight.find(recent))
            except Exception as error:  # noqa: BLE001  # a module of somebody else's: the others go on
                failed(insight.kind, error)
                continue
            if findings:
                found[insight.kind, day] = findings
    return found


def _by_day(readings: Sequence[TimedReading]) -> dict[int, list[TimedReading]]:
    found: dict[int, list[TimedReading]] = {}
    for each in readings:
        found.setdefault(each.day, []).append(each)
    return found


class Evaluation:
    """The modules at work on the days of a data directory. No day is looked at that is still to come. StoreError."""

    def __init__(self, insights: Mapping[str, Insight], rules: str, days: DayReader, file: InsightFile) -> None:
        self._insights = insights
        self._rules = rules
        self._days = days
        self._file = file
        self._longest = max((each.capability.days for each in insights.values()), default=1)
        self._reach: dict[str, int] = {}
        for each in insights.values():
            for name in each.capability.reads:
                self._reach[name] = max(self._reach.get(name, 0), each.capability.days)
        self._turn = ""
        #: until when somebody is left alone, in the order in which that began
        self._resting: dict[str, int] = {}
        #: modules that failed on a day, by kind, with the last reason
        self.failed: dict[str, str] = {}

    def follow(self, now_us: int) -> bool:
        """Note what has changed since the last time; whether there may be more."""
        place = self._file.place
        anew = place.birth != self._days.birth or place.rules != self._rules
        if anew or self._days.last_change() < place.change:
            place = FollowedPlace(self._days.birth, 0, self._rules)
            self._file.note(place, self._known_days(), known=self._known)
        changes = self._days.changes_after(place.change, _CHANGES)
        if changes:
            # Later days are due when they have come.
            people = {user: self._days.person(user) for user in {each.user for each in changes}}
            last = {user: person.today(now_us) for user, person in people.items() if person is not None}
            due = {
                (each.user, day)
                for each in changes
                for day in range(each.day, min(each.day + self._reach.get(each.type, 0), last.get(each.user, 0) + 1))
            }
            self._file.note(place._replace(change=changes[-1].change), sorted(due), known=self._known)
        self._pass_days(now_us)
        return len(changes) == _CHANGES

    def _known_days(self) -> Iterator[tuple[str, int]]:
        """Days on which something was found by other rules, or of days that are no more."""
        for user in self._file.users():
            yield from ((user, day) for day in self._file.days_with_findings(user))

    def _known(self, user: str) -> bool:
        person = self._days.person(user)
        return person is not None and bool(person.agreed)

    def _pass_days(self, now_us: int) -> None:
        known = self._file.people()
        for person in self._days.people():
            self._pass(person, known.get(person.name, LookedAt()), now_us)

    def _pass(self, person: SummedPerson, before: LookedAt, now_us: int) -> None:
        """A day that has come without anything is looked at, too; and so is all of who agrees to something else."""
        today = person.today(now_us)
        if not person.agreed or (before.agreed == person.agreed and before.through == today):
            return
        span = self._days.span(person.name)
        first, last = span or (today + 1, today)
        if before.agreed == person.agreed:
            first = max(first, min(before.through, today) + 1)
        due = range(first, min(today, last + self._longest) + 1)
        self._file.keep(person.name, LookedAt(person.agreed, today), due, still=self._agreeing(person))

    def work(self, now_us: int) -> bool:
        """Look at some due days of the user whose turn it is; whether there were any."""
        user = self._next(now_us)
        if user is None:
            return False
        due = self._file.due_days(user, _DAYS + 1)
        most = due[:_DAYS]
        most = [day for day in most if day < most[0] + 2 * _DAYS]
        person = self._days.person(user)
        if person is None or not person.agreed:
            self._file.settle(user, most)
        else:
            self._look(person, most, now_us)
            if len(most) == len(due):
                self._resting[user] = now_us + PACE_US
        return True

    def _next(self, now_us: int) -> str | None:
        """The next in turn of whom a day is due, and who is not left alone."""
        while self._resting and (oldest := next(iter(self._resting))) and self._resting[oldest] <= now_us:
            del self._resting[oldest]
        first = ""
        for _ in range(_MOST_RESTING):
            user = self._file.due_after(self._turn)
            self._turn = user or ""  # nobody is named here when nothing is left to do
            if user is None or user == first:
                return None
            until = self._resting.get(user, 0)
            if not now_us < until <= now_us + PACE_US:  # a clock that was set back keeps nobody waiting
                self._resting.pop(user, None)
                return user
            first = first or user
        return None

    def run(self, user: str, day: int, now_us: int) -> None:
        """Look at one day of a user now."""
        if (person := self._days.person(user)) is not None:
            self._pass(person, self._file.looked_at(user), now_us)
            self._look(person, [day], now_us)

    def _look(self, person: SummedPerson, days: list[int], now_us: int) -> None:
        through = person.today(now_us)  # a day to come is looked at when it is there
        found = self._found(person.name, [day for day in days if day <= through])
        self._file.write(person.name, days, found, still=self._agreeing(person))

    def _found(self, user: str, days: list[int]) -> Found:
        if not days:
            return {}
        values = self._days.days(user, days[0] - self._longest + 1, days[-1])
        readings: dict[str, Sequence[TimedReading]] = {}
        for each in self._insights.values():
            for name in each.capability.readings - readings.keys():
                readings[name] = self._days.readings(user, name, days[0] - self._reach[name] + 1, days[-1])
        return look_at(self._insights.values(), days, values, readings, self._module_failed)

    def _module_failed(self, kind: str, error: Exception) -> None:
        if kind not in self.failed:
            log.warning("insights.module_failed", kind=kind, error=type(error).__name__)  # its text may hold a value
        self.failed[kind] = type(error).__name__

    def _agreeing(self, person: SummedPerson) -> Callable[[], bool]:
        """Whether the user still agrees to the same, as the file of days knows it."""

        def still() -> bool:
            now = self._days.person(person.name)
            return now is not None and now.agreed == person.agreed != ""

        return still
