"""The schema of a database, and the numbered steps that bring it up to date."""

from typing import Any, Final, Literal

from psycopg import errors, sql

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.postgres.connection import Connection, ServerPlace
from healthsync_mqtt.sql_files import Steps, statements
from healthsync_mqtt.telemetry.log import get_logger

_SQL: Final = statements(__package__, "schema.sql")

#: So long one that starts waits for another that changes the tables: what is long there is what there is much of.
_CHANGE_S: Final = 600.0

log: Final = get_logger("postgres")


def schema_version(connection: Connection, place: ServerPlace) -> int:
    """Which schema there is; 0: none."""
    # As a row: who has looked for it by name, in vain, is told so again inside of a transaction that waited meanwhile.
    if _value(connection, sql.SQL(_SQL["there"]).format(sql.Literal(place.schema))) is None:
        return 0
    return int(_value(connection, sql.SQL(_SQL["version"])))


def take_turn(
    connection: Connection, lock: int, whose: Literal["session", "transaction"], *, what: str, usual_ms: int
) -> None:
    """Have the lock of whoever makes or changes tables; a change that goes on is waited for, and the log says so.

    UnavailableError after ten minutes. ``usual_ms``: how long this session waits for any other lock.
    """
    of = "xact_" if whose == "transaction" else ""
    if _value(connection, sql.SQL(_SQL[f"try_{of}lock"]).format(sql.Literal(lock))):
        return
    log.warning("postgres.tables_in_change", of=what, waits_at_most_s=_CHANGE_S)
    connection.execute(sql.SQL(_SQL["patience"]).format(sql.Literal(int(_CHANGE_S * 1000))))
    try:
        connection.execute(sql.SQL(_SQL[f"{of}lock"]).format(sql.Literal(lock)))
    except errors.LockNotAvailable as error:
        raise UnavailableError(
            f"the tables of {what} are in change by another process for {_CHANGE_S:.0f} s",
            hint="start this one again when that has ended; pg_stat_activity shows what it does",
        ) from error
    connection.execute(sql.SQL(_SQL["patience"]).format(sql.Literal(usual_ms)))


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
