"""The SQL of identity's databases, from the files of its rooms."""

import sqlite3
from typing import Final

from healthsync_mqtt import sql_files
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.sql_files import Steps

__all__ = ["Steps", "migrate", "numbered", "statements"]

_HERE: Final = __package__ or ""


def statements(room: str, file: str) -> dict[str, str]:
    """The statements of ``<room>/queries/<file>.sql`` by name."""
    return sql_files.statements(f"{_HERE}.{room}", "queries", f"{file}.sql")


def numbered(room: str) -> Steps:
    """The steps in ``<room>/sql/NNNN_*.sql``."""
    return sql_files.numbered(f"{_HERE}.{room}", "sql")


def migrate(connection: sqlite3.Connection, steps: Steps, what: str) -> None:
    """Bring the schema to the newest version, all steps or none; ConfigError when a newer program wrote it."""

    def newer(version: int, newest: int) -> ConfigError:
        return ConfigError(f"{what} has schema {version}; this program knows {newest}", hint="use the newer release")

    sql_files.migrate(connection, steps, newer, what)
