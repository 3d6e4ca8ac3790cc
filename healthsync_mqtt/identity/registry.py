"""The registry: users and their consents, devices, subscribers, admins (registry.db, through sqlite-utils).

Several processes use it at once: the service reads, each CLI command writes. Every write is one transaction that also
raises ``generation``, which is what the others poll. Ids are checked here, where they are minted (threat T11).
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

from healthsync_mqtt.errors import ConflictError, InputError, NotFoundError
from healthsync_mqtt.identity.records import Admin, Consent, Device, Roster, Subscriber, User
from healthsync_mqtt.identity.schema import open_database
from healthsync_mqtt.identity.tables import Tables
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.grammar import ID_MAX, is_id

PURPOSE_STORE: Final = "store"
ALL: Final = frozenset({"all", "*"})
"""Words that mean every user or every type where a list of names is expected."""

_SECOND_US = 1_000_000


def check_id(what: str, value: object) -> str:
    """``value`` when it is an id; InputError naming ``what`` otherwise. The value itself is not repeated."""
    if not isinstance(value, str) or not is_id(value):
        raise InputError(f"the {what} is not an id", hint=f"use 1 to {ID_MAX} of A-Z a-z 0-9 - _")
    return value


class Registry:
    """An open registry. Calls block for a file read or one fsync; they may come from any thread, one runs at a time."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

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
        recorded_by: str = "cli",
    ) -> User:
        """Add a user with its first consent ("all" or "*", type names, or None for none). ConflictError when it exists.

        The names are canonical type names; whoever takes them from a person resolves aliases first.
        """
        check_id("user id", user_id)
        consented = _names("type", consent) if consent is not None else frozenset()
        with self._tables.write():
            if self._tables.one("SELECT 1 FROM users WHERE id = ?", user_id):
                raise ConflictError(f"the user {user_id} exists already", hint=f"healthsync user show {user_id}")
            self._tables.insert("users", {"id": user_id, "created_us": now_us})
            if consent is not None:
                self._grant(user_id, consented, now_us, recorded_by)
        return User(id=user_id, created_us=now_us)

    def add_consent(self, user_id: str, types: str | Iterable[str], now_us: int, *, recorded_by: str = "cli") -> None:
        """Record one more grant of a user for the purpose "store"."""
        consented = _names("type", types)
        with self._tables.write():
            self.user(user_id)
            self._grant(user_id, consented, now_us, recorded_by)

    def users(self) -> list[User]:
        """All users, by id."""
        return [User(**row) for row in self._tables.rows("SELECT id, created_us FROM users ORDER BY id")]

    def user(self, user_id: str) -> User:
        """One user; NotFoundError."""
        row = self._tables.one("SELECT id, created_us FROM users WHERE id = ?", check_id("user id", user_id))
        if row is None:
            raise NotFoundError(f"there is no user {user_id}", hint=f"healthsync user add {user_id} --consent all")
        return User(**row)

    def consents(self, user_id: str) -> list[Consent]:
        """The grants of a user, oldest first; NotFoundError for an unknown user."""
        with self._tables.read():
            self.user(user_id)
            rows = self._tables.rows(
                "SELECT user_id, types, purpose, granted_us, recorded_by FROM consents WHERE user_id = ? ORDER BY no",
                user_id,
            )
        return [Consent(**{**row, "types": _load_names(row["types"])}) for row in rows]

    # Devices

    def add_device(self, user_id: str, device_id: str, now_us: int) -> Device:
        """Add a device of an existing user, or bring a removed one back: same client id, its older tokens void."""
        check_id("device id", device_id)
        with self._tables.write():
            self.user(user_id)
            known = self._device_row(user_id, device_id)
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
                        "not_before_s": max(now_us, known["removed_us"]) // _SECOND_US,
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
            self.user(user_id)
            row = self._device_row(user_id, check_id("device id", device_id))
        if row is None or row["removed_us"] is not None:
            raise NotFoundError(
                f"{user_id} has no device {device_id}", hint=f"healthsync device add {user_id} {device_id}"
            )
        return Device(**row)

    def remove_device(self, user_id: str, device_id: str, now_us: int) -> Device:
        """Take away a device's right to connect; its data and its name stay. NotFoundError; returns what it was."""
        with self._tables.write():
            device = self.device(user_id, device_id)
            self._tables.update("devices", (user_id, device_id), {"removed_us": now_us})
            return device

    # Subscribers and admins

    def add_subscriber(
        self, name: str, users: str | Iterable[str] | None, types: str | Iterable[str] | None, now_us: int
    ) -> Subscriber:
        """Add a reader of the given users and types ("*" or None = all). Users may be added after it."""
        check_id("subscriber name", name)
        subscriber = Subscriber(
            name=name, users=_names("user id", users), types=_names("type", types), created_us=now_us
        )
        with self._tables.write():
            self._claim(name, Role.subscriber)
            self._tables.insert(
                "subscribers",
                {
                    "name": name,
                    "users": _dump_names(subscriber.users),
                    "types": _dump_names(subscriber.types),
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
        """Every principal that may connect, and the generation it belongs to, in one consistent reading."""
        with self._tables.read():
            return Roster(
                generation=self._tables.generation(),
                devices=tuple(self.devices()),
                subscribers=tuple(self.subscribers()),
                admins=tuple(self.admins()),
            )

    def _device_row(self, user_id: str, device_id: str) -> dict[str, Any] | None:
        return self._tables.one("SELECT * FROM devices WHERE user_id = ? AND device_id = ?", user_id, device_id)

    def _grant(self, user_id: str, types: frozenset[str] | None, now_us: int, recorded_by: str) -> None:
        self._tables.insert(
            "consents",
            {
                "user_id": user_id,
                "types": _dump_names(types),
                "purpose": PURPOSE_STORE,
                "granted_us": now_us,
                "recorded_by": recorded_by,
            },
        )

    def _claim(self, client_id: str, role: Role) -> None:
        if self._taken(client_id):
            raise ConflictError(f"the name {client_id} is taken by another principal", hint="choose another name")
        self._tables.insert("principals", {"client_id": client_id, "role": role.value})

    def _taken(self, client_id: str) -> bool:
        return self._tables.one("SELECT 1 FROM principals WHERE client_id = ?", client_id) is not None

    def _mint(self, user_id: str, device_id: str) -> str:
        """A free client id of at most 64 characters: ``user-device``, shortened and with a suffix where it must be."""
        plain = f"{user_id}-{device_id}"
        if len(plain) <= ID_MAX and not self._taken(plain):
            return plain
        for attempt in range(1000):
            digest = hashlib.sha256(f"{user_id}/{device_id}/{attempt}".encode()).hexdigest()[:8]
            candidate = f"{plain[: ID_MAX - 9]}-{digest}"
            if not self._taken(candidate):
                return candidate
        raise ConflictError(f"no free client id for {plain[:ID_MAX]}", hint="choose another device id")


def _names(what: str, names: str | Iterable[str] | None) -> frozenset[str] | None:
    """The checked set of names, None for all. A text is "all", "*" or one name."""
    if names is None or (isinstance(names, str) and names in ALL):
        return None
    listed = frozenset([names] if isinstance(names, str) else names)
    if listed & ALL and len(listed) == 1:
        return None
    if not listed:
        raise InputError(f"no {what} is named", hint="name at least one, or * for all")
    return frozenset(check_id(what, name) for name in listed)


def _dump_names(names: frozenset[str] | None) -> str:
    return "*" if names is None else json.dumps(sorted(names))


def _load_names(text: str) -> frozenset[str] | None:
    return None if text == "*" else frozenset(json.loads(text))


def _subscriber(row: dict[str, Any]) -> Subscriber:
    return Subscriber(**{**row, "users": _load_names(row["users"]), "types": _load_names(row["types"])})
