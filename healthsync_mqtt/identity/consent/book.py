"""The history of consent in registry.db: lines are added, never changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final, NamedTuple

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.identity.consent.decisions import (
    ALWAYS,
    NOBODY,
    PURPOSES,
    USUAL_PURPOSES,
    Action,
    ConsentDecision,
    ConsentSpan,
    Permission,
    Permissions,
    Purpose,
    Standing,
    in_force,
    standings,
)
from healthsync_mqtt.identity.people.lookup import any_user, user_of
from healthsync_mqtt.identity.people.names import ERASED, EVERY, checked_types, dump_names, load_names
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "consent")


class Fetched(NamedTuple):
    """Rows of the history: up to which number, who decided once about everything, and the lines of the others.

    ``whole``: what was known before is of no more use.
    """

    newest: int
    plain: Sequence[tuple[Any, ...]]
    decisions: Sequence[ConsentDecision]
    whole: bool


class Amendment(NamedTuple):
    """What those agreed to who decided after a certain decision, and the number of the newest one.

    ``whole``: what everybody agrees to. Somebody was erased since: no line is left that says that a consent ended.
    """

    newest: int
    permissions: Permissions
    whole: bool = False


class ConsentBook:
    """What users agreed to. Types are canonical names; whoever takes them from a person resolves aliases first."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._read_to = 0
        self._permissions = NOBODY

    def grant(
        self,
        user_id: str,
        types: str | Iterable[str],
        now_us: int,
        *,
        purposes: Iterable[Purpose] = USUAL_PURPOSES,
        expires_us: int | None = None,
        text_version: str | None = None,
        recorded_by: str = "cli",
    ) -> None:
        """Record that a user agrees; NotFoundError, InputError for an expiry that has passed or a bad name."""
        if expires_us is not None and expires_us <= now_us:
            raise InputError("a consent cannot expire before it begins", hint="name a later time, or leave it out")
        decision = partial(
            ConsentDecision,
            user_id=user_id,
            action=Action.grant,
            decided_us=now_us,
            expires_us=expires_us,
            text_version=text_version,
            recorded_by=recorded_by,
        )
        self._record(user_id, checked_types(types), purposes, decision)

    def withdraw(
        self,
        user_id: str,
        types: str | Iterable[str],
        now_us: int,
        *,
        purposes: Iterable[Purpose] = PURPOSES,
        recorded_by: str = "cli",
    ) -> None:
        """Record that a user takes back what was granted for these types and purposes."""
        decision = partial(
            ConsentDecision,
            user_id=user_id,
            action=Action.withdraw,
            decided_us=now_us,
            expires_us=None,
            text_version=None,
            recorded_by=recorded_by,
        )
        self._record(user_id, checked_types(types), purposes, decision)

    def history(self, user_id: str | None = None) -> list[ConsentDecision]:
        """Every decision of one user or of all, oldest first; NotFoundError for an unknown user."""
        with self._tables.read():
            if user_id is None:
                return self._tables.records(_decision, _SQL["whole_history"])
            if any_user(self._tables, user_id) is None:
                user_of(self._tables, user_id)  # raises; the history of one who was removed is still told
            return self._tables.records(_decision, _SQL["history"], user_id)

    def standings(self, user_id: str) -> list[Standing]:
        """What holds, or held until it was withdrawn, for one user; NotFoundError."""
        return standings(self.history(user_id))

    def permissions(self) -> Permissions:
        """What the data path asks: the same object until a decision is added; then only its user is read again."""
        return self.settled(self.fetch())

    def amended(self, since: int) -> Amendment:
        """What has changed since decision number ``since``; of users who decided nothing since then nothing is read."""
        with self._tables.read():
            newest = self._tables.number(_SQL["newest"])
            if newest == since:
                return Amendment(newest, NOBODY)
            users = self._tables.column(str, _SQL["users_since"], since)
            if ERASED in users:
                users = self._tables.column(str, _SQL["users_since"], 0)
                return Amendment(newest, in_force(line for user in users for line in self.history(user)), whole=True)
            return Amendment(newest, in_force(line for user in users for line in self.history(user)))

    def fetch(self) -> Fetched:
        """The rows that ``settled`` needs, in one short reading: while it lasts nobody can write."""
        with self._tables.read():
            newest = self._tables.number(_SQL["newest"])
            if newest == self._read_to:
                return Fetched(newest, [], [], whole=False)
            users = self._tables.column(str, _SQL["users_since"], self._read_to) if self._read_to else [ERASED]
            if ERASED not in users:
                return Fetched(newest, [], [line for user in users for line in self.history(user)], whole=False)
            plain, others = _plain(self._tables.tuples(_SQL["everybody"]))
            decisions = [line for user in others for line in self.history(user)]
            return Fetched(newest, plain, decisions, whole=True)

    def settled(self, fetched: Fetched) -> Permissions:
        """The permissions that follow from it; outside of any reading."""
        if fetched.newest != self._read_to:
            known = NOBODY if fetched.whole else self._permissions
            permissions = {purpose: dict(users) for purpose, users in known.items()}
            by_name = {purpose.value: users for purpose, users in permissions.items()}
            stored = {user_id: since_us for user_id, purpose, since_us, _ in fetched.plain if purpose == Purpose.store}
            same: dict[tuple[int, int | None], Permission] = {}  # nearly all agree to the same: one value for all
            for user_id, purpose, since_us, until_us in fetched.plain:
                # As ``Standing.begins_us``: nothing was stored before, so no clock has to say so.
                key = (0 if stored.get(user_id) == since_us else since_us, until_us)
                permission = same.get(key)
                if permission is None:
                    span = ConsentSpan(key[0], ALWAYS if until_us is None else until_us)
                    permission = same[key] = Permission(span, {})
                by_name[purpose][user_id] = permission
            for purpose, users in in_force(fetched.decisions).items():
                permissions[purpose] |= users
            self._permissions, self._read_to = permissions, fetched.newest
        return self._permissions

    def _record(
        self,
        user_id: str,
        types: frozenset[str] | None,
        purposes: Iterable[Purpose],
        decision: Callable[..., ConsentDecision],
    ) -> None:
        """Write the decision of a user down for each of these purposes."""
        # Everything and some names are two decisions: what is said of the general types, and of those.
        parts = [types] if types is None or EVERY not in types else [None, types - {EVERY}]
        with self._tables.write():
            user_of(self._tables, user_id)
            for purpose in sorted(set(purposes), key=PURPOSES.index):
                for part in parts:
                    self._tables.insert("consent_decisions", _columns(decision(purpose=purpose, types=part)))


def _decision(
    *,
    user_id: str,
    action: str,
    purpose: str,
    types: str,
    decided_us: int,
    expires_us: int | None,
    text_version: str | None,
    recorded_by: str,
) -> ConsentDecision:
    """A decision as the columns of its row say."""
    return ConsentDecision(
        user_id=user_id,
        action=Action(action),
        purpose=Purpose(purpose),
        types=load_names(types),
        decided_us=decided_us,
        expires_us=expires_us,
        text_version=text_version,
        recorded_by=recorded_by,
    )


def _plain(decided: Sequence[tuple[Any, ...]]) -> tuple[Sequence[tuple[Any, ...]], set[str]]:
    """What those decided who did so once for a purpose, about everything: most users do. And whose history is needed.

    Not in SQL: to sort everybody's decisions by user and purpose takes four times as long.
    """
    once: dict[tuple[str, str], tuple[Any, ...]] = {}
    others: set[str] = set()
    for user_id, purpose, since_us, until_us, everything in decided:
        key = user_id, purpose
        if everything and key not in once:
            once[key] = user_id, purpose, since_us, until_us
        else:
            others.add(user_id)
    return [row for row in once.values() if row[0] not in others], others


def _columns(decision: ConsentDecision) -> dict[str, Any]:
    """The row of a decision."""
    names = {"action": decision.action.value, "purpose": decision.purpose.value, "types": dump_names(decision.types)}
    return asdict(decision) | names
