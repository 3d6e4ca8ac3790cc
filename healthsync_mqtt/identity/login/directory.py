"""The directory: who may connect now, held in memory for the door.

A login costs one signature check and one dictionary look-up whatever names it gives, so its time says nothing about
which users and devices exist. The snapshot is replaced as a whole: ``refresh`` may run in a worker thread while the
event loop authenticates.
"""

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from healthsync_mqtt.errors import StoreError, TokenError
from healthsync_mqtt.identity.consent.decisions import NOBODY, Permissions
from healthsync_mqtt.identity.login.enrolment import ENROL_NAME
from healthsync_mqtt.identity.login.lobby import Lobby
from healthsync_mqtt.identity.login.tokens import Claims, TokenVerifier
from healthsync_mqtt.identity.people.records import Roster
from healthsync_mqtt.model.principal import Principal, Role

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An accepted login: who it is, when it ends (epoch seconds, exclusive), and what it was proved with."""

    principal: Principal
    expires_at: float
    #: id of the token, and of the key that signed it; None when there was none
    jti: str | None
    kid: str | None = None
    #: serial number of the client certificate, in hexadecimal; None when there was none
    serial: str | None = None
    #: handle of the one-time code; None when there was none
    enrolment: str | None = None


class RosterSource(Protocol):
    """What the directory reads; Registry is one."""

    def generation(self) -> int:
        """A number that changes with every write."""

    def roster(self) -> Roster:
        """Every principal that may connect."""


@dataclass(frozen=True, slots=True)
class _Entry:
    principal: Principal
    not_before_s: int


_Key = tuple[Role, str, str | None]
"""Role, the token's ``sub``, and its ``did`` for a device."""


class Directory:
    """The principals of a registry as they were at the last ``refresh``; the first reading happens at once.

    ``permissions`` is what users agreed to, and ``revoked_tokens`` the ids of tokens that are void: both are replaced,
    never changed, at a reading.
    """

    def __init__(self, registry: RosterSource, verifier: TokenVerifier) -> None:
        self._registry = registry
        self._verifier = verifier
        self._generation = -1
        self._entries: dict[_Key, _Entry] = {}
        self._principals: dict[str, Principal] = {}
        self._lost: dict[str, int] = {}
        self._reading = threading.Lock()
        self.lobby = Lobby(self._read_for_a_stranger)
        self.permissions: Permissions = NOBODY
        #: called with them at each reading, in the thread that reads
        self.on_permissions: Callable[[Permissions], None] = lambda _: None
        self.revoked_tokens: frozenset[str] = frozenset()
        self.refresh()

    def authenticate(self, client_id: str, username: str | None, password: bytes | None, now: float) -> Login:
        """The login that a CONNECT asks for; otherwise TokenError, the same for every cause.

        The password has to be a token valid at ``now`` (epoch seconds) and not revoked, its holder registered and
        neither removed nor suspended, and client id and username both the holder's client id. Under the username
        ``enroll`` it has to be a one-time code or a refresh token.
        """
        if username == ENROL_NAME:
            return self._enter_lobby(client_id, _text(password), now)
        claims = self._verifier.verify(_text(password), now=now)
        key = (claims.role, claims.subject, claims.device)
        entry = self._entries.get(key)
        if entry is None:
            # Registered a moment ago, perhaps. Only a token that we signed gets this far, so strangers cannot ask.
            with contextlib.suppress(StoreError):
                self.catch_up()
            entry = self._entries.get(key)
        if entry is None:
            raise TokenError("the token's holder is not registered, or was removed or suspended")
        if claims.issued_at < entry.not_before_s:
            raise TokenError("the token is older than the last removal of its device")
        if claims.jti in self.revoked_tokens:
            raise TokenError("the token is revoked")
        expected = entry.principal.client_id
        if client_id != expected:
            raise TokenError("the client id is not the token's")
        if username != expected:
            raise TokenError("the username is not the token's")
        return _login(entry.principal, claims)

    def principal(self, client_id: str) -> Principal | None:
        """Who may connect under a client id, if anybody; for logins that are proved without a token."""
        return self._principals.get(client_id)

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

    def lost(self) -> dict[str, int]:
        """The client ids whose right to be connected ended or changed, until ``told`` is called with them."""
        return self._lost.copy()

    def told(self, lost: Mapping[str, int]) -> None:
        """These losses had their effect; one that came after ``lost`` was taken stays."""
        for client_id, generation in lost.items():
            if self._lost.get(client_id) == generation:
                del self._lost[client_id]

    def catch_up(self) -> None:
        """Read again if the registry has changed; what was lost is in ``lost``."""
        with self._reading:
            if self._registry.generation() == self._generation:
                return
            roster = self._registry.roster()
            entries = _entries(roster)
            self._lost |= {
                entry.principal.client_id: roster.generation
                for key, entry in self._entries.items()
                if entries.get(key) != entry
            }
            self._entries = entries
            self._principals = {entry.principal.client_id: entry.principal for entry in entries.values()}
            self.permissions = roster.permissions
            self.on_permissions(roster.permissions)
            self.revoked_tokens = roster.revoked_tokens
            self.lobby.replace(roster.enrolments, roster.families)
            self._generation = roster.generation

    def _enter_lobby(self, client_id: str, secret: str, now: float) -> Login:
        guest = self.lobby.admit(client_id, secret, now)
        if guest.family is not None and (Role.device, guest.user_id, guest.device_id) not in self._entries:
            raise TokenError("the refresh token's device was removed or suspended")
        principal = Principal(role=Role.enroll, client_id=client_id)
        return Login(principal=principal, expires_at=guest.expires_at, jti=None, enrolment=guest.handle)

    def _read_for_a_stranger(self) -> None:
        with contextlib.suppress(StoreError):
            self.catch_up()


def _entries(roster: Roster) -> dict[_Key, _Entry]:
    entries = {_key(device.principal): _Entry(device.principal, device.not_before_s) for device in roster.devices}
    others = [holder.principal for holder in roster.subscribers] + [holder.principal for holder in roster.admins]
    return entries | {_key(principal): _Entry(principal, 0) for principal in others}


def _key(principal: Principal) -> _Key:
    subject = principal.user if principal.role is Role.device and principal.user else principal.client_id
    return principal.role, subject, principal.device


def _login(principal: Principal, claims: Claims) -> Login:
    return Login(principal=principal, expires_at=claims.expires_at, jti=claims.jti, kid=claims.kid)


def _text(password: bytes | None) -> str:
    if password is None:
        raise TokenError("there is no password")
    try:
        return password.decode("ascii")
    except UnicodeDecodeError:
        raise TokenError("the password is not ASCII") from None
