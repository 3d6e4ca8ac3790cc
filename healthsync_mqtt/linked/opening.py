"""Opening adapters.db, for whoever uses it."""

import sqlite3
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_database import open_private_database
from healthsync_mqtt.sql_files import numbered

FILE: Final = "adapters.db"


def open_links(data: Path) -> sqlite3.Connection:
    """Open or create the file of a data directory. StoreError, ConfigError."""
    connection = open_private_database(data / FILE, numbered(__package__, "sql"))
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def each_provider(table: str) -> str:
    """The providers in a table with an index that begins with them: a step for each, however many rows it has."""
    return (
        f"WITH RECURSIVE each (name) AS (SELECT min(provider) FROM {table} UNION ALL"  # noqa: S608  # one of ours
        f" SELECT (SELECT min(provider) FROM {table} WHERE provider > each.name) FROM each WHERE each.name IS NOT NULL)"
        " SELECT name FROM each WHERE name IS NOT NULL"
    )


def tokens_context(provider: str) -> bytes:
    """What the tokens of a link are sealed with, beside the user's key."""
    return f"adapters:tokens:{provider}".encode()
