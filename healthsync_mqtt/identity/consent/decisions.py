"""Consent as values: what users decided, and what follows from it at a moment. Pure.

A decision grants or withdraws one purpose for some types or for all. The later decision holds for the types that it
names. All means the general types: what is reproductive, mental or a location (``GUARDED``) a decision names, or it
says nothing of it; only who takes everything back takes that back, too. ``in_force`` reads the permissions off the
decisions; the data path asks those, with one look-up a delivery.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from healthsync_mqtt.model.catalogue import GUARDED

NEVER: Final = 0
"""As ``until_us``: not permitted."""
ALWAYS: Final = 2**62
"""As ``until_us``: until it is withdrawn."""


class Purpose(StrEnum):
    """What data may be used for."""

    #: kept in the event log and in sinks
    store = "store"
    #: published on canonical topics, to the subscribers that an admin has registered
    share = "share"
    #: evaluated: trends, goals, anomalies
    insights = "insights"
    #: what was found is phrased by a language model, which may be somebody else's
    analysis = "analysis"


PURPOSES: Final = tuple(Purpose)
USUAL_PURPOSES: Final = (Purpose.store, Purpose.share, Purpose.insights)
"""What is agreed to where no purpose is named: analysis is agreed to by its name, or not at all."""


class Action(StrEnum):
    """What a decision does."""

    grant = "grant"
    withdraw = "withdraw"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDecision:
    """One line of a user's history. ``types`` None = all; ``expires_us`` None = until withdrawn.

    ``text_version`` names the wording that the user agreed to; ``recorded_by`` who wrote it down.
    """

    user_id: str
    action: Action
    purpose: Purpose
    types: frozenset[str] | None
    decided_us: int
    expires_us: int | None
    text_version: str | None
    recorded_by: str


class ConsentSpan(NamedTuple):
    """A permission in time: for what is received from ``since_us`` on, used before ``until_us``."""

    since_us: int
    until_us: int

    def covers(self, received_us: int, now_us: int) -> bool:
        """Whether what was received at ``received_us`` may be used at ``now_us``."""
        return self.since_us <= received_us and now_us < self.until_us


NOTHING: Final = ConsentSpan(0, NEVER)


class Permission(NamedTuple):
    """One user's permission for one purpose: ``rest`` for every general type that ``types`` does not name."""

    rest: ConsentSpan
    types: Mapping[str, ConsentSpan]

    def span(self, type_name: str) -> ConsentSpan:
        """The permission for one type."""
        named = self.types.get(type_name)
        if named is not None:
            return named
        return NOTHING if type_name in GUARDED else self.rest

    def complete(self, now_us: int) -> bool:
        """Whether it covers every general type at ``now_us``."""
        return now_us < self.rest.until_us and all(
            now_us < span.until_us for name, span in self.types.items() if name not in GUARDED
        )


NO_PERMISSION: Final = Permission(NOTHING, {})

Permissions = Mapping[Purpose, Mapping[str, Permission]]
"""By purpose (every one), then user; a user without a decision is absent."""

NOBODY: Final[Permissions] = {purpose: {} for purpose in PURPOSES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for one purpose and one type (None: all general ones that no other line names), and why.

    ``begins_us`` is from when on what was received is covered: ``granted_us``, or 0 where nothing can have been stored
    before. Then no clock decides, which may have been behind when an event was received.
    """

    purpose: Purpose
    type: str | None
    granted_us: int
    begins_us: int
    expires_us: int | None
    withdrawn_us: int | None
    text_version: str | None
    recorded_by: str

    def holds(self, now_us: int) -> bool:
        """Whether data may be used for it at ``now_us``."""
        return self.withdrawn_us is None and (self.expires_us is None or now_us < self.expires_us)


def standings(decisions: Iterable[ConsentDecision]) -> list[Standing]:
    """What one user's decisions, oldest first, come to: at most one line for each purpose and type."""
    held: dict[tuple[Purpose, str | None], Standing] = {}
    for decision in decisions:
        purpose = decision.purpose
        if decision.types is None:
            granted = decision.action is Action.grant
            named = GUARDED if granted else frozenset[str]()
            older = {key: held.pop(key) for key in list(held) if key[0] is purpose and key[1] not in named}
            if granted:
                first = _is_first(decision, None, held)
                rest = _granted(decision, None, older.pop((purpose, None), None), first=first)
                held[purpose, None] = rest
                # A type that was withdrawn, or granted, on its own begins at another time than the rest.
                own = {key: _granted(decision, key[1], standing) for key, standing in older.items()}
                held |= {key: standing for key, standing in own.items() if _since(standing) != _since(rest)}
            else:
                held |= {key: _withdrawn(decision, standing) for key, standing in older.items()}
            continue
        for name in decision.types:
            before = _of(held, purpose, name)
            if decision.action is Action.grant:
                held[purpose, name] = _granted(decision, name, before, first=_is_first(decision, name, held))
            elif before is not None:
                held[purpose, name] = _withdrawn(decision, before, name)
    return sorted(held.values(), key=lambda standing: (PURPOSES.index(standing.purpose), standing.type or ""))


def in_force(decisions: Iterable[ConsentDecision]) -> Permissions:
    """The permissions of every user in ``decisions``, which are in the order of their recording."""
    by_user: dict[str, list[ConsentDecision]] = {}
    for decision in decisions:
        by_user.setdefault(decision.user_id, []).append(decision)
    permissions: dict[Purpose, dict[str, Permission]] = {purpose: {} for purpose in PURPOSES}
    for user, own in by_user.items():
        rest: dict[Purpose, ConsentSpan] = {}
        types: dict[Purpose, dict[str, ConsentSpan]] = {}
        for standing in standings(own):
            if standing.type is None:
                rest[standing.purpose] = _span(standing)
            else:
                types.setdefault(standing.purpose, {})[standing.type] = _span(standing)
        for purpose in rest.keys() | types.keys():
            permissions[purpose][user] = Permission(rest.get(purpose, NOTHING), types.get(purpose, {}))
    return permissions


def _of(
    held: Mapping[tuple[Purpose, str | None], Standing], purpose: Purpose, type_name: str | None
) -> Standing | None:
    """What holds for a type: its own line, or that of the general ones."""
    own = held.get((purpose, type_name))
    return own if own is not None or type_name in GUARDED else held.get((purpose, None))


def _is_first(
    decision: ConsentDecision, type_name: str | None, held: Mapping[tuple[Purpose, str | None], Standing]
) -> bool:
    """Whether nothing of this type can have been stored before this grant: it is the one to store, or beside it."""
    if decision.purpose is Purpose.store:
        return True
    store = _of(held, Purpose.store, type_name)
    return store is not None and store.begins_us == 0 and store.granted_us == decision.decided_us


def _since(standing: Standing) -> tuple[int, int]:
    return standing.granted_us, standing.begins_us


def _granted(
    decision: ConsentDecision, type_name: str | None, before: Standing | None, *, first: bool = False
) -> Standing:
    # A grant that renews one which still holds goes on from its beginning: nothing in between falls out.
    unbroken = before is not None and before.holds(decision.decided_us)
    begins_us = 0 if before is None and first else decision.decided_us
    return Standing(
        purpose=decision.purpose,
        type=type_name,
        granted_us=before.granted_us if before is not None and unbroken else decision.decided_us,
        begins_us=before.begins_us if before is not None and unbroken else begins_us,
        expires_us=decision.expires_us,
        withdrawn_us=None,
        text_version=decision.text_version,
        recorded_by=decision.recorded_by,
    )


def _withdrawn(decision: ConsentDecision, standing: Standing, type_name: str | None = None) -> Standing:
    return Standing(
        purpose=standing.purpose,
        type=standing.type if type_name is None else type_name,
        granted_us=standing.granted_us,
        begins_us=standing.begins_us,
        expires_us=standing.expires_us,
        withdrawn_us=standing.withdrawn_us if standing.withdrawn_us is not None else decision.decided_us,
        text_version=standing.text_version,
        recorded_by=standing.recorded_by,
    )


def _span(standing: Standing) -> ConsentSpan:
    if standing.withdrawn_us is not None:
        return NOTHING
    return ConsentSpan(standing.begins_us, ALWAYS if standing.expires_us is None else standing.expires_us)
