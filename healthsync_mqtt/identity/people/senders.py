"""Which devices and users of the registry may send, for a bridge whose clients an external broker lets in."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from healthsync_mqtt.identity.people.lookup import PEOPLE
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "senders")
_MOST_CHANGES: Final = 2_000
"""More of them than this are read as a whole: that costs less than one by one."""


class SenderStanding(Enum):
    """How one stands with the registry. One that it never heard of has none."""

    active = "active"
    suspended = "suspended"
    removed = "removed"


class SenderChanges(NamedTuple):
    """What is different: by user and device, and by user. ``whole``: it is all there is, and the rest is no more.

    ``change`` is the newest change that is in it.
    """

    change: int
    devices: Mapping[tuple[str, str], SenderStanding]
    users: Mapping[str, SenderStanding]
    whole: bool = False


class SenderBook:
    """Devices that were removed stay known, until the user is erased."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def fetch(self, *, active: bool) -> SenderChanges:
        """Who may not send and, where ``active``, all devices that may, in one consistent reading."""
        with self._tables.read():
            devices = self._tables.tuples(_SQL["devices" if active else "barred_devices"])
            users = self._tables.tuples(_SQL["barred_users"])
            change = self._tables.number(PEOPLE["newest_change"])
        return SenderChanges(change, dict(map(_device, devices)), dict(map(_user, users)), whole=True)

    def since(self, change: int, *, active: bool) -> SenderChanges:
        """What is different since ``change``, active ones too; all, where that is forgotten or much.

        The cost is that of the changes.
        """
        with self._tables.read():
            newest = self._tables.number(PEOPLE["newest_change"])
            named = self._tables.tuples(_SQL["changed"], change)
            if not self._tables.number(PEOPLE["oldest_change"]) - 1 <= change <= newest or len(named) > _MOST_CHANGES:
                return self.fetch(active=active)
            devices: dict[tuple[str, str], SenderStanding] = {}
            users: dict[str, SenderStanding] = {}
            for kind, key in named:
                if kind == "principal":
                    devices |= dict(map(_device, self._tables.tuples(_SQL["device_of_client"], key)))
                else:
                    users |= dict(map(_user, self._tables.tuples(_SQL["user"], key)))
            return SenderChanges(newest, devices, users)


def _device(row: tuple[str, str, int | None, int | None]) -> tuple[tuple[str, str], SenderStanding]:
    user, device, removed_us, suspended_us = row
    return (user, device), _standing(removed_us, suspended_us)


def _user(row: tuple[str, int | None]) -> tuple[str, SenderStanding]:
    """Of a user who was removed the consents are gone, which is enough."""
    user, suspended_us = row
    return user, _standing(None, suspended_us)


def _standing(removed_us: int | None, suspended_us: int | None) -> SenderStanding:
    if removed_us is not None:
        return SenderStanding.removed
    return SenderStanding.active if suspended_us is None else SenderStanding.suspended
