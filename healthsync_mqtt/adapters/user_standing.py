"""Whether anything of a user may be fetched: who is gone is not, nor who consents to nothing."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.registry import Registry

_LASTS_US: Final = 1_000_000
_MOST_KNOWN: Final = 10_000


class UserStanding(StrEnum):
    """What holds for a user now."""

    here = "here"
    #: all that is fetched would be refused
    held = "held"
    #: removed or erased: the links are over
    gone = "gone"


class People(Protocol):
    """Who knows the users. Asked before each question to a provider and each message to the broker."""

    def standing(self, user: str) -> UserStanding:
        """What holds now. StoreError."""
        ...

    def version(self) -> int:
        """Another number when anything may hold for anybody that did not. StoreError."""
        ...


class RegisteredPeople:
    """The users of an installation (``People``)."""

    def __init__(self, registry: Registry, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._registry = registry
        self._now_us = now_us
        #: what was found by the registry as it was then, and when: it is asked before each question and each message
        self._known: dict[str, tuple[int, UserStanding]] = {}
        self._of = -1

    def version(self) -> int:
        """See ``People``."""
        return self._registry.generation()

    def standing(self, user: str) -> UserStanding:
        """See ``People``."""
        now, version = self._now_us(), self._registry.generation()
        if version != self._of or len(self._known) >= _MOST_KNOWN:
            self._known.clear()
            self._of = version
        at_us, known = self._known.get(user, (0, UserStanding.gone))
        if not at_us <= now < at_us + _LASTS_US:  # a consent ends by the clock, too
            known = self._found(user, now)
            self._known[user] = (now, known)
        return known

    def _found(self, user: str, now: int) -> UserStanding:
        try:
            self._registry.user(user)
        except NotFoundError:
            return UserStanding.gone
        held = self._registry.consent.standings(user)
        stored = any(each.purpose is Purpose.store and each.holds(now) for each in held)
        return UserStanding.here if stored else UserStanding.held
