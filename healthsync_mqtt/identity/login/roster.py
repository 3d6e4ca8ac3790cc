"""What a directory holds in memory, as values: a reading of the registry, and what differs from an earlier one."""

from collections.abc import Mapping
from dataclasses import dataclass

from healthsync_mqtt.identity.consent.decisions import Permissions
from healthsync_mqtt.identity.people.records import Admin, Device, Enrolment, Family, Member, Subscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """One consistent reading: everyone who may connect (removed and suspended left out), and what users agreed to.

    ``change`` is the newest change that is in it, ``consents`` the number of the newest decision about consent;
    ``denied`` are the serial numbers of refused certificates.
    """

    generation: int
    change: int
    devices: tuple[Device, ...]
    subscribers: tuple[Subscriber, ...]
    admins: tuple[Admin, ...]
    permissions: Permissions
    consents: int
    revoked_tokens: frozenset[str]
    enrolments: tuple[Enrolment, ...]
    families: tuple[Family, ...]
    denied: frozenset[str]

    @property
    def members(self) -> tuple[Member, ...]:
        """Everyone."""
        return (*self.devices, *self.subscribers, *self.admins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What is different from an earlier reading, by client id, handle, family, token id and serial number.

    None, or False, stands for what may do nothing any more. ``permissions`` are those of the users who decided since.
    """

    generation: int
    change: int
    members: Mapping[str, Member | None]
    permissions: Permissions
    consents: int
    tokens: Mapping[str, bool]
    enrolments: Mapping[str, Enrolment | None]
    families: Mapping[str, Family | None]
    denied: Mapping[str, bool]
