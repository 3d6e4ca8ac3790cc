"""What a caller may see of the log: its rights, and what the user has agreed to at this moment."""

import time
from collections.abc import Callable
from typing import Final

from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import may_read_of
from healthsync_mqtt.identity.consent.decisions import (
    ALWAYS,
    NO_PERMISSION,
    NOBODY,
    ConsentSpan,
    Permission,
    Permissions,
    Purpose,
)
from healthsync_mqtt.identity.people.carers import Carer
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.topics.access import AccessRules

_OWN: Final = ConsentSpan(0, ALWAYS)
"""What is the caller's own user's."""


class Shares:
    """The consent to share that holds now; it starts closed, and the directory brings it up to date."""

    def __init__(
        self,
        rules: AccessRules,
        permissions: Permissions = NOBODY,
        *,
        carer: Callable[[str, str], Carer | None] = lambda _carer, _user: None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``carer`` says what a user, named second, lets another one see."""
        self._carer = carer
        self._rules = rules
        self._clock_us = clock_us
        self._share: dict[str, Permission] = dict(permissions[Purpose.share])
        self._insights: dict[str, Permission] = dict(permissions[Purpose.insights])

    def replace(self, permissions: Permissions) -> None:
        """Go by a newer snapshot from now on. May be called from any thread."""
        self._share = dict(permissions[Purpose.share])
        self._insights = dict(permissions[Purpose.insights])

    def amend(self, permissions: Permissions) -> None:
        """Go by what these users agree to from now on. May be called from any thread."""
        self._share.update(permissions[Purpose.share])
        self._insights.update(permissions[Purpose.insights])

    def shows(self, caller: Caller, record: Record) -> bool:
        """Whether an event is for the caller: its rights, and what users share; devices see their own user's."""
        span = self.span(caller, record.user, record.type)
        return span is not None and span.covers(record.received_us, self._clock_us())

    def span(self, caller: Caller, user: str, type_name: str) -> ConsentSpan | None:
        """When what came in of a type is for the caller; None: never, whatever the user agrees to."""
        principal, person = caller.principal, caller.person
        if person is not None and person.user is not None:
            return self._of_person(person.user, user, type_name)
        if principal.role is Role.device:
            return _OWN if may_read_of(caller, user) else None
        topic = self._rules.registry.build("canonical", user=user, type=type_name)
        if not self._rules.may_receive(principal, topic):
            return None
        return self._share.get(user, NO_PERMISSION).span(type_name)

    def _of_person(self, mine: str, user: str, type_name: str) -> ConsentSpan | None:
        """A user sees the own data, and of others what each of them lets this one see."""
        if mine == user:
            return _OWN
        grant = self._carer(mine, user)
        if grant is None or not grant.sees(type_name, self._clock_us()):
            return None
        return ConsentSpan(0, grant.until_us)

    def granted(self, caller: Caller) -> str:
        """What others let a person see, as a text that is another one when that is; empty for everybody else."""
        if caller.person is None or caller.person.user is None:
            return ""
        others = sorted((caller.principal.users or frozenset()) - {caller.person.user})
        grants = (self._carer(caller.person.user, user) for user in others)
        return ";".join(["", *(f"{each.user_id}@{each.granted_us}" for each in grants if each is not None)])

    def shares(self, caller: Caller, user: str, type_name: str) -> bool:
        """Whether anything of a type may be for the caller now."""
        span = self.span(caller, user, type_name)
        return span is not None and self._clock_us() < span.until_us

    def evaluates(self, caller: Caller, user: str, type_name: str) -> bool:
        """Whether the caller may know what events of a type come to: all that it is made of has to be for it."""
        span = self.span(caller, user, type_name)
        evaluated = self._insights.get(user, NO_PERMISSION).span(type_name)
        if span is None or self._clock_us() >= min(span.until_us, evaluated.until_us):
            return False
        return span.since_us <= evaluated.since_us
