"""insights.db: what was found of users' days, which days have to be looked at again, and what is retained.

Two processes write it: the one that looks at days, and the service, which says what is retained and takes out what is
withdrawn. Findings are written only while the user still agrees to what they were made of (``InsightFile.write``).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from healthsync_mqtt.config.private_database import open_private_database, transaction
from healthsync_mqtt.config.private_files import check_private
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.insights.finding import InsightFinding
from healthsync_mqtt.insights.wording import KIND as REPORT
from healthsync_mqtt.insights.wording import ToldFinding
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

_HERE: Final = __package__ or ""
_SQL: Final = statements(_HERE, "sql", "file.sql")
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_event: Final = msgspec.json.Decoder(dict[str, Any]).decode
_types: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_MOST_TOLD: Final = 100

Key = tuple[str, str]
"""A user and a kind."""


class FollowedPlace(NamedTuple):
    """How far which summaries.db was followed, and by which rules."""

    birth: str = ""
    change: int = 0
    rules: str = ""


class LookedAt(NamedTuple):
    """What a user had agreed to when all days through this one were looked at."""

    agreed: str = ""
    through: int = -(2**40)


class KeptFinding(NamedTuple):
    """A finding as it is told, and the types that it rests on."""

    types: frozenset[str]
    event: dict[str, Any]


class StoredFinding(NamedTuple):
    """A finding as it is written down: its day, the types that it rests on, the event in JSON."""

    day: int
    types: tuple[str, ...]
    event: bytes


class InsightFile:
    """The open file. One thread at a time. StoreError."""

    def __init__(self, connection: sqlite3.Connection, sealing: ValueSealing) -> None:
        """Use ``open`` or ``read``."""
        self._connection = connection
        self._sealing = sealing

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create, mode 0600, for one who writes."""
        connection = open_private_database(path, numbered(_HERE, "sql", "file"))
        older = (_SQL["seal_findings"], _SQL["seal_shown"])
        try:
            return cls(connection, ValueSealing.writing(connection, path.parent, path.name, older))
        except sqlite3.Error as error:
            raise _unusable(error) from error

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Open for reading; None where there is none, or none of anything yet."""
        if not path.exists():
            return None
        check_private(path)
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # whoever writes it is about to begin
                connection.close()
                return None
            sealing = ValueSealing.reading(connection, path.parent, path.name)
        except sqlite3.Error as error:
            raise _unusable(error) from error
        return cls(connection, sealing)

    # -- what is followed

    @property
    def place(self) -> FollowedPlace:
        """How far days were followed."""
        return next((FollowedPlace(*row) for row in self._query("place")), FollowedPlace())

    def note(self, place: FollowedPlace, due: Iterable[tuple[str, int]], *, known: Callable[[str], bool]) -> None:
        """These days have to be looked at again; days were followed as far as ``place``.

        ``known`` is asked inside: nobody is named here any more who is forgotten where the days are.
        """
        with self._writing():
            listed = list(due)
            here = {user for user in {user for user, _ in listed} if known(user)}
            self._run("make_due", (each for each in listed if each[0] in here))
            self._run("move", [place])

    def looked_at(self, user: str) -> LookedAt:
        """Where a user is."""
        return next((LookedAt(*row) for row in self._query("person", user)), LookedAt())

    def people(self) -> dict[str, LookedAt]:
        """Where everybody is."""
        return {user: LookedAt(*row) for user, *row in self._query("people")}

    def users(self) -> set[str]:
        """Everybody who is named here."""
        return {user for (user,) in self._query("users")}

    def due_after(self, user: str) -> str | None:
        """The next user of whom a day has to be looked at, in turn."""
        for after in (user, ""):
            for (found,) in self._query("due_user", after):
                return str(found)
        return None

    def due_days(self, user: str, limit: int) -> list[int]:
        """The first days of a user that have to be looked at."""
        return [day for (day,) in self._query("due_days", user, limit)]

    @property
    def waiting(self) -> bool:
        """Whether days have to be looked at."""
        return bool(self._query("anything_due"))

    # -- what was found

    def write(
        self,
        user: str,
        days: Sequence[int],
        found: Mapping[tuple[str, int], Sequence[InsightFinding]],
        *,
        still: Callable[[], bool],
    ) -> bool:
        """All that was found on these days, by kind and day, in place of what was before; they are due no more.

        ``still`` says whether the user agrees to what it was when they were looked at; it is asked inside: whoever
        takes out what is withdrawn does that after the withdrawal can be seen, and so before or after this. False:
        nothing was written.
        """
        with self._writing():
            if not still():
                return False
            now = {
                (kind, day, each.subject): (
                    _encode(sorted(each.basis.types)).decode(),
                    _encode(each.event(user, kind, day)).decode(),
                )
                for (kind, day), findings in found.items()
                for each in findings
            }
            wanted = set(days)
            before = {
                (kind, day, subject): event
                for kind, day, subject, event in self._query("of_days", user, min(days), max(days))
                if day in wanted
            }
            gone = before.keys() - now.keys()
            new = {key for key, (_, event) in now.items() if before.get(key) != event}
            self._run("drop", ((user, *key) for key in gone))
            self._run("add", ((user, *key, *now[key]) for key in sorted(new)))
            self._run("changed", ((user, kind) for kind in sorted({kind for kind, _, _ in gone | new})))
            self._drop_reports(user, {day + later for _, day, _ in gone | new for later in range(7)})
            self._run("settle", ((user, day) for day in days))
        return True

    def write_report(self, user: str, day: int, report: InsightFinding, *, still: Callable[[], bool]) -> bool:
        """What a model phrased of the week that ends with ``day``; see ``write`` for ``still``."""
        with self._writing():
            if not still():
                return False
            types = _encode(sorted(report.basis.types)).decode()
            event = _encode(report.event(user, REPORT, day)).decode()
            self._run("add", [(user, REPORT, day, report.subject, types, event)])
            self._run("changed", [(user, REPORT)])
        return True

    def reports(self, user: str) -> list[tuple[int, frozenset[str]]]:
        """The last days of the weeks that were phrased, and what each report rests on."""
        return [(day, frozenset(_types(types.encode()))) for day, types in self._query("reports", user)]

    def reported(self) -> set[str]:
        """Of whom there is a report."""
        return {user for (user,) in self._query("reported")}

    def withdraw_reports(self, user: str, *, may: Callable[[str], bool]) -> None:
        """No report is left that rests on a type that may not be phrased.

        It is looked for inside: who writes one has asked whether it may before this, and then it is here, or after.
        """
        with self._writing():
            self._drop_reports(user, {day for day, types in self.reports(user) if not all(map(may, types))})

    def _drop_reports(self, user: str, ends: set[int]) -> None:
        gone = [day for day, _ in self.reports(user) if day in ends] if ends else []
        self._run("drop_report", ((user, day) for day in gone))
        if gone:
            self._run("changed", [(user, REPORT)])

    def settle(self, user: str, days: Sequence[int]) -> None:
        """Nothing is to be said of these days: the user has nothing, or is not known any more."""
        with self._writing():
            self._run("settle", ((user, day) for day in days))

    def keep(self, user: str, looked_at: LookedAt, due: Iterable[int], *, still: Callable[[], bool]) -> bool:
        """A user agrees to this, and these days have to be looked at; see ``write`` for ``still``.

        All that is in the file was found while the user agreed to what is kept here: what was found before goes.
        """
        with self._writing():
            if not still():
                return False
            if self.looked_at(user).agreed != looked_at.agreed:
                self._run("changed", ((user, kind) for kind in self.kinds(user)))
                self._run("forget_findings", [(user,)])
            self._run("make_due", ((user, day) for day in due))
            self._run("keep_person", [(user, *looked_at)])
        return True

    def withdraw(self, user: str) -> None:
        """Nothing that was found is left, nor what was agreed to; the days are looked at again if that is agreed to."""
        if self.looked_at(user) == LookedAt() and not self.kinds(user):
            return  # nothing is written for who was never looked at
        with self._writing():
            self._run("changed", ((user, kind) for kind in self.kinds(user)))
            self._run("forget_findings", [(user,)])
            self._run("forget_person", [(user,)])

    def forget_person(self, user: str) -> None:
        """Nothing of this user is in the file, and not the name."""
        with self._writing():
            for each in ("forget_findings", "forget_due", "forget_changed", "forget_shown", "forget_person"):
                self._run(each, [(user,)])

    def newest(self, user: str, kind: str) -> list[KeptFinding]:
        """The newest findings of a kind, the newest first; of one day in the order of their subjects."""
        rows = self._query("newest", user, kind, _MOST_TOLD)
        return [KeptFinding(frozenset(_types(types.encode())), _event(event)) for _, types, event in rows if event]

    def between(self, user: str, first: int, last: int) -> list[dict[str, Any]]:
        """The findings of these days, the oldest first."""
        return [_event(event) for _, event in self._query("since", user, first, last) if event]

    def told(self, user: str, first: int, last: int) -> list[ToldFinding]:
        """What was found on these days, the oldest first, without what was phrased of it."""
        rows = self._query("told_of_days", user, first, last)
        return [
            ToldFinding(day, frozenset(_types(types.encode())), _event(event)) for day, types, event in rows if event
        ]

    def page(
        self, user: str, first: int, last: int, *, kind: str | None, newest: bool, limit: int
    ) -> list[StoredFinding]:
        """Findings of these days in order, or the newest day first."""
        rows = self._query("newest_page" if newest else "page", user, first, last, kind, limit)
        return [StoredFinding(day, _types(types.encode()), event.encode()) for day, types, event in rows if event]

    def days_with_findings(self, user: str) -> list[int]:
        """The days on which something was found."""
        return [day for (day,) in self._query("found_days", user)]

    def kinds(self, user: str) -> list[str]:
        """The kinds of which something was found."""
        return [kind for (kind,) in self._query("kinds", user)]

    def changes_after(self, change: int, limit: int) -> list[tuple[Key, int]]:
        """Kinds of users of which something is another since, oldest first."""
        return [((user, kind), no) for user, kind, no in self._query("changes_after", change, limit)]

    # -- what is retained

    def shown(self) -> dict[Key, bytes | None]:
        """Digests of what is retained; None: it is not known."""
        return {(user, kind): digest for user, kind, digest in self._query("shown")}

    def show(self, digests: Mapping[Key, bytes | None]) -> None:
        """What is retained now; empty: nothing."""
        with self._writing():
            self._run("clear", (key for key, digest in digests.items() if digest == b""))
            self._run("show", ((*key, digest) for key, digest in digests.items() if digest != b""))

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._sealing.asking(), transaction(self._connection):
                yield
        except sqlite3.Error as error:
            raise _unusable(error) from error

    def _run(self, name: str, rows: Iterable[Any]) -> None:
        self._connection.executemany(_SQL[name], rows)

    def _query(self, name: str, *bindings: object) -> list[Any]:
        try:
            with self._sealing.asking():
                return self._connection.execute(_SQL[name], bindings).fetchall()
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _unusable(error: sqlite3.Error) -> StoreError:
    hint = f"{fix_of(error)}; or, with the service stopped, remove the file: it is made again from the days"
    return StoreError(f"insights.db cannot be used: {error}", hint=hint)
