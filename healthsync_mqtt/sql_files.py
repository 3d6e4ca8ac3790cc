"""SQL from files: named statements, and the numbered steps of a schema. For every database of the project."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sqlite_faults import fix_of

Steps = Sequence[tuple[int, str]]
"""(schema version, script), oldest first."""

_NAMED: Final = re.compile(r"^-- (name|part): (\w+)\n(.*?)(?=^-- (?:name|part): |\Z)", re.DOTALL | re.MULTILINE)
_PART: Final = re.compile(r"\{(\w+)\}")


@cache
def statements(package: str, *path: str) -> dict[str, str]:
    """The statements of a file of a package by the name in the comment above each.

    What several of them have in common stands once, as ``-- part: columns``, and is ``{columns}`` in them.
    """
    text = files(package).joinpath(*path).read_text(encoding="utf-8")
    found = [(kind, name, body.strip()) for kind, name, body in _NAMED.findall(text)]
    parts = {name: body for kind, name, body in found if kind == "part"}
    return {name: _PART.sub(lambda part: parts[part[1]], body) for kind, name, body in found if kind == "name"}


@cache
def numbered(package: str, *path: str) -> tuple[tuple[int, str], ...]:
    """The steps ``NNNN_*.sql`` in a folder of a package."""
    found = [each for each in files(package).joinpath(*path).iterdir() if each.name[:4].isdigit()]
    return tuple(sorted((int(each.name[:4]), each.read_text(encoding="utf-8")) for each in found))


def migrate(connection: sqlite3.Connection, steps: Steps, newer: Callable[[int, int], Exception], what: str) -> None:
    """Bring the schema of ``what`` to the newest version, all steps or none.

    Raises what ``newer`` makes of the file's version and ours when a newer program wrote it, and StoreError that names
    the step when one fails. The connection is in autocommit or has no open transaction.
    """
    newest = steps[-1][0]
    if _version(connection) == newest:
        return
    connection.execute("BEGIN IMMEDIATE")  # another process may be at the same step: read the version under the lock
    try:
        version = _version(connection)
        if version > newest:
            raise newer(version, newest)  # noqa: TRY301  # the lock is given back below
        for number, script in steps:
            if number > version:
                try:
                    _step(connection, number, script)
                except sqlite3.Error as error:
                    hint = f"{fix_of(error)}; nothing in it was changed: the release before this one still opens it"
                    message = f"{what} could not be brought from schema {version} to {number}: {error}"
                    raise StoreError(message, hint=hint) from error
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _step(connection: sqlite3.Connection, number: int, script: str) -> None:
    for statement in _split(script):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {number}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _split(script: str) -> Iterator[str]:
    """The statements of a script, one by one: ``executescript`` would commit between them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
