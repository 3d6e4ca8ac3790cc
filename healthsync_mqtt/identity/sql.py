"""SQL from files: named statements, and the numbered steps of a schema. For the databases of identity."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from healthsync_mqtt.errors import ConfigError

Steps = Sequence[tuple[int, str]]
"""(schema version, script), oldest first."""

_NAMED: Final = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.DOTALL | re.MULTILINE)


@cache
def statements(room: str, file: str) -> dict[str, str]:
    """The statements of ``<room>/queries/<file>.sql`` by the name in the comment above each."""
    text = files(f"{__package__}.{room}").joinpath("queries", f"{file}.sql").read_text(encoding="utf-8")
    return {name: body.strip() for name, body in _NAMED.findall(text)}


def numbered(room: str) -> list[tuple[int, str]]:
    """The steps in ``<room>/sql/NNNN_*.sql``."""
    found = (files(f"{__package__}.{room}") / "sql").iterdir()
    listed = sorted((item for item in found if item.name.endswith(".sql")), key=lambda item: item.name)
    return [(int(item.name[:4]), item.read_text(encoding="utf-8")) for item in listed]


def migrate(connection: sqlite3.Connection, steps: Steps, what: str) -> None:
    """Bring the schema to the newest version, all steps or none; ConfigError when a newer program wrote it.

    The connection is in autocommit or has no open transaction.
    """
    newest = steps[-1][0]
    if _version(connection) == newest:
        return
    connection.execute("BEGIN IMMEDIATE")  # another process may be at the same step: read the version under the lock
    try:
        version = _version(connection)
        _check_known(version, newest, what)
        for number, script in steps:
            if number > version:
                for statement in _split(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _check_known(version: int, newest: int, what: str) -> None:
    if version > newest:
        raise ConfigError(f"{what} has schema {version}; this program knows {newest}", hint="use the newer release")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _split(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
