"""The lobby: clients that hold a one-time code or a refresh token, and may do nothing yet but exchange it.

Judged in memory, like every login. Wrong codes are counted here at once and written down by who asks for ``tries``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.enrolment import (
    ENROL_NAME,
    ENROL_PREFIX,
    GRACE_US,
    MAX_TRIES,
    fits,
    handle_of,
    normal_code,
)
from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, PerhapsNewError, Proof
from healthsync_mqtt.identity.login.refresh import PREFIX, family_of, is_genuine
from healthsync_mqtt.identity.people.records import Enrolment, Family
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.grammar import is_id

STAY_S: Final = 60.0
"""How long a client may stay in the lobby."""

_MOST_HANDLES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who was let in: by the code with ``handle``, or by a refresh token of ``family``; until when (epoch seconds)."""

    user_id: str
    device_id: str
    handle: str | None
    family: str | None
    expires_at: float


class Members(Protocol):
    """Who may connect, as the directory knows it."""

    def entry(self, role: Role, subject: str, device: str | None) -> object | None:
        """Something, when this device may."""


class Lobby:
    """Open codes and living families, as they were at the last reading of the registry. A link of the login chain."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._enrolments: dict[str, Enrolment] = {}
        self._families: dict[str, Family] = {}
        self._tries: dict[str, int] = {}
        self._untold: set[str] = set()
        self._asked_again: dict[tuple[str, str], str] = {}

    def replace(self, enrolments: Iterable[Enrolment], families: Iterable[Family]) -> None:
        """The registry was read."""
        self._enrolments = {enrolment.handle: enrolment for enrolment in enrolments}
        self._families = {family.family: family for family in families}

    def follow(self, enrolments: Mapping[str, Enrolment | None], families: Mapping[str, Family | None]) -> None:
        """These are what they are here; None: gone."""
        for handle, enrolment in enrolments.items():
            if enrolment is None:
                self._enrolments.pop(handle, None)
            else:
                self._enrolments[handle] = enrolment
        for name, family in families.items():
            if family is None:
                self._families.pop(name, None)
            else:
                self._families[name] = family

    def answer(self, proof: Proof, now: float) -> Answer:
        """For the username ``enroll``: its password has to be a one-time code or a refresh token."""
        if proof.username != ENROL_NAME:
            return None
        try:
            guest = self.admit(proof.client_id, proof.secret(), now)
        except PerhapsNewError as error:
            return Denied(error.detail, perhaps_new=True)
        except TokenError as error:
            return Denied(error.detail)
        principal = Principal(role=Role.enroll, client_id=proof.client_id)
        return Login(principal=principal, expires_at=guest.expires_at, jti=None, enrolment=guest.handle)

    def admit(self, client_id: str, secret: str, now: float) -> Guest:
        """Let a client in; TokenError for every other input, the same for every cause."""
        if not client_id.startswith(ENROL_PREFIX) or not is_id(client_id):
            raise TokenError("the client id is not one for enrolment")
        if secret.startswith(PREFIX):
            return self._by_token(secret, now)
        code = normal_code(secret)
        if code is None:
            raise TokenError("the password is neither a code nor a refresh token")
        return self._by_code(code, now, client_id)

    def arrived(self, principal: Principal) -> None:
        """A device logged in with what it got: its code is good for nothing any more."""
        if self._asked_again and principal.user is not None and principal.device is not None:
            handle = self._asked_again.pop((principal.user, principal.device), None)
            if handle is not None:
                self._enrolments.pop(handle, None)

    def tries(self) -> dict[str, int]:
        """Handles whose number of wrong codes is to be written down, with that number, until ``told``."""
        return {handle: self._tries[handle] for handle in self._untold.copy() if handle in self._tries}

    def told(self, tries: Mapping[str, int]) -> None:
        """These numbers are written down; a handle that was tried again since stays."""
        self._untold -= {handle for handle, number in tries.items() if self._tries.get(handle) == number}

    def take_tries(self) -> dict[str, int]:
        """``tries`` and ``told`` in one."""
        changed = self.tries()
        self.told(changed)
        return changed

    def _by_code(self, code: str, now: float, client_id: str) -> Guest:
        handle = handle_of(code)
        enrolment = self._enrolments.get(handle)
        if enrolment is None:
            # Printed a moment ago, perhaps. Strangers may say so too: ``Newcomers`` reads for all of them together.
            raise PerhapsNewError("no open enrolment has this code")
        if now * 1_000_000 >= enrolment.expires_us:
            raise TokenError("the code has expired")
        tries = max(enrolment.tries, self._tries.get(handle, 0))
        if tries >= MAX_TRIES:
            raise TokenError("the code is locked: too many wrong ones")
        if not fits(enrolment, code):
            self._count(handle, tries + 1)
            raise TokenError("the code is wrong")
        if enrolment.used_us is not None:
            if enrolment.used_by != client_id or not 0 <= now * 1_000_000 - enrolment.used_us <= GRACE_US:
                raise TokenError("the code was used")
            self._asked_again[enrolment.user_id, enrolment.device_id] = handle
        return Guest(
            user_id=enrolment.user_id,
            device_id=enrolment.device_id,
            handle=handle,
            family=None,
            expires_at=min(now + STAY_S, enrolment.expires_us / 1_000_000),
        )

    def _by_token(self, token: str, now: float) -> Guest:
        name = family_of(token)
        family = self._families.get(name) if name is not None else None
        if family is None or not is_genuine(token, family.tag_key):
            raise TokenError("no refresh token of a living family")
        if now * 1_000_000 >= family.expires_us:
            raise TokenError("the refresh token's family has ended")
        if self._members.entry(Role.device, family.user_id, family.device_id) is None:
            raise TokenError("the refresh token's device was removed or suspended")
        return Guest(
            user_id=family.user_id,
            device_id=family.device_id,
            handle=None,
            family=family.family,
            expires_at=now + STAY_S,
        )

    def _count(self, handle: str, tries: int) -> None:
        if len(self._tries) >= _MOST_HANDLES:
            self._tries = {known: number for known, number in self._tries.items() if known in self._enrolments}
        self._tries[handle] = tries
        self._untold.add(handle)
