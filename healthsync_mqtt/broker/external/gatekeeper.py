"""The one decision behind every access hook: who logs in, and what they may do. The same rules as the front door's."""

import hmac
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from healthsync_mqtt.broker.external.canary_world import is_canary
from healthsync_mqtt.broker.external.identities import ADMIN, own_principals
from healthsync_mqtt.broker.external.remembered_logins import Note, RememberedLogins, identity_of, rights_of
from healthsync_mqtt.errors import HealthSyncError, TokenError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.keys.store import LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.proof import Login, PerhapsNewError, Proof, UnprovedError
from healthsync_mqtt.identity.refused_counts import RefusedLoginCounts
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import AccessRules

_LOGIN_S = 86_400.0
_MOST_REMEMBERED = 1_000_000
STALE_S = 30.0
"""Nobody is let in by a registry that was last read so long ago; who is connected is promised 60 s."""


class UndecidedError(PerhapsNewError):
    """One that is refused as the registry was last read: whose login it was to be, and from where."""

    def __init__(self, error: PerhapsNewError, claimed: str, address: str) -> None:
        super().__init__(error.detail, banned=error.banned)
        self.claimed = claimed
        self.address = address


class Gatekeeper:
    """Answers for one installation. Every question that cannot be answered with yes is answered with no."""

    def __init__(
        self,
        *,
        directory: Directory,
        logins: Logins,
        keys: LiveKeys,
        store: CredentialStore,
        rules: AccessRules,
        bridges: Iterable[str],
        gateways: Iterable[str] = (),
        remembered: RememberedLogins | None = None,
        refused: RefusedLoginCounts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``refused``: where refused logins are counted, so that whoever asks why is told."""
        self.rules = rules
        self._directory = directory
        self.chain = logins
        self._keys = keys
        self._store = store
        self._own: Mapping[str, Principal] = own_principals(bridges, gateways)
        self._remembered = remembered
        self._refused = refused
        self._notes: dict[str, Note] = {}
        self._fresh: dict[str, Note] = {}
        self._logins: dict[str, Login] = {}
        self._owed: set[str] = set()
        #: whose rights are others than their session was given with
        self._shrunk: set[str] = set()
        #: whose login ended here: until they log in again they may do nothing, thrown out at the broker or not
        self._over: set[str] = set()
        self._clock = clock
        self._read_at = clock()
        if remembered is not None:
            self._recall(remembered.read(time.time()))

    def login(self, client_id: str, username: str, password: str, now: float, address: str = "") -> Login:
        """Check a login: client id and username are the same, the password is a token or credential. TokenError.

        As of ``Logins.authenticate``: UndecidedError where ``catch_up`` may change that, UnprovedError where a
        password is to be checked first. Neither is done here, for both block. ``address`` is whence it comes, where the
        broker says so; passwords wait by that, and elsewhere by name, so that nobody fills all of the line.
        """
        try:
            return self._login(client_id, username, password, now, address)
        except UnprovedError:
            raise
        except PerhapsNewError as error:
            raise UndecidedError(error, self.chain.meant(client_id, username), address) from None
        except TokenError as error:
            self._refuse(error.detail, address, self.chain.meant(client_id, username))
            raise

    def refuse(self, error: "UndecidedError") -> None:
        """A login that was not decided stays refused: nobody new is in the registry."""
        self._refuse(error.detail, error.address, error.claimed)

    def write_refused(self) -> None:
        """Write down the logins that were refused since the last time. Blocks; StoreError or UnavailableError."""
        if self._refused is not None:
            self._refused.flush()

    def _refuse(self, reason: str, address: str, claimed: str) -> None:
        if self._refused is not None:
            self._refused.note(reason, address, claimed)

    def _login(self, client_id: str, username: str, password: str, now: float, address: str) -> Login:
        if client_id != username:
            # Also what an embedded broker lets into its lobby: enrolment is its business.
            theirs = self.chain.meant(client_id, username) == username
            raise TokenError("the client id is not the user name" if theirs else "the username is not the client id")
        if self.stale:
            raise TokenError("the registry cannot be followed")
        own = self._own.get(client_id)
        secret = password.encode("utf-8", "replace")
        if own is None:
            login = self.chain.authenticate(
                Proof(client_id, username, secret, None, address or client_id), Demand.off, now
            )
        elif self._store.fits(client_id, secret):
            login = Login(principal=own, expires_at=now + _LOGIN_S, jti="credential")
        else:
            raise TokenError("the credential does not fit")
        if len(self._logins) >= _MOST_REMEMBERED:
            self._logins.clear()
        self._logins[client_id] = login
        self._over.discard(client_id)
        if self._remembered is not None and own is None:
            self._note(client_id, login, login.principal)
        return login

    def _note(self, client_id: str, login: Login, principal: Principal) -> None:
        epoch = self._directory.epoch(principal)
        rights, identity = rights_of(principal, epoch), identity_of(principal, epoch)
        self._fresh[client_id] = Note(client_id, rights, login.expires_at, login.jti, login.kid, identity)

    def is_operator(self, username: str, password: str) -> bool:
        """Whether this is the account with which revoked connections are closed at the broker."""
        known = self._store.find(ADMIN)
        return username == ADMIN and known is not None and hmac.compare_digest(known.encode(), password.encode())

    def who(self, client_id: str, username: str, now: float) -> Principal | None:
        """The principal of a connection that has logged in: registered still, its token not at its end.

        A broker that does not pass the client id gives the username twice: they were the same at the login.
        """
        if client_id != username or self.stale or client_id in self._over:
            return None
        login = self._logins.get(client_id)
        if login is not None and (login.expires_at <= now or self._revoked(login)):
            return None
        return self._own.get(client_id) or self._directory.principal(client_id)

    def may_publish(self, principal: Principal | None, topic: str, *, retain: bool = False) -> bool:
        """Whether the principal may publish there."""
        return principal is not None and self.rules.may_publish(principal, topic, retain=retain).allowed

    def may_subscribe(self, principal: Principal | None, topic_filter: str) -> bool:
        """Whether the principal may read all that the filter matches; a bridge may share its filters with others."""
        if principal is None:
            return False
        if principal.client_id in self._own and topic_filter.startswith("$share/"):
            topic_filter = topic_filter.split("/", 2)[-1]
            return not is_canary(principal.client_id) and self.rules.may_subscribe(principal, topic_filter).allowed
        return self.rules.may_subscribe(principal, topic_filter).allowed

    def refresh(self) -> frozenset[str]:
        """Read the registry again; the client ids whose right to be connected ended. ``shrunk`` are the others.

        What cannot be read is raised, after the rest was: a loose key file hides no revocation.
        """
        broken: HealthSyncError | None = None
        gone: Collection[str] = frozenset()
        for read in (self.chain.catch_up, self._directory.catch_up):
            try:
                read()
            except HealthSyncError as error:
                broken = error
        try:
            gone = self._keys.refresh(time.time_ns() // 1000)
        except HealthSyncError as error:
            broken = error
        if broken is None:
            self._read_at = self._clock()
        try:
            self._write_down()
        except HealthSyncError as error:
            broken = error
        logins = self._logins.copy()  # at once: logins go on in another thread
        losses = self._directory.lost()
        self._directory.told(losses)
        lost = {name for name, loss in losses.items() if loss.whole}
        self._shrunk |= losses.keys() - lost
        lost |= {name for name, login in logins.items() if self._revoked(login) or login.kid in gone}
        for client_id in lost:
            if self._logins.pop(client_id, None) is not None:
                self._over.add(client_id)
        self._owed |= lost
        if broken is not None:
            raise broken
        owed, self._owed = frozenset(self._owed), set()
        return owed

    def shrunk(self) -> frozenset[str]:
        """The client ids that may do something else than before, until ``settled``."""
        return frozenset(self._shrunk)

    def may_still_read(self, client_id: str, topic_filter: str) -> bool:
        """Whether a client may have what its session at the broker has: a filter, or a message on a topic."""
        return self.may_subscribe(self._directory.principal(client_id), topic_filter)

    def settled(self, client_id: str) -> None:
        """The broker holds the client to what it may now."""
        self._shrunk.discard(client_id)
        login, principal = self._logins.get(client_id), self._directory.principal(client_id)
        if self._remembered is not None and login is not None and principal is not None:
            self._note(client_id, login, principal)

    @property
    def stale(self) -> bool:
        """Whether the registry could not be followed for so long that a revocation may have been missed."""
        return self._clock() - self._read_at > STALE_S

    def _recall(self, notes: Mapping[str, Note]) -> None:
        """Logins of an earlier run: whoever may do something else by now, or nothing, is owed an eviction."""
        for name, note in notes.items():
            principal = self._directory.principal(name)
            same = principal is not None and rights_of(principal, self._directory.epoch(principal)) == note.rights
            if (
                principal is None
                or not (same or identity_of(principal, self._directory.epoch(principal)) == note.identity)
                or note.jti in self._directory.revoked_tokens
                or (note.kid is not None and note.kid not in self._keys.public)
            ):
                self._owed.add(name)
                self._over.add(name)
            else:
                if not same:
                    self._shrunk.add(name)
                self._notes[name] = note
                self._logins[name] = Login(principal=principal, expires_at=note.expires_at, jti=note.jti, kid=note.kid)

    def _write_down(self) -> None:
        """Note the logins since the last time. What is owed stays in the file until the next login of that client."""
        if self._remembered is None or not self._fresh:
            return
        fresh, self._fresh = self._fresh, {}
        self._notes |= fresh
        try:
            self._remembered.add(fresh.values(), self._notes)
        except HealthSyncError:
            self._fresh = fresh | self._fresh
            raise

    def _revoked(self, login: Login) -> bool:
        return login.jti in self._directory.revoked_tokens
