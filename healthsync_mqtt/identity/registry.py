# long: one book of books; the verbs that touch several kinds of rows are here
"""The registry: users and their consents, devices, subscribers, admins (registry.db, or PostgreSQL: ``registry.url``).

Several processes use it at once: the service reads, each CLI command writes. Every write is one transaction that also
raises ``generation``, which is what the others poll. Ids are checked here, where they are minted (threat T11).
"""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple, Self

from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.identity.audit.outbox import AuditOutbox
from healthsync_mqtt.identity.certificates.book import CertificateBook
from healthsync_mqtt.identity.consent.book import ConsentBook
from healthsync_mqtt.identity.consent.decisions import USUAL_PURPOSES, Purpose
from healthsync_mqtt.identity.login.adapters import ADAPTERS
from healthsync_mqtt.identity.login.enrolment import ENROL_NAME, ENROL_PREFIX, Enrolments
from healthsync_mqtt.identity.login.gateway import GATEWAY, GATEWAY_NAMES
from healthsync_mqtt.identity.login.refresh import RefreshTokens
from healthsync_mqtt.identity.login.refused_logins import RefusedLoginBook
from healthsync_mqtt.identity.login.roster import Delta, Roster
from healthsync_mqtt.identity.people.apps import AppBook
from healthsync_mqtt.identity.people.carers import CarerBook
from healthsync_mqtt.identity.people.dashboards import DashboardBook
from healthsync_mqtt.identity.people.erasures import ErasureBook
from healthsync_mqtt.identity.people.lookup import (
    PEOPLE,
    admin_of,
    any_app,
    any_device,
    any_subscriber,
    any_user,
    device_of,
    epoch_of,
    member_of,
    subscriber_from,
    subscriber_of,
    user_of,
)
from healthsync_mqtt.identity.people.names import (
    check_id,
    checked_names,
    checked_title,
    checked_types,
    dump_names,
    refuse_kept,
)
from healthsync_mqtt.identity.people.opening import open_tables
from healthsync_mqtt.identity.people.passkeys import PasskeyBook
from healthsync_mqtt.identity.people.records import Admin, Device, Subscriber, User
from healthsync_mqtt.identity.people.revocation import Revocation, after, end_families, raise_epoch
from healthsync_mqtt.identity.people.senders import SenderBook
from healthsync_mqtt.identity.people.sessions import SessionBook, SessionRole
from healthsync_mqtt.identity.people.sightings import SightingBook
from healthsync_mqtt.identity.people.sources import SourceBook
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.people.webhooks import WebhookBook
from healthsync_mqtt.model.erasure import PersonErasure
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.grammar import ID_MAX

_MOST_CHANGES: Final = 2_000
"""More of them than this are read as a whole: that costs less than one by one."""


_DEVICE_COLUMNS: Final = (
    "user_id", "device_id", "client_id", "created_us", "removed_us", "not_before_s", "suspended_us", "token_epoch",
)  # fmt: skip
"""What ``active_devices`` selects."""
_CLIENT_ID: Final = _DEVICE_COLUMNS.index("client_id")
_LONG_AGO_US: Final = 0
_ALL: Final = 1 << 62


class _Change(NamedTuple):
    """What a transaction has changed: a principal, user, token, … by its key."""

    kind: str
    key: str


class Registry:
    """An open registry. Calls block for a file read or one fsync; they may come from any thread, one runs at a time."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.certificates = CertificateBook(tables)
        self.consent = ConsentBook(tables)
        self.revocation = Revocation(tables)
        self.enrolments = Enrolments(tables)
        self.refresh_tokens = RefreshTokens(tables)
        self.refused_logins = RefusedLoginBook(tables)
        self.audit_outbox = AuditOutbox(tables)
        self.sightings = SightingBook(tables)
        self.senders = SenderBook(tables)
        self.dashboards = DashboardBook(tables)
        self.sources = SourceBook(tables)
        self.apps = AppBook(tables)
        self.sessions = SessionBook(tables)
        self.passkeys = PasskeyBook(tables)
        self.carers = CarerBook(tables)
        self.webhooks = WebhookBook(tables)
        self.erasures = ErasureBook(tables)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create, on the server of the settings where they name one: see ``open_tables``."""
        return cls(open_tables(path))

    def close(self) -> None:
        """Close it; later calls fail."""
        self._tables.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def write(self, *, quiet: bool = False) -> AbstractContextManager[None]:
        """Several calls as one durable transaction: all of them or none. ``quiet``: no directory has to hear of it."""
        return self._tables.write(quiet=quiet)

    def generation(self) -> int:
        """A number that no other write has, of any process; about 20 µs."""
        return self._tables.generation()

    def histories(self) -> int:
        """How often a standby took over, or a backup: what ``since`` says then is of changes that nobody has read."""
        return self._tables.histories()

    # Users

    def add_user(
        self,
        user_id: str,
        consent: str | Iterable[str] | None,
        now_us: int,
        *,
        purposes: Iterable[Purpose] = USUAL_PURPOSES,
        recorded_by: str = "cli",
    ) -> User:
        """Add a user with its first consent ("all" or "*", type names, or None for none). ConflictError when it exists.

        The names are canonical type names; whoever takes them from a person resolves aliases first. One who was removed
        may be added again: the data is the same person's, its devices and consents do not come back.
        """
        with self._tables.write():
            known = any_user(self._tables, user_id)
            refuse_kept(user_id)
            if known is None:
                self._tables.insert("users", {"id": user_id, "created_us": now_us})
            elif known.removed_us is None:
                raise ConflictError(f"the user {user_id} exists already", hint=f"healthsync user show {user_id}")
            else:
                self._tables.update("users", user_id, {"created_us": now_us, "suspended_us": None, "removed_us": None})
            if consent is not None:
                self.consent.grant(user_id, consent, now_us, purposes=purposes, recorded_by=recorded_by)
        return User(id=user_id, created_us=now_us)

    def users(self, *, after: str = "", limit: int = _ALL) -> list[User]:
        """Users who were not removed, by id: all of them, or the next ones behind an id."""
        return self._tables.records(User, PEOPLE["users"], after, limit)

    def user(self, user_id: str) -> User:
        """One user; NotFoundError."""
        return user_of(self._tables, user_id)

    def user_once(self, user_id: str) -> User:
        """One user, removed or not; NotFoundError."""
        found = any_user(self._tables, user_id)
        return self.user(user_id) if found is None else found

    def remove_user(self, user_id: str, now_us: int, *, recorded_by: str = "cli") -> User:
        """End a user's devices and consents; what is stored stays. NotFoundError; returns what it was."""
        with self._tables.write():
            user = self.user(user_id)
            for device in self.devices(user_id):
                self.remove_device(user_id, device.device_id, now_us)
            self.enrolments.forget(user_id)
            if self.consent.history(user_id):
                self.consent.withdraw(user_id, "*", now_us, recorded_by=recorded_by)
            self._tables.update("users", user_id, {"removed_us": now_us})
            return user

    def erase(
        self, user_id: str, now_us: int, *, recorded_by: str = "erasure", erasure_id: str | None = None
    ) -> PersonErasure:
        """End a user's devices and consents, and begin to erase the user, in one transaction; see ``model.erasure``.

        An erasure that is under way is that one. NotFoundError, but with the id of a ledger's: only the log may know
        the user then.
        """
        with self._tables.write():
            known = any_user(self._tables, user_id)
            if known is None and erasure_id is not None:
                self._tables.insert("users", {"id": user_id, "created_us": 0, "removed_us": now_us})
            elif known is not None and known.removed_us is None:
                self.remove_user(user_id, now_us, recorded_by=recorded_by)
            return self.erasures.begin(user_id, now_us, id=erasure_id)

    # Devices

    def add_device(self, user_id: str, device_id: str, now_us: int) -> Device:
        """Add a device of an existing user, or bring a removed one back: same client id, its older tokens void."""
        check_id("device id", device_id)
        with self._tables.write():
            self.user(user_id)
            known = any_device(self._tables, user_id, device_id)
            if known is None:
                client_id = self._mint(user_id, device_id)
                self._claim(client_id, Role.device)
                self._tables.insert(
                    "devices",
                    {
                        "user_id": user_id,
                        "device_id": device_id,
                        "client_id": client_id,
                        "created_us": now_us,
                        "removed_us": None,
                        "not_before_s": 0,
                    },
                )
            elif known.removed_us is None:
                app = any_app(self._tables, known.client_id)
                again = "device token" if app is None else "app rotate"
                raise ConflictError(
                    f"the {'device' if app is None else 'app'} {device_id} of {user_id} exists already",
                    hint=f"healthsync {again} {user_id} {device_id}",
                )
            else:
                raise_epoch(self._tables, known.client_id)
                self._tables.update(
                    "devices",
                    (user_id, device_id),
                    {
                        "created_us": now_us,
                        "removed_us": None,
                        "suspended_us": None,
                        "not_before_s": max(known.not_before_s, after(max(now_us, known.removed_us))),
                    },
                )
            return self.device(user_id, device_id)

    def devices(self, user_id: str | None = None, *, removed: bool = False) -> list[Device]:
        """The devices of one user or of all, by user and device; with ``removed`` also those that were removed."""
        with self._tables.read():
            if user_id is not None and not (removed and any_user(self._tables, user_id)):
                self.user(user_id)
            return self._tables.records(Device, PEOPLE["devices"], user_id, removed)

    def device(self, user_id: str, device_id: str) -> Device:
        """One device that was not removed; NotFoundError."""
        with self._tables.read():
            return device_of(self._tables, user_id, device_id)

    def rename_device(self, user_id: str, device_id: str, title: str) -> Device:
        """Say what people call a device; "" takes that away. Nothing else of it changes. NotFoundError, InputError."""
        kept = checked_title(title)
        with self._tables.write(quiet=True):
            self.device(user_id, device_id)
            self._tables.update("devices", (user_id, device_id), {"title": kept})
            return self.device(user_id, device_id)

    def remove_device(self, user_id: str, device_id: str, now_us: int) -> Device:
        """Take away a device's right to connect; its data and its name stay. NotFoundError; returns what it was."""
        with self._tables.write():
            device = self.device(user_id, device_id)
            self._tables.update("devices", (user_id, device_id), {"removed_us": now_us, "title": None})
            end_families(self._tables, user_id, device_id, now_us, "device removed")
            return device

    # Subscribers and admins

    def add_subscriber(
        self,
        name: str,
        users: str | Iterable[str] | None,
        types: str | Iterable[str] | None,
        now_us: int,
        *,
        batches: bool = False,
    ) -> Subscriber:
        """Add a reader of the given users and types, or bring a removed one back.

        "*" or None are all users, and all general types; beside ``*`` the others may be named.

        Users may be added after it. ConflictError when the name is taken.
        """
        check_id("subscriber name", name)
        subscriber = Subscriber(
            name=name,
            users=checked_names("user id", users),
            types=checked_types(types),
            created_us=now_us,
            batches=batches,
        )
        row = {
            "users": dump_names(subscriber.users),
            "types": dump_names(subscriber.types),
            "created_us": now_us,
            "batches": int(batches),
        }
        with self._tables.write():
            known = any_subscriber(self._tables, name)
            if known is None or known.removed_us is None:
                self._claim(name, Role.subscriber)
                self._tables.insert("subscribers", {"name": name} | row)
            else:
                raise_epoch(self._tables, name)
                self._tables.update("subscribers", name, row | {"suspended_us": None, "removed_us": None})
            return self.subscriber(name)

    def subscribers(self) -> list[Subscriber]:
        """All subscribers that were not removed, by name."""
        return self._tables.records(subscriber_from, PEOPLE["subscribers"])

    def subscriber(self, name: str) -> Subscriber:
        """One subscriber; NotFoundError."""
        return subscriber_of(self._tables, name)

    def remove_subscriber(self, name: str, now_us: int) -> Subscriber:
        """Take away a subscriber's right to connect; its name stays its own. NotFoundError; returns what it was."""
        with self._tables.write():
            subscriber = self.subscriber(name)
            self._tables.update("subscribers", name, {"removed_us": now_us})
            return subscriber

    def add_admin(self, name: str, now_us: int) -> Admin:
        """Add an operator, or bring a removed one back: the older tokens stay void. ConflictError."""
        check_id("admin name", name)
        with self._tables.write():
            if not self._tables.column(str, PEOPLE["former_admin"], name):
                self._claim(name, Role.admin)
            self._tables.insert("admins", {"name": name, "created_us": now_us})
            return self.admin(name)

    def admin(self, name: str) -> Admin:
        """One admin; NotFoundError."""
        return admin_of(self._tables, name)

    def remove_admin(self, name: str, now_us: int) -> Admin:
        """End an admin's tokens, links and sessions. NotFoundError; returns what it was."""
        with self._tables.write():
            admin = self.admin(name)
            raise_epoch(self._tables, name)
            self._tables.delete("admins", "name = ?", name)
            self.sessions.end_all(SessionRole.admin, name, now_us, "admin removed")
            self.passkeys.remove_all(SessionRole.admin, name)
            return admin

    def admins(self) -> list[Admin]:
        """All admins, by name."""
        return self._tables.records(Admin, PEOPLE["admins"])

    # What directories hold in memory

    def token_epoch(self, client_id: str) -> int:
        """The epoch that a token or certificate of this principal has to name; 0 for a name that nobody has."""
        return epoch_of(self._tables, client_id) or 0

    def roster(self) -> Roster:
        """What a directory holds in memory, and the generation it belongs to, in one consistent reading."""
        with self._tables.read():  # rows only: nobody can write meanwhile
            generation, change = self._tables.generation(), self._tables.number(PEOPLE["newest_change"])
            devices = self._tables.tuples(PEOPLE["active_devices"])
            consents = self.consent.fetch()
            subscribers, admins, apps = self.subscribers(), self.admins(), self.apps.all()
            revoked_tokens, denied = self.revocation.revoked(), self.certificates.denied()
            # Whatever the time is: a clock that is ahead today must not cost a login when it is right tomorrow.
            enrolments, families = self.enrolments.open(_LONG_AGO_US), self.refresh_tokens.live(_LONG_AGO_US)
        return Roster(
            generation=generation,
            change=change,
            devices=tuple(
                Device(**dict(zip(_DEVICE_COLUMNS, row, strict=True)), app=apps.get(row[_CLIENT_ID])) for row in devices
            ),
            subscribers=tuple(each for each in subscribers if each.suspended_us is None),
            admins=tuple(admins),
            permissions=self.consent.settled(consents),
            consents=consents.newest,
            revoked_tokens=revoked_tokens,
            enrolments=tuple(enrolments),
            families=tuple(families),
            denied=denied,
        )

    def since(self, change: int, consents: int) -> Delta | None:
        """What is different since ``change``, and since decision ``consents`` about consent.

        None when it is so much, or so long ago, that ``roster`` is to be read.
        The cost is that of the changes, however many users there are.
        """
        with self._tables.read():
            newest = self._tables.number(PEOPLE["newest_change"])
            if not self._tables.number(PEOPLE["oldest_change"]) - 1 <= change <= newest:
                return None  # forgotten, or of another file
            named: dict[str, set[str]] = {}
            for each in self._tables.records(_Change, PEOPLE["changes"], change):
                named.setdefault(each.kind, set()).add(each.key)
            if sum(map(len, named.values())) > _MOST_CHANGES:
                return None
            clients = named.get("principal", set())
            for user in named.get("user", ()):
                clients.update(self._tables.column(str, PEOPLE["client_ids_of_user"], user))
            amended = self.consent.amended(consents)
            if amended.whole:
                return None
            return Delta(
                generation=self._tables.generation(),
                change=newest,
                members={client: member_of(self._tables, client) for client in clients},
                permissions=amended.permissions,
                consents=amended.newest,
                tokens={jti: self.revocation.is_revoked(jti) for jti in named.get("token", ())},
                enrolments={handle: self.enrolments.find(handle) for handle in named.get("enrolment", ())},
                families={family: self.refresh_tokens.find(family) for family in named.get("family", ())},
                denied=self.certificates.denied_among(named.get("certificate", ()), clients),
            )

    def _claim(self, client_id: str, role: Role) -> None:
        if client_id == ENROL_NAME or client_id.startswith(ENROL_PREFIX):
            raise ConflictError(f"names that start with {ENROL_PREFIX} are kept for enrolment", hint="choose another")
        if self._taken(client_id):
            raise ConflictError(f"the name {client_id} is taken by another principal", hint="choose another name")
        epoch = self.erasures.epoch_of_erased(client_id)
        self._tables.insert("principals", {"client_id": client_id, "role": role.value, "token_epoch": epoch})

    def _taken(self, client_id: str) -> bool:
        kept = client_id in {GATEWAY.client_id, ADAPTERS.client_id} or client_id.startswith(GATEWAY_NAMES)
        return kept or epoch_of(self._tables, client_id) is not None

    def _mint(self, user_id: str, device_id: str) -> str:
        """A free client id of at most 64 characters: ``user-device``, shortened and with a suffix where it must be."""
        plain = f"{user_id}-{device_id}"
        if plain.startswith((ENROL_PREFIX, GATEWAY_NAMES)):
            plain = f"_{plain}"
        if len(plain) <= ID_MAX and not self._taken(plain):
            return plain
        for attempt in range(1000):
            digest = hashlib.sha256(f"{user_id}/{device_id}/{attempt}".encode()).hexdigest()[:8]
            candidate = f"{plain[: ID_MAX - 9]}-{digest}"
            if not self._taken(candidate):
                return candidate
        raise ConflictError(f"no free client id for {plain[:ID_MAX]}", hint="choose another device id")
