"""SQL by name, from the .sql files beside this module."""

from healthsync_mqtt import sql_files


def statements(file: str) -> dict[str, bytes]:
    """The statements of ``queries/<file>.sql`` by the name in the comment above each."""
    found = sql_files.statements(__package__ or "", "queries", f"{file}.sql")
    return {name: statement.encode() for name, statement in found.items()}


def migrations() -> tuple[tuple[int, str], ...]:
    """(schema version, script) of each ``migrations/NNNN_*.sql``, in order."""
    return sql_files.numbered(__package__ or "", "migrations")
