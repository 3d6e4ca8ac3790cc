"""sessions.db as a file: what is in it when it is opened, and groups of rows that are written whole or not at all."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import apsw

from healthsync_mqtt.broker.embedded.sessions.port import KeptSession, KeptWill, OwedMessage, Subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.config.private_files import create_private, make_private_directory
from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

#: "HSSE" in the file's header: these are sessions of HealthSync; "HSSF": what clients said to each other is sealed.
_APPLICATION_ID: Final = 0x48535345
_SEALED_ID: Final = 0x48535346
_SQL: Final = statements(__package__, "sql", "statements.sql")

#: Tables whose rows do not go with the session that their key names first.
_ALONE: Final = frozenset({"session", "retained", "will"})

Key = tuple[Any, ...]
"""What a row is about: its table, and the columns that name it there."""
Row = tuple[Any, ...] | None
"""A row as it is now; None: gone."""


class SessionsFile:
    """The file. ``write`` is called by one thread at a time."""

    def __init__(self, path: Path, vfs: str | None) -> None:
        make_private_directory(path.parent)
        create_private(path)
        try:
            self._connection = apsw.Connection(os.fspath(path), vfs=vfs)
        except apsw.Error as error:
            raise StoreError(f"the sessions could not be opened: {error}", hint=fix_of(error)) from error
        try:
            self._prepare(path)
            self._sealing = ValueSealing(path.parent, path.name)
            self._sealing.on = self._value("PRAGMA application_id") == _SEALED_ID
            if self._sealing.is_due():
                self._seal_older()
            self._last_payload: int = self._all("last_payload")[0][0]
            self.running_us: int = self._all("running")[0][0]
            self.kept = self._load()
            self.retained = self._load_retained()
            self.wills = self._load_wills()
        except apsw.Error as error:
            self._connection.close(force=True)
            if isinstance(error, apsw.NotADBError | apsw.CorruptError):
                raise ConfigError(
                    f"{path} is damaged", hint=f"move {path} away: clients subscribe again, no event is lost"
                ) from error
            raise StoreError(f"the sessions could not be read: {error}", hint=fix_of(error)) from error
        except BaseException:
            self._connection.close(force=True)
            raise

    def close(self) -> None:
        """Close the file."""
        with suppress(apsw.Error):
            self._connection.close(force=True)

    def write(self, rows: dict[Key, Row], running_us: int) -> None:
        """Write a group, all of it or nothing. StoreError."""
        gone = {key[1] for key, row in rows.items() if key[0] == "session" and row is None}
        payloads: dict[tuple[int, str], int] = {}
        self._sealing.refresh()
        try:
            if self._sealing.is_due():
                self._seal_older()
            self._run("BEGIN IMMEDIATE")
            for key, row in rows.items():
                if key[0] == "owed":
                    if key[1] not in gone:
                        self._owed(key, row, payloads)
                elif key[0] in _ALONE or key[1] not in gone:
                    self._plain(key, row)
            self._run(_SQL["run"], (running_us,))
            self._run("COMMIT")
        except BaseException as error:
            with suppress(apsw.Error):
                self._run("ROLLBACK")
            if not isinstance(error, apsw.Error):
                raise  # a key that is not to be had: nothing is written unsealed instead
            raise StoreError(f"the sessions could not be written: {error}", hint=fix_of(error)) from error

    def scrub(self) -> None:
        """Write the file anew and cut its log: nothing that was deleted is in either. StoreError."""
        try:
            self._run("VACUUM")
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            raise StoreError(f"the sessions could not be written anew: {error}", hint=fix_of(error)) from error

    def _plain(self, key: Key, row: Row) -> None:
        if row is not None:
            self._run(_SQL[f"put_{key[0]}"], self._sealed(key[0], row))
            return
        payloads = self._all("payloads_of_session", key[1:]) if key[0] == "session" else []
        self._run(_SQL[f"drop_{key[0]}"], key[1:])
        for (payload,) in payloads:
            self._run(_SQL["drop_payload"], (payload,))

    def _owed(self, key: Key, row: Row, payloads: dict[tuple[int, str], int]) -> None:
        _, session, no = key
        if row is None:
            found = self._all("payload_of_owed", (session, no))
            self._run(_SQL["drop_owed"], (session, no))
            for (payload,) in found:
                self._run(_SQL["drop_payload"], (payload,))
            return
        message, fresh = row
        if not fresh:
            self._run(_SQL["move_owed"], (session, no, message.packet_id, int(message.completing)))
            return
        # One row for an object that several wait for: the group holds it, so its identity is its own.
        whose = id(message.payload), _owner(message.topic)
        payload = payloads.get(whose)
        if payload is None:
            self._last_payload += 1
            payload = payloads[whose] = self._last_payload
            self._run(_SQL["put_payload"], (payload, self._seal(message.payload, message.topic, "payload", payload)))
        self._run(
            _SQL["put_owed"],
            (session, no, message.topic, payload, message.qos, int(message.retain), message.packet_id,
             int(message.completing), self._seal(message.about, message.topic, "about", session, no),
             round(message.expires * 1e6),
             json.dumps(message.identifiers) if message.identifiers else ""),
        )  # fmt: skip

    def _load(self) -> list[KeptSession]:
        filters: dict[int, dict[str, Subscribed]] = {}
        owed: dict[int, dict[int, OwedMessage]] = {}
        unreleased: dict[int, list[int]] = {}
        for session, topic_filter, qos, replaying, options, identifier in self._all("filters"):
            filters.setdefault(session, {})[topic_filter] = Subscribed(qos, bool(replaying), options, identifier)
        bodies, opened = dict(self._all("payloads")), dict[int, bytes | None]()
        for session, no, topic, payload, qos, retain, packet_id, completing, *more in self._all("owed"):
            about, expires_us, identifiers = more
            body = opened.get(payload)
            if body is None:
                body = opened[payload] = self._open(bodies[payload], topic, "payload", payload)
            about = self._open(about, topic, "about", session, no)
            if body is None or about is None:  # of somebody who was erased
                self._owed(("owed", session, no), None, {})
                continue
            owed.setdefault(session, {})[no] = OwedMessage(
                topic, body, qos, bool(retain), packet_id, bool(completing), about, expires_us / 1e6,
                tuple(json.loads(identifiers)) if identifiers else (),
            )  # fmt: skip
        for session, packet_id in self._all("unreleased"):
            unreleased.setdefault(session, []).append(packet_id)
        return [
            KeptSession(
                no,
                principal_of(principal),
                None if left_us is None else left_us / 1e6,
                filters.get(no, {}),
                owed.get(no, {}),
                unreleased.get(no, []),
                None if expiry_us is None else expiry_us / 1e6,
            )
            for no, principal, left_us, expiry_us in self._all("sessions")
        ]

    def _load_retained(self) -> list[Retained]:
        found = []
        for topic, body, qos, about, expires_us in self._all("retained"):
            opened = self._open(body, topic, "retained", topic), self._open(about, topic, "retained about", topic)
            if opened[0] is None or opened[1] is None:  # of somebody who was erased
                self._run(_SQL["drop_retained"], (topic,))
                continue
            found.append(Retained(topic, opened[0], qos, 0, opened[1], expires_us / 1e6))
        return found

    def _load_wills(self) -> dict[int, KeptWill]:
        found = {}
        for no, principal, due_us, topic, body, qos, retain, about, lives_s in self._all("wills"):
            opened = self._open(body, topic, "will", no), self._open(about, topic, "will about", no)
            if opened[0] is None or opened[1] is None:
                self._run(_SQL["drop_will"], (no,))
                continue
            found[no] = KeptWill(
                principal_of(principal), due_us / 1e6, topic, opened[0], qos, bool(retain), opened[1], lives_s
            )
        return found

    def _sealed(self, table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row of a table as it is written."""
        if table == "retained":
            topic, body, qos, about, expires_us = row
            return (
                topic, self._seal(body, topic, "retained", topic), qos,
                self._seal(about, topic, "retained about", topic), expires_us,
            )  # fmt: skip
        if table == "will":
            no, principal, due_us, topic, body, qos, retain, about, lives_s = row
            return (
                no, principal, due_us, topic, self._seal(body, topic, "will", no), qos, retain,
                self._seal(about, topic, "will about", no), lives_s,
            )  # fmt: skip
        return row

    def _seal_older(self) -> None:
        """Seal what an earlier run left as it is, all of it or nothing; and leave nothing of it in the file."""
        self._sealing.on = True
        self._run("BEGIN IMMEDIATE")
        try:
            rows: dict[tuple[int, str], int] = {}
            taken: set[int] = set()
            last = self._all("last_payload")[0][0]
            for no, body, topic in self._all("whose_payloads"):
                whose = no, _owner(topic)
                row = rows.get(whose)
                if row is None and no not in taken:
                    row = rows[whose] = no
                    taken.add(no)
                    self._run(_SQL["change_payload"], (no, self._seal(body, topic, "payload", no)))
                elif row is None:  # one row for what several persons' topics said
                    last += 1
                    row = rows[whose] = last
                    self._run(_SQL["put_payload"], (row, self._seal(body, topic, "payload", row)))
                if row != no:
                    self._run(_SQL["move_payload"], (no, row, topic))
            for session, no, topic, about in self._all("abouts"):
                self._run(_SQL["change_about"], (session, no, self._seal(about, topic, "about", session, no)))
            for table in ("retained", "will"):
                for kept in self._all("wills" if table == "will" else table):
                    self._run(_SQL[f"put_{table}"], self._sealed(table, kept))
            self._run(f"PRAGMA application_id={_SEALED_ID}")
            self._run("COMMIT")
        except BaseException:
            self._sealing.on = False
            with suppress(apsw.Error):
                self._run("ROLLBACK")
            raise
        self._last_payload = last
        self.scrub()

    def _seal(self, value: bytes, topic: bytes | str, *place: object) -> bytes:
        sealed = self._sealing.seal(value, _owner(topic), *place)
        assert isinstance(sealed, bytes)
        return sealed

    def _open(self, stored: bytes, topic: bytes | str, *place: object) -> bytes | None:
        opened = self._sealing.open(stored, _owner(topic), *place)
        assert not isinstance(opened, str)
        return opened

    def _prepare(self, path: Path) -> None:
        # A short wait only: nobody else has business here, and the lock tells a second service apart from none.
        self._connection.set_busy_timeout(1000)
        self._run("PRAGMA locking_mode=EXCLUSIVE")
        application = self._value("PRAGMA application_id")
        tables = self._value("SELECT count(*) FROM sqlite_schema")
        if application not in {_APPLICATION_ID, _SEALED_ID} and (application or tables):
            raise ConfigError(f"{path} is a database of another program", hint="use another data directory")
        if self._value("PRAGMA journal_mode=WAL") != "wal":
            raise StoreError(f"{path} is on a file system without write-ahead logging", hint="use a local disk")
        self._run("PRAGMA synchronous=FULL")
        self._run("PRAGMA foreign_keys=ON")
        version, steps = self._value("PRAGMA user_version"), numbered(__package__, "sql")
        if version > steps[-1][0]:
            raise ConfigError(f"{path} has schema {version}, of a newer version", hint="use the newer release")
        for number, script in steps:
            if number > version:
                self._run("BEGIN IMMEDIATE")
                self._run(script)
                self._run(f"PRAGMA application_id={application or _APPLICATION_ID}")
                self._run(f"PRAGMA user_version={number}")
                self._run("COMMIT")

    def _run(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._connection.execute(sql, values)

    def _all(self, name: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(_SQL[name], values).fetchall()

    def _value(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchall()[0][0]


def _owner(topic: bytes | str) -> str:
    """The user whose topic it is; "": nobody's."""
    root, _, rest = (topic.decode() if isinstance(topic, bytes) else topic).partition("/")
    return rest.partition("/")[0] if root == "users" else ""


def principal_json(principal: Principal) -> str:
    """A principal as it is kept; sets are sorted lists, and null is everything."""
    values = asdict(principal)
    return json.dumps({name: sorted(v) if isinstance(v, frozenset) else v for name, v in values.items()})


def principal_of(text: str) -> Principal:
    """The principal of ``principal_json``; what an older version did not say is as it is by default."""
    kept: dict[str, Any] = json.loads(text)
    known = {field.name for field in fields(Principal)}
    values: dict[str, Any] = {name: frozenset(v) if isinstance(v, list) else v for name, v in kept.items()}
    if "declared" in kept:
        values["declared"] = Declared(*kept["declared"])
    return Principal(**{name: v for name, v in values.items() if name in known} | {"role": Role(kept["role"])})
