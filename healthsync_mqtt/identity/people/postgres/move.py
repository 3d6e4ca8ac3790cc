"""An installation moves in: registry.db and audit.db of its data directory become the registry on the server, once.

All of it is one transaction; the files stay beside it under another name. Killed in between it is done, or goes on at
the next start: the server remembers whose registry it took.
"""

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.people.postgres.connection import (
    SQL,
    connect_registry,
    durable,
    migrate,
    refuse_newer,
    translated,
    value,
)
from healthsync_mqtt.identity.people.postgres.dialect import insertion
from healthsync_mqtt.identity.people.schema import open_database
from healthsync_mqtt.identity.sql import migrate as migrate_file
from healthsync_mqtt.identity.sql import numbered
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon

_MARK: Final = "moved in"
_MOVED: Final = ".moved"
TABLES: Final = (
    "users", "principals", "devices", "subscribers", "admins", "consent_decisions", "revoked_tokens", "enrolments",
    "refresh_families", "certificates", "audit_outbox", "audit_anchor", "refused_logins", "sightings", "dashboards",
    "apps", "source_preferences", "invites", "sessions", "carers", "webhooks", "erasures", "errands", "erased_names",
    "passkeys", "answered_challenges",
)  # fmt: skip
"""In an order in which no reference is to a row that is still to come."""
AUDIT: Final = ("audit", "taken")
OF_ONE_ROW: Final = ("erasure_key", "revocation_lists", "generation")
_OWN_NUMBERS: Final = {"audit_outbox", "taken"}


def move_in(place: ServerPlace, registry: Path, audit: Path) -> None:
    """Take the files over, where there are some. UnavailableError where the server has a registry of somebody else."""
    if not registry.exists() and not audit.exists():
        return
    connection: Connection | None = None
    try:
        with translated("the registry could not be moved to the server"):
            connection = connect_registry(place)
            migrate(connection, place)
            _take(connection, place, registry, audit)
    finally:
        abandon(connection)
    for file in (audit, registry):  # by the registry the next start knows that all of it is there
        if file.exists():
            file.rename(file.with_name(file.name + _MOVED))


def _take(connection: Connection, place: ServerPlace, registry: Path, audit: Path) -> None:
    with closing(open_database(registry).conn) as people:
        ((key,),) = people.execute(SQL["erasure_key"])
        mark = hashlib.sha256(key).hexdigest()
        with durable(connection):
            connection.execute(SQL["lock"].encode(), (place.schema,))
            refuse_newer(connection)
            if value(connection, SQL["mark"], _MARK) == mark:
                value(connection, SQL["write_again"])  # a move that no standby waited for is waited for now
                return
            if value(connection, SQL["lived_in"]):
                raise UnavailableError(
                    f"registry.url names a server that has users, and there is a registry in {registry}",
                    hint="they would be left behind; move the files away if that is meant",
                )
            for table in TABLES:
                _copy(connection, people, table)
            if audit.exists():
                with closing(sqlite3.connect(audit)) as deeds:
                    migrate_file(deeds, numbered("audit"), "the audit log")
                    for table in AUDIT:
                        _copy(connection, deeds, table)
            for table in OF_ONE_ROW:
                connection.execute(SQL[f"change_{table}"].encode(), people.execute(SQL[table]).fetchone())
            connection.execute(SQL["change_mark"].encode(), (_MARK, mark, time.time_ns() // 1000))


def _copy(connection: Connection, file: sqlite3.Connection, table: str) -> None:
    rows = file.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # names of this program
    names = [each[0] for each in rows.description]
    kept = [at for at, name in enumerate(names) if name != "no" or table not in _OWN_NUMBERS]
    statement = insertion(table, [names[at] for at in kept]) + b" ON CONFLICT DO NOTHING"
    with connection.cursor() as cursor:
        cursor.executemany(statement, (_row(row, kept) for row in rows))


def _row(row: Any, kept: list[int]) -> list[Any]:
    return [row[at] for at in kept]
