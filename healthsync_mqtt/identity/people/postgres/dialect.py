"""The registry's statements for PostgreSQL. Pure: their text is SQLite's, which names parameters otherwise."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from typing import Final

_PARAMETER: Final = re.compile(r"\?(\d*)")
_SET_OF_NAMES: Final = "json_each(?)"


@cache
def for_postgres(statement: str) -> bytes:
    """The same with ``$1``, ``$2``, … and with PostgreSQL's word for an array that is a table."""
    statement = statement.replace(_SET_OF_NAMES, "json_array_elements_text(CAST(? AS json))")
    numbers = count(1)
    return _PARAMETER.sub(lambda found: f"${found[1] or next(numbers)}", statement).encode()


def insertion(table: str, names: Sequence[str], key: Sequence[str] = ()) -> bytes:
    """Adds a row of these columns; with ``key``, its primary key, it takes the place of one that is there."""
    columns, places = ", ".join(map(_quoted, names)), ", ".join(_places(len(names)))
    text = f'INSERT INTO "{table}" ({columns}) VALUES ({places})'  # noqa: S608  # names of this program
    if key:
        taken = ", ".join(f"{_quoted(name)} = EXCLUDED.{_quoted(name)}" for name in names if name not in key)
        text += f" ON CONFLICT ({', '.join(map(_quoted, key))}) DO UPDATE SET {taken}"
    return text.encode()


def update(table: str, names: Sequence[str], key: Sequence[str]) -> bytes:
    """Changes these columns of the row with a primary key, whose values come last."""
    pairs = [
        f"{_quoted(name)} = {place}" for name, place in zip([*names, *key], _places(len(names) + len(key)), strict=True)
    ]
    changes, row = pairs[: len(names)], pairs[len(names) :]
    return f'UPDATE "{table}" SET {", ".join(changes)} WHERE {" AND ".join(row)}'.encode()  # noqa: S608


def deletion(table: str, where: str) -> bytes:
    """Removes rows."""
    return for_postgres(f'DELETE FROM "{table}" WHERE {where}')  # noqa: S608


def _quoted(name: str) -> str:
    return f'"{name}"'


def _places(number: int) -> Iterable[str]:
    return (f"${each}" for each in range(1, number + 1))
