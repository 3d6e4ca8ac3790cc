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


def tokens_context(provider: str) -> bytes:
    """What the tokens of a link are sealed with, beside the user's key."""
    return f"adapters:tokens:{provider}".encode()
