"""SQL by name, from the .sql files beside this module."""

import re
from functools import cache
from importlib.resources import files

_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.DOTALL | re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of ``queries/<file>.sql`` by the name in the comment above each."""
    text = files(__package__).joinpath("queries", f"{file}.sql").read_text(encoding="utf-8")
    return {name: body.strip() for name, body in _NAMED.findall(text)}


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """(schema version, script) of each ``migrations/NNNN_*.sql``, in order."""
    folder = files(__package__).joinpath("migrations")
    found = [
        (int(entry.name[:4]), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(sorted(found))
