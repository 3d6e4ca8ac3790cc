"""The directory: who may connect now, held in memory for the door.

A look at it costs one dictionary look-up whatever names it is given, so its time says nothing about which users and
devices exist. A change of the registry costs the size of the change: only what is different is read. ``catch_up`` may
run in a worker thread while the event loop looks: each entry is replaced whole.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from healthsync_mqtt.identity.consent.decisions import Permissions
from healthsync_mqtt.identity.login.lobby import Lobby
from healthsync_mqtt.identity.login.roster import Delta, Roster
from healthsync_mqtt.identity.people.records import Device, Member
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.principal import Principal, Role


class RosterSource(Protocol):
    """What the directory reads; Registry is one."""

    def generation(self) -> int:
        """A number that changes with every write."""

    def histories(self) -> int:
        """A number that changes where changes that were read may be undone, and others have their numbers."""

    def roster(self) -> Roster:
        """Every principal that may connect."""

    def since(self, change: int, consents: int) -> Delta | None:
        """What is different since a reading; None when everything is to be read."""


class Agreements(Protocol):
    """Who goes by what users agreed to. Called in the thread that reads."""

    def replace(self, permissions: Permissions) -> None:
        """All of what everybody agrees to."""

    def amend(self, permissions: Permissions) -> None:
        """These users agree to something else than before; of all others nothing has changed."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Who may connect, and which tokens are good: of ``epoch``; of those that name none, from ``not_before_s`` on."""

    principal: Principal
    epoch: int
    not_before_s: int = 0
    secret: str = ""
    """What is kept of an app's password; "": it is no app."""

    def takes(self, epoch: int | None, issued_at: int) -> bool:
        """Whether a token of that epoch, issued at that second, is not from before a revocation."""
        if epoch is not None:
            return epoch >= self.epoch
        return self.epoch == 0 and issued_at >= self.not_before_s


class Loss(NamedTuple):
    """A right to be connected that ended, or became another, at a generation of the registry."""

    generation: int
    whole: bool
    """It ended: removed, suspended, its credentials revoked, or nothing is left to read. Else it is still connected by
    right, and may read something else than before."""


_Key = tuple[Role, str, str | None]
"""Role, the token's ``sub``, and its ``did`` for a device."""


class Directory:
    """The principals of a registry as they were at the last ``catch_up``; the first reading happens at once.

    ``revoked_tokens`` are the ids of tokens that are void, ``denied`` the serial numbers of certificates that are
    refused: both are replaced, never changed, at a reading.
    """

    def __init__(
        self, registry: RosterSource, *, agreements: Agreements | None = None, residents: Iterable[Principal] = ()
    ) -> None:
        """``agreements`` hears what users agreed to, at once and when that has changed.

        ``residents`` may connect though the registry knows nothing of them; whoever has such a name there goes first.
        """
        self._registry = registry
        self._residents = {principal.client_id: principal for principal in residents}
        self._generation = -1
        self._histories = 0
        self._change = -1
        self._consents = 0
        self._entries: dict[_Key, Membership] = {}
        self._principals: dict[str, Principal] = {}
        self._lost: dict[str, Loss] = {}
        self._reading = threading.Lock()
        self.lobby = Lobby(self)
        self._agreements = agreements
        self.revoked_tokens: frozenset[str] = frozenset()
        self.denied: frozenset[str] = frozenset()
        self.refresh()

    def entry(self, role: Role, subject: str, device: str | None) -> Membership | None:
        """The entry of whom a token names: role, ``sub``, and ``did`` for a device."""
        return self._entries.get((role, subject, device))

    def has_device(self, user: str, device: str) -> bool:
        """Whether this user has this device now, neither removed nor suspended."""
        return (Role.device, user, device) in self._entries

    def principal(self, client_id: str) -> Principal | None:
        """Who may connect under a client id, if anybody; for logins that are proved without a token."""
        return self._principals.get(client_id) or self._residents.get(client_id)

    def secret(self, client_id: str) -> str:
        """What is kept of the password of an app; "" for whoever is none."""
        principal = self._principals.get(client_id)
        entry = None if principal is None else self._entries.get(_key(principal))
        return "" if entry is None else entry.secret

    def declared(self, user: str, device: str) -> Declared:
        """What the login of a device says of its messages."""
        entry = self._entries.get((Role.device, user, device))
        return NOTHING_DECLARED if entry is None else entry.principal.declared

    def epoch(self, principal: Principal) -> int:
        """The epoch from which on what was issued to the principal is good."""
        entry = self._entries.get(_key(principal))
        return 0 if entry is None else entry.epoch

    def is_active(self, principal: Principal) -> bool:
        """Whether this very principal, with these rights, may be connected now."""
        entry = self._entries.get(_key(principal))
        return entry is not None and entry.principal == principal

    def refresh(self) -> frozenset[str]:
        """Read again if the registry has changed.

        Returns the client ids whose right to be connected ended or changed since the last call.

        Blocks for a file read: it is called from a worker thread. StoreError leaves the last snapshot in use.
        """
        self.catch_up()
        lost = self.lost()
        self.told(lost)
        return frozenset(lost)

    def lost(self) -> dict[str, Loss]:
        """The client ids whose right to be connected ended or changed, until ``told`` is called with them."""
        return self._lost.copy()

    def told(self, lost: Mapping[str, Loss]) -> None:
        """These losses had their effect; one that came after ``lost`` was taken stays."""
        for client_id, loss in lost.items():
            if self._lost.get(client_id) == loss:
                del self._lost[client_id]

    def catch_up(self) -> None:
        """Read again what the registry says has changed; what was lost is in ``lost``. Blocks; StoreError."""
        with self._reading:
            generation, histories = self._registry.generation(), self._registry.histories()
            if generation == self._generation and histories == self._histories:
                return
            delta = None
            if self._change >= 0 and histories == self._histories:
                delta = self._registry.since(self._change, self._consents)
            if delta is None or self._registry.histories() != histories:
                histories = self._registry.histories()
                self._replace(self._registry.roster())
            else:
                self._follow(delta)
            self._histories = histories

    # -- inside ``catch_up``

    def _replace(self, roster: Roster) -> None:
        entries = _entries(roster.members)
        for key, entry in self._entries.items():
            if (new := entries.get(key)) != entry:
                self._lose(entry, new, roster.generation)
        self._entries = entries
        self._principals = {entry.principal.client_id: entry.principal for entry in entries.values()}
        self.revoked_tokens, self.denied = roster.revoked_tokens, roster.denied
        self.lobby.replace(roster.enrolments, roster.families)
        if self._agreements is not None:
            self._agreements.replace(roster.permissions)
        self._has_read(roster)

    def _follow(self, delta: Delta) -> None:
        for client_id, member in delta.members.items():
            before = self._principals.get(client_id)
            old = None if before is None else self._entries.get(_key(before))
            new = None if member is None else _entry(member)
            if old == new:
                continue
            if old is not None:
                self._lose(old, new, delta.generation)
            if new is None or (before is not None and _key(before) != _key(new.principal)):
                if before is not None:
                    self._entries.pop(_key(before), None)
                self._principals.pop(client_id, None)
            if new is not None:
                self._entries[_key(new.principal)] = new
                self._principals[client_id] = new.principal
        self.revoked_tokens = _changed(self.revoked_tokens, delta.tokens)
        self.denied = _changed(self.denied, delta.denied)
        self.lobby.follow(delta.enrolments, delta.families)
        if self._agreements is not None and any(delta.permissions.values()):
            self._agreements.amend(delta.permissions)
        self._has_read(delta)

    def _lose(self, old: Membership, new: Membership | None, generation: int) -> None:
        client_id = old.principal.client_id
        before = self._lost.get(client_id)
        self._lost[client_id] = Loss(generation, _ended(old, new) or (before is not None and before.whole))

    def _has_read(self, reading: Roster | Delta) -> None:
        self._generation, self._change, self._consents = reading.generation, reading.change, reading.consents


def _ended(old: Membership, new: Membership | None) -> bool:
    """Whether nothing is left of a right: neither its credentials, nor whom it was for, nor anything to read."""
    if new is None or _key(new.principal) != _key(old.principal):
        return True
    if (new.epoch, new.not_before_s, new.secret) != (old.epoch, old.not_before_s, old.secret):
        return True
    return _reads(old.principal) and not _reads(new.principal)


def _reads(principal: Principal) -> bool:
    """Whether there is anybody, and anything, that a principal may read; a device reads its own."""
    return principal.users != frozenset() and (principal.types != frozenset() or principal.role is Role.adapter)


def _entries(members: Iterable[Member]) -> dict[_Key, Membership]:
    return {_key(entry.principal): entry for entry in map(_entry, members)}


def _entry(member: Member) -> Membership:
    if not isinstance(member, Device):
        return Membership(member.principal, member.token_epoch)
    secret = "" if member.app is None else member.app.secret
    return Membership(member.principal, member.token_epoch, member.not_before_s, secret)


def _key(principal: Principal) -> _Key:
    subject = principal.user if principal.role is Role.device and principal.user else principal.client_id
    return principal.role, subject, principal.device


def _changed(names: frozenset[str], changes: Mapping[str, bool]) -> frozenset[str]:
    """The set with the names that are now in it and without those that are not; the same object without a change."""
    inside = {name for name, is_in in changes.items() if is_in}
    changed = (names | inside) - (changes.keys() - inside)
    return names if changed == names else changed
