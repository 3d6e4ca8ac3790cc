"""What a caller may see of the log: its rights, and what the user has agreed to at this moment."""

import time
from collections.abc import Callable

from healthsync_mqtt.gateway.callers import Caller
from healthsync_mqtt.gateway.rules import may_read_of
from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, NOBODY, Permission, Permissions, Purpose
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.topics.access import AccessRules


class Shares:
    """The consent to share that holds now; it starts closed, and the directory brings it up to date."""

    def __init__(
        self,
        rules: AccessRules,
        permissions: Permissions = NOBODY,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._rules = rules
        self._clock_us = clock_us
        self._share: dict[str, Permission] = dict(permissions[Purpose.share])

    def replace(self, permissions: Permissions) -> None:
        """Go by a newer snapshot from now on. May be called from any thread."""
        self._share = dict(permissions[Purpose.share])

    def amend(self, permissions: Permissions) -> None:
        """Go by what these users agree to from now on. May be called from any thread."""
        self._share.update(permissions[Purpose.share])

    def shows(self, caller: Caller, record: Record) -> bool:
        """Whether an event is for the caller: its rights, and what users share; devices see their own user's."""
        principal = caller.principal
        if principal.role is Role.device:
            return may_read_of(caller, record.user)
        topic = self._rules.registry.build("canonical", user=record.user, type=record.type)
        if not self._rules.may_receive(principal, topic):
            return False
        span = self._share.get(record.user, NO_PERMISSION).span(record.type)
        return span.covers(record.received_us, self._clock_us())
