"""The registry: users and their consents, devices, subscribers, admins (registry.db, through sqlite-utils).

Several processes use it at once: the service reads, each CLI command writes. Every write is one transaction that also
raises ``generation``, which is what the others poll. Ids are checked here, where they are minted (threat T11).
"""

import hashlib
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.errors import ConflictError, NotFoundError
from healthsync_mqtt.identity.certificates.book import CertificateBook
from healthsync_mqtt.identity.consent.book import ConsentBook
from healthsync_mqtt.identity.consent.decisions import PURPOSES, Purpose
from healthsync_mqtt.identity.login.enrolment import ENROL_NAME, ENROL_PREFIX, Enrolments
from healthsync_mqtt.identity.login.refresh import RefreshTokens
from healthsync_mqtt.identity.people.lookup import any_device_row, device_row, user_row
from healthsync_mqtt.identity.people.names import check_id, checked_names, dump_names, load_names
from healthsync_mqtt.identity.people.records import Admin, Device, Roster, Subscriber, User
from healthsync_mqtt.identity.people.revocation import Revocation, after, end_families
from healthsync_mqtt.identity.people.schema import open_database
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.grammar import ID_MAX


class Registry:
    """An open registry. Calls block for a file read or one fsync; they may come from any thread, one runs at a time."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.certificates = CertificateBook(tables)
        self.consent = ConsentBook(tables)
        self.revocation = Revocation(tables)
        self.enrolments = Enrolments(tables)
        self.refresh_tokens = RefreshTokens(tables)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create; ConfigError for loose file modes, a foreign or newer file, StoreError when it cannot."""
        return cls(Tables(open_database(path)))

    def close(self) -> None:
        """Close the file; later calls fail."""
        self._tables.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def write(self) -> AbstractContextManager[None]:
        """Several calls as one durable transaction: all of them or none."""
        return self._tables.write()

    def generation(self) -> int:
        """A number that grows with every write of any process; about 20 µs."""
        return self._tables.generation()

    # Users

    def add_user(
        self,
        user_id: str,
        consent: str | Iterable[str] | None,
        now_us: int,
        *,
        purposes: Iterable[Purpose] = PURPOSES,
        recorded_by: str = "cli",
    ) -> User:
        """Add a user with its first consent ("all" or "*", type names, or None for none). ConflictError when it exists.

        The names are canonical type names; whoever takes them from a person resolves aliases first.
        """
        check_id("user id", user_id)
        with self._tables.write():
            if self._tables.one("SELECT 1 FROM users WHERE id = ?", user_id):
                raise ConflictError(f"the user {user_id} exists already", hint=f"healthsync user show {user_id}")
            self._tables.insert("users", {"id": user_id, "created_us": now_us})
            if consent is not None:
                self.consent.grant(user_id, consent, now_us, purposes=purposes, recorded_by=recorded_by)
        return User(id=user_id, created_us=now_us)

    def users(self) -> list[User]:
        """All users, by id."""
        return [User(**row) for row in self._tables.rows("SELECT * FROM users ORDER BY id")]

    def user(self, user_id: str) -> User:
        """One user; NotFoundError."""
        return User(**user_row(self._tables, user_id))

    # Devices

    def add_device(self, user_id: str, device_id: str, now_us: int) -> Device:
        """Add a device of an existing user, or bring a removed one back: same client id, its older tokens void."""
        check_id("device id", device_id)
        with self._tables.write():
            self.user(user_id)
            known = any_device_row(self._tables, user_id, device_id)
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
            elif known["removed_us"] is None:
                raise ConflictError(
                    f"the device {device_id} of {user_id} exists already",
                    hint=f"healthsync device token {user_id} {device_id}",
                )
            else:
                self._tables.update(
                    "devices",
                    (user_id, device_id),
                    {
                        "created_us": now_us,
                        "removed_us": None,
                        "suspended_us": None,
                        "not_before_s": after(max(now_us, known["removed_us"])),
                    },
                )
            return self.device(user_id, device_id)

    def devices(self, user_id: str | None = None, *, removed: bool = False) -> list[Device]:
        """The devices of one user or of all, by user and device; with ``removed`` also those that were removed."""
        with self._tables.read():
            if user_id is not None:
                self.user(user_id)
            rows = self._tables.rows(
                "SELECT * FROM devices WHERE (?1 IS NULL OR user_id = ?1) AND (?2 OR removed_us IS NULL)"
                " ORDER BY user_id, device_id",
                user_id,
                removed,
            )
        return [Device(**row) for row in rows]

    def device(self, user_id: str, device_id: str) -> Device:
        """One device that was not removed; NotFoundError."""
        with self._tables.read():
            return Device(**device_row(self._tables, user_id, device_id))

    def remove_device(self, user_id: str, device_id: str, now_us: int) -> Device:
        """Take away a device's right to connect; its data and its name stay. NotFoundError; returns what it was."""
        with self._tables.write():
            device = self.device(user_id, device_id)
            self._tables.update("devices", (user_id, device_id), {"removed_us": now_us})
            end_families(self._tables, user_id, device_id, now_us, "device removed")
            return device

    # Subscribers and admins

    def add_subscriber(
        self, name: str, users: str | Iterable[str] | None, types: str | Iterable[str] | None, now_us: int
    ) -> Subscriber:
        """Add a reader of the given users and types ("*" or None = all). Users may be added after it."""
        check_id("subscriber name", name)
        subscriber = Subscriber(
            name=name, users=checked_names("user id", users), types=checked_names("type", types), created_us=now_us
        )
        with self._tables.write():
            self._claim(name, Role.subscriber)
            self._tables.insert(
                "subscribers",
                {
                    "name": name,
                    "users": dump_names(subscriber.users),
                    "types": dump_names(subscriber.types),
                    "created_us": now_us,
                },
            )
        return subscriber

    def subscribers(self) -> list[Subscriber]:
        """All subscribers, by name."""
        return [_subscriber(row) for row in self._tables.rows("SELECT * FROM subscribers ORDER BY name")]

    def subscriber(self, name: str) -> Subscriber:
        """One subscriber; NotFoundError."""
        row = self._tables.one("SELECT * FROM subscribers WHERE name = ?", check_id("subscriber name", name))
        if row is None:
            raise NotFoundError(f"there is no subscriber {name}", hint=f"healthsync subscriber add {name} --users ...")
        return _subscriber(row)

    def add_admin(self, name: str, now_us: int) -> Admin:
        """Add an operator."""
        check_id("admin name", name)
        with self._tables.write():
            self._claim(name, Role.admin)
            self._tables.insert("admins", {"name": name, "created_us": now_us})
        return Admin(name=name, created_us=now_us)

    def admins(self) -> list[Admin]:
        """All admins, by name."""
        return [Admin(**row) for row in self._tables.rows("SELECT * FROM admins ORDER BY name")]

    def roster(self) -> Roster:
        """What a directory holds in memory, and the generation it belongs to, in one consistent reading."""
        now_us = time.time_ns() // 1000  # only to leave out what has expired
        with self._tables.read():
            suspended = {user.id for user in self.users() if user.suspended_us is not None}
            return Roster(
                generation=self._tables.generation(),
                devices=tuple(
                    device
                    for device in self.devices()
                    if device.suspended_us is None and device.user_id not in suspended
                ),
                subscribers=tuple(self.subscribers()),
                admins=tuple(self.admins()),
                permissions=self.consent.permissions(),
                revoked_tokens=self.revocation.revoked(),
                enrolments=tuple(self.enrolments.open(now_us)),
                families=tuple(self.refresh_tokens.live(now_us)),
            )

    def _claim(self, client_id: str, role: Role) -> None:
        if client_id == ENROL_NAME or client_id.startswith(ENROL_PREFIX):
            raise ConflictError(f"names that start with {ENROL_PREFIX} are kept for enrolment", hint="choose another")
        if self._taken(client_id):
            raise ConflictError(f"the name {client_id} is taken by another principal", hint="choose another name")
        self._tables.insert("principals", {"client_id": client_id, "role": role.value})

    def _taken(self, client_id: str) -> bool:
        return self._tables.one("SELECT 1 FROM principals WHERE client_id = ?", client_id) is not None

    def _mint(self, user_id: str, device_id: str) -> str:
        """A free client id of at most 64 characters: ``user-device``, shortened and with a suffix where it must be."""
        plain = f"{user_id}-{device_id}"
        if plain.startswith(ENROL_PREFIX):
            plain = f"_{plain}"
        if len(plain) <= ID_MAX and not self._taken(plain):
            return plain
        for attempt in range(1000):
            digest = hashlib.sha256(f"{user_id}/{device_id}/{attempt}".encode()).hexdigest()[:8]
            candidate = f"{plain[: ID_MAX - 9]}-{digest}"
            if not self._taken(candidate):
                return candidate
        raise ConflictError(f"no free client id for {plain[:ID_MAX]}", hint="choose another device id")


def _subscriber(row: dict[str, Any]) -> Subscriber:
    return Subscriber(**{**row, "users": load_names(row["users"]), "types": load_names(row["types"])})
