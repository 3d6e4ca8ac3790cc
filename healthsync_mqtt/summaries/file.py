# long: one file, its rows, the days that are due, and what is worked out of them
"""summaries.db: what events add to days, which days were touched, and what they came to.

A piece of the log, what it touches and the place in the log are one transaction, and so is a day that was worked out
and the note that it had to be: whatever moment a kill comes at, the file goes on from where it was.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, NamedTuple, Self

import msgspec

from healthsync_mqtt.config.private_database import open_private_database, transaction
from healthsync_mqtt.config.private_files import check_private
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of
from healthsync_mqtt.summaries.part import DAY_US, RULES, Contribution, DayRule, Pause, go_on, local_day, part_of
from healthsync_mqtt.summaries.rules import DayFigures, outcome

_HERE: Final = __package__ or ""
_SQL: Final = statements(_HERE, "sql", "file.sql")
_SECOND_US: Final = 1_000_000
_encode: Final = msgspec.json.Encoder().encode
_rows: Final = msgspec.json.Decoder(tuple[tuple[int, tuple[float | None, ...]], ...]).decode
_figures: Final = msgspec.json.Decoder(dict[str, Any]).decode
_preferred: Final = msgspec.json.Decoder(tuple[str, ...]).decode
NOWHERE: Final = 2**62
MOST_MOMENTS: Final = 200_000
"""How many samples, or events of one number, a type may have on a day: more are not read, nothing is said of it."""
_WORK_S: Final = 0.02


Since = Callable[[str, str], int | None]
"""From when on what came in counts, by user and type; None: nothing of it does."""


class DayKey(NamedTuple):
    """A type on a day of a user."""

    user: str
    type: str
    day: int


class ChangedDay(NamedTuple):
    """What a type on a day of a user has come to; ``figures`` None: to nothing any more. ``change`` counts up."""

    change: int
    key: DayKey
    figures: DayFigures | None


class SourceFacts(NamedTuple):
    """A source of a user: how many events of how many types, and when the last of them was."""

    name: str
    events: int
    types: int
    last_us: int

    def joined(self, other: "SourceFacts") -> "SourceFacts":
        """Of one that has two rows: it was called like a user or type before names of sources were sealed."""
        most = max(self.types, other.types)
        return SourceFacts(self.name, self.events + other.events, most, max(self.last_us, other.last_us))


class _Person(NamedTuple):
    """``low_us`` and ``high_us``: how far clocks of this user were ahead of UTC, at least and at most."""

    low_us: int
    high_us: int
    agreed: str
    preferred: tuple[str, ...]


_NEW: Final = _Person(NOWHERE, -NOWHERE, "", ())


class SummaryFile:
    """The open file. ``epoch`` and ``seq`` are the place in the log. One thread at a time. StoreError."""

    def __init__(self, connection: sqlite3.Connection, sealing: ValueSealing) -> None:
        """Use ``open`` or ``read``."""
        self._connection = connection
        self._sealing = sealing
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        #: where names of sources are sealed; those of users and types never are
        self._sources: dict[str, int] = {}
        self._turn = -1  # the user whose day was worked out last
        self._read_names()
        place = connection.execute(_SQL["place"]).fetchone()
        self.epoch: str = "" if place is None else place[0]
        self.seq: int = 0 if place is None else place[1]
        self._people = {
            self._names[user]: _Person(low, high, agreed, _preferred(preferred))
            for user, low, high, agreed, preferred in connection.execute(_SQL["people"])
        }

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create, mode 0600, for the one who writes."""
        connection = open_private_database(path, numbered(_HERE, "sql", "file"))
        older = [_SQL[each] for each in ("seal_parts", "seal_days", "seal_shown", "seal_sources")]
        return cls._of(connection, path, lambda: ValueSealing.writing(connection, path.parent, path.name, older))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Open for reading; None where there is none."""
        if not path.exists():
            return None
        check_private(path)
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        return cls._of(connection, path, lambda: ValueSealing.reading(connection, path.parent, path.name))

    @classmethod
    def _of(cls, connection: sqlite3.Connection, path: Path, sealing: Callable[[], ValueSealing]) -> Self:
        try:
            return cls(connection, sealing())
        except sqlite3.Error as error:
            raise _unusable(error, path.name) from error

    # -- what comes in

    def begin_anew(self, epoch: str) -> None:
        """Forget everything but what is retained and what people said: another log is read, from its beginning."""
        with self._writing():
            for each in ("drop_parts", "drop_touched", "empty_days"):
                self._connection.execute(_SQL[each])
            self._run("move", [(epoch, 0)])
        self.epoch, self.seq = epoch, 0

    def take(
        self, through: int, records: Sequence[Record], older: Mapping[int, Sequence[Record]], pause: Pause = go_on
    ) -> None:
        """The next rows of the log, as far as ``through``; ``older`` are those that they supersede."""
        parts: list[Any] = []
        touched: set[tuple[int, int, int]] = set()
        people: dict[str, _Person] = {}
        with self._writing():
            for record in records:
                pause()
                part = part_of(record, pause)
                if part is not None:
                    self._place_part(record, part, parts, touched, people)
            self._run("add_part", parts)
            for each in (each for rows in older.values() for each in rows):
                touched |= set(self._drop(each))
            self._run("touch", sorted(touched))
            self._keep_people(people)
            self._run("move", [(self.epoch, through)])
        self._people |= people
        self.seq = through

    def _place_part(
        self,
        record: Record,
        part: Contribution,
        parts: list[Any],
        touched: set[tuple[int, int, int]],
        people: dict[str, _Person],
    ) -> None:
        person = people.get(record.user) or self._people.get(record.user, _NEW)
        offset_us = part.offset_us
        if not person.low_us <= offset_us <= person.high_us:
            person = person._replace(low_us=min(person.low_us, offset_us), high_us=max(person.high_us, offset_us))
            people[record.user] = person
        user, type_ = self._number(record.user), self._number(record.type)
        source = self._source(part.source)
        told = (source, part.worn, offset_us if part.placed else None, part.start_us, part.end_us, record.received_us)
        rule = RULES[record.type]
        if rule is DayRule.LONGEST:
            buckets: Iterable[tuple[int, Any]] = [(part.until_us // DAY_US, part.rows)]
        elif part.end_us is not None:
            last = max(part.start_us, part.end_us - 1) // DAY_US
            buckets = ((bucket, part.rows) for bucket in range(part.start_us // DAY_US, last + 1))
        elif part.rows[0][0] // DAY_US == part.rows[-1][0] // DAY_US:  # they are in the order of time
            buckets = [(part.rows[0][0] // DAY_US, part.rows)]
        else:
            by_bucket: dict[int, list[Any]] = {}
            for row in part.rows:
                by_bucket.setdefault(row[0] // DAY_US, []).append(row)
            buckets = by_bucket.items()
        parts += ((user, type_, bucket, record.seq, part.id, *told, _encode(rows)) for bucket, rows in buckets)
        first_us = part.until_us if rule is DayRule.LONGEST else part.start_us
        touched.update((user, type_, day) for day in _days(first_us, part.until_us, rule, person))

    def _drop(self, record: Record) -> Iterator[tuple[int, int, int]]:
        """Take back what an older version added; the days that it touched."""
        user, type_ = self._numbers.get(record.user), self._numbers.get(record.type)
        if user is None or type_ is None or record.type not in RULES:
            return
        first = record.start_us // DAY_US
        last = max(first + 2, (record.end_us or record.start_us) // DAY_US)
        rule, person = RULES[record.type], self._people.get(record.user, _NEW)
        dropped = self._connection.execute(_SQL["drop_part"], (user, type_, first, last, record.seq)).fetchall()
        for start_us, end_us, numbers in dropped:
            if numbers is None:
                continue  # of somebody who is being erased
            last_us = _rows(numbers)[-1][0] if end_us is None else end_us
            first_us = last_us if rule is DayRule.LONGEST else start_us
            yield from ((user, type_, day) for day in _days(first_us, last_us, rule, person))

    def purge(self, type_name: str, before_us: int) -> int:
        """Forget what events of a type add to days (UTC) that were over before this time; how many rows that were."""
        type_, last = self._numbers.get(type_name), before_us // DAY_US - 1
        if type_ is None or type_name not in RULES:
            return 0
        gone = 0
        with self._writing():
            for name in self._people:
                user = self._numbers[name]
                rows = self._connection.execute(_SQL["drop_days"], (user, type_, last)).fetchall()
                gone += len(rows)
                buckets = {bucket for (bucket,) in rows}
                self._run("touch", sorted({(user, type_, day + by) for day in buckets for by in (-1, 0, 1)}))
        return gone

    # -- what people say

    def agreed(self, user: str) -> str:
        """What was said last of what this user agreed to, "" before the first time."""
        return self._people.get(user, _NEW).agreed

    def preferred(self, user: str) -> tuple[str, ...]:
        """The user's own order of sources."""
        return self._people.get(user, _NEW).preferred

    def people(self) -> frozenset[str]:
        """Of whom something is known."""
        return frozenset(self._people)

    def forget_person(self, user: str) -> None:
        """Nothing of this user is in the file, and not the name."""
        number = self._numbers.get(user)
        if number is None:
            return
        with self._writing():
            self._run("keep_last_change", [()])
            for each in ("forget_parts", "forget_touched", "forget_days", "clear", "forget_person", "forget_name"):
                self._run(each, [(number,)])
            self._run("forget_unused", [()])
        self._people.pop(user, None)
        self._read_names()

    def agree(self, user: str, agreed: str, since: Since) -> None:
        """A user agreed to something else: what it does not cover is forgotten, every day is worked out again.

        What was worked out of a type of which anything is forgotten goes with it, at once.
        """
        number = self._number(user)
        with self._writing():
            for (type_,) in self._connection.execute(_SQL["types_of"], (number,)).fetchall():
                since_us = since(user, self._names[type_])
                gone = self._connection.execute(
                    _SQL["drop_before"], (number, type_, NOWHERE if since_us is None else since_us)
                ).rowcount
                if gone or since_us is None:
                    self._connection.execute(_SQL["empty_days_of"], (number, type_))
            self._touch_all(number)
            person = self._people.get(user, _NEW)._replace(agreed=agreed)
            self._keep_people({user: person})
        self._people[user] = person

    def prefer(self, user: str, sources: Sequence[str]) -> None:
        """A user has another order of sources: every day is worked out again."""
        number = self._number(user)
        with self._writing():
            self._touch_all(number)
            person = self._people.get(user, _NEW)._replace(preferred=tuple(sources))
            self._keep_people({user: person})
        self._people[user] = person

    # -- days

    def work_out(self, limit: int, since: Since, *, within_s: float = _WORK_S, pause: Pause = go_on) -> list[DayKey]:
        """Work out days that were touched, of each user in turn; those that came to something else.

        At most ``limit`` of them, and none is begun after ``within_s``. ``pause`` is called again and again.
        """
        changed = []
        until_s = time.monotonic() + within_s
        with self._writing():
            for _ in range(limit):
                due = self._next_touched()
                if due is None:
                    break
                user, type_, day = due
                self._turn = user
                name, type_name = self._names[user], self._names[type_]
                since_us = since(name, type_name)
                found, moments = (None, 0) if since_us is None else self._outcome(user, type_, day, since_us, pause)
                before = self._connection.execute(_SQL["day_of"], (user, day, type_)).fetchone()
                nothing: tuple[bytes, int, int | None, int] = (b"", 0, None, 0)
                now = nothing
                if found is not None:
                    now = (_encode(found.figures), found.at_us, found.offset_us, moments)
                if now != (before or nothing):
                    figures, at_us, offset_us, moments = now
                    self._run("keep_day", [(user, day, type_, at_us, offset_us, figures, moments)])
                    changed.append(DayKey(name, type_name, day))
                self._run("settle", [due])
                if time.monotonic() >= until_s:
                    break
        return changed

    def _next_touched(self) -> tuple[int, int, int] | None:
        """A day of the user after the one whose turn it was, and after the last of them the first."""
        for after in (self._turn, -1):
            due: tuple[int, int, int] | None = self._connection.execute(_SQL["touched_after"], (after,)).fetchone()
            if due is not None:
                return due
        return None

    def _outcome(self, user: int, type_: int, day: int, since_us: int, pause: Pause) -> tuple[DayFigures | None, int]:
        """What it comes to, and a number that is another one when its moments are."""
        type_name = self._names[type_]
        person = self._people[self._names[user]]
        low_us, high_us = _clocks(person)
        first, last = (day * DAY_US - high_us) // DAY_US, ((day + 1) * DAY_US - low_us - 1) // DAY_US
        rows = self._connection.execute(_SQL["parts"], (user, type_, first, last, since_us))
        moments = 0
        kept: list[Any] = []
        for row in rows:
            pause()
            if row[-1] is None:
                continue  # of somebody who is being erased
            moments += max(1, _rows_in(row[-1]))
            if moments > MOST_MOMENTS:  # before any of them is read: they are hundreds of thousands
                rows.close()
                return DayFigures({"too_large": True, "sources": []}, day * DAY_US, None), 0
            kept.append(row)
        told: list[bytes] = []
        parts: dict[tuple[int, int], Contribution] = {}
        for place, (seq, name, source, worn, offset_us, start_us, end_us, numbers) in enumerate(kept):
            pause()
            # An amount that lasts is in several buckets, and is one; samples are in one bucket each.
            key = (seq, 0 if end_us is not None else place)
            said = _rows(numbers)
            if RULES[type_name] is DayRule.MOMENTS:
                told.append(b"%d %d %d %b" % (source, worn, offset_us or 0, numbers))
            parts[key] = Contribution(
                name,
                self._names[source],
                worn,
                offset_us or 0,
                offset_us is not None,
                start_us,
                end_us,
                said,
            )
        if told:
            told.append(_encode(person.preferred))
        joined = b" ".join(sorted(told))  # whatever order they came in
        moments = _number_of(self._sealing.mark(joined, self._names[user]) if joined else b"")
        return outcome(type_name, day, parts.values(), person.preferred, pause), moments

    def days(self, user: str, first: int, last: int) -> dict[int, dict[str, DayFigures]]:
        """What the days from ``first`` to ``last`` came to, by day and type."""
        number = self._known(user)
        found: dict[int, dict[str, DayFigures]] = {}
        if number is None:
            return found
        for day, type_, at_us, offset_us, figures in self._query("days", (number, first, last)):
            if figures:
                found.setdefault(day, {})[self._named(type_)] = DayFigures(_figures(figures), at_us, offset_us)
        return found

    def newest_day(self, user: str) -> int | None:
        """The last day of a user on which there was something."""
        number = self._known(user)
        found: int | None = None if number is None else self._query("newest_day", (number,))[0][0]
        return found

    def sources(self, user: str) -> list[SourceFacts]:
        """What measured, by name."""
        number = self._known(user)
        rows = [] if number is None else self._query("sources", (number,))
        found: dict[str, SourceFacts] = {}
        for number, *rest in rows:
            each = SourceFacts(self._named(number), *rest)
            found[each.name] = each if each.name not in found else found[each.name].joined(each)
        return sorted(found.values())

    def changed_since(self, change: int, limit: int) -> list[tuple[int, str, int]]:
        """The days that came to something else after this change: the number of the change, the user, the day."""
        return [(no, self._named(user), day) for no, user, day in self._query("changed_since", (change, limit))]

    def changes_after(self, change: int, limit: int) -> list[ChangedDay]:
        """What days came to by later changes, oldest first; of one that changed twice only the last is there."""
        return [
            ChangedDay(
                no,
                DayKey(self._named(user), self._named(type_), day),
                DayFigures(_figures(figures), at_us, offset_us) if figures else None,
            )
            for no, user, type_, day, at_us, offset_us, figures in self._query("changes_after", (change, limit))
        ]

    def last_change(self) -> int:
        """The number of the newest change; 0: there was none."""
        found: int = self._query("last_change", ())[0][0]
        return found

    @property
    def waiting(self) -> bool:
        """Whether days have to be worked out."""
        return bool(self._query("touched", (1,)))

    # -- what is retained

    def shown(self) -> dict[str, bytes | None]:
        """Digests of what is retained of users; None: it is not known."""
        return {self._named(user): digest for user, digest in self._query("shown", ())}

    def show(self, digests: Mapping[str, bytes | None]) -> None:
        """What is retained of users now; empty: nothing."""
        with self._writing():
            gone = [self._numbers[user] for user, digest in digests.items() if digest == b"" and user in self._numbers]
            self._run("clear", [(number,) for number in gone])  # who has no number is named by nothing here
            self._run("show", [(self._number(user), digest) for user, digest in digests.items() if digest != b""])

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the connection

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All of it or nothing, with errors of the store as ours."""
        try:
            with self._sealing.asking(), transaction(self._connection):
                yield
        except BaseException as error:
            self._read_names()  # what was numbered inside is numbered no more
            if isinstance(error, sqlite3.Error):
                raise _unusable(error, "summaries.db") from error
            raise

    def _run(self, name: str, rows: Iterable[Any]) -> None:
        self._connection.executemany(_SQL[name], rows)

    def _query(self, name: str, bindings: Sequence[Any]) -> list[Any]:
        try:
            with self._sealing.asking():
                return self._connection.execute(_SQL[name], bindings).fetchall()
        except sqlite3.Error as error:
            raise _unusable(error, "summaries.db") from error

    def _touch_all(self, user: int) -> None:
        for each in ("touch_days", "touch_parts"):
            self._connection.execute(_SQL[each], (user,))

    def _keep_people(self, people: Mapping[str, _Person]) -> None:
        self._run(
            "keep_person",
            [
                (self._number(user), each.low_us, each.high_us, each.agreed, _encode(each.preferred).decode())
                for user, each in people.items()
            ],
        )

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._connection.execute(_SQL["add_name"], (name,)).fetchone()[0]
            self._numbers[name], self._names[number] = number, name
        return number

    def _source(self, name: str) -> int:
        """Sealed, it is another row than that of a user or type who is called so."""
        if not self._sealing.seals():
            return self._number(name)
        if not self._knows_sealed:
            self._read_names()
        number = self._sources.get(name)
        if number is None:
            number = self._connection.execute(_SQL["add_name"], (token_hex(8),)).fetchone()[0]
            self._connection.execute(_SQL["seal_name"], (number, name))
            self._sources[name], self._names[number] = number, name
        return number

    def _known(self, name: str) -> int | None:
        """The number of a name, as it is now: another process may have given it one, or another one, since."""
        number: int | None = next((row[0] for row in self._query("number_of", (name,))), None)
        return number

    def _named(self, number: int) -> str:
        if number not in self._names:  # written by another process since this one looked
            self._read_names()
        return self._names[number]

    def _read_names(self) -> None:
        self._knows_sealed = self._sealing.on
        self._numbers, self._sources = dict(self._query("names", ())), dict(self._query("sealed_names", ()))
        self._names = {no: name for each in (self._numbers, self._sources) for name, no in each.items()}


def _rows_in(numbers: bytes) -> int:
    """How many rows there are, unread: each is an array with one in it, and they are in one."""
    return numbers.count(b"[") // 2


def _unusable(error: Exception, name: str) -> StoreError:
    hint = f"{fix_of(error)}; or, with the service stopped, remove the file: it is made again from the log"
    return StoreError(f"{name} cannot be used: {error}", hint=hint)


def _number_of(told: bytes) -> int:
    """A digest; 0 of nothing."""
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big", signed=True) if told else 0


def _clocks(person: _Person) -> tuple[int, int]:
    """How far the clocks of a user were ahead of UTC, at least and at most."""
    return (0, 0) if person.low_us > person.high_us else (person.low_us, person.high_us)


def _days(first_us: int, last_us: int, rule: DayRule, person: _Person) -> range:
    """The local days that this may be in, on any of the clocks of a user."""
    low, high = _clocks(person)
    if rule in {DayRule.SHARED, DayRule.PORTIONS}:
        last_us = max(first_us, last_us - 1)  # midnight is of the day that ends there
    return range(local_day(first_us, low), local_day(last_us, high) + 1)
