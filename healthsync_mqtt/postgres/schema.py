"""The schema of a database, and the numbered steps that bring it up to date."""

from typing import Any, Final

from psycopg import sql

from healthsync_mqtt.postgres.connection import Connection, ServerPlace
from healthsync_mqtt.sql_files import Steps, statements

_SQL: Final = statements(__package__, "schema.sql")


def schema_version(connection: Connection, place: ServerPlace) -> int:
    """Which schema there is; 0: none."""
    # As a row: who has looked for it by name, in vain, is told so again inside of a transaction that waited meanwhile.
    if _value(connection, sql.SQL(_SQL["there"]).format(sql.Literal(place.schema))) is None:
        return 0
    return int(_value(connection, sql.SQL(_SQL["version"])))


def bring_up(connection: Connection, place: ServerPlace, steps: Steps, version: int) -> None:
    """Make the schema where ``version`` is 0, and go on from there to the newest step. In the caller's transaction."""
    if version == 0:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(place.schema)))
        connection.execute(sql.SQL(_SQL["make"]))
        connection.execute(sql.SQL(_SQL["begin"]))
    for number, script in steps:
        if number > version:
            connection.execute(script.encode())
            connection.execute(sql.SQL(_SQL["change"]).format(sql.Literal(number)))


def _value(connection: Connection, statement: sql.SQL | sql.Composed) -> Any:
    row = connection.execute(statement).fetchone()
    return None if row is None else row[0]
