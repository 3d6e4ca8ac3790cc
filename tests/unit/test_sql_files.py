"""Statements from files: by name, and with what several of them have in common."""

import sys
from pathlib import Path

import pytest

from healthsync_mqtt import sql_files

FILE = """-- part: columns
id, name

-- name: all
-- Why it is so.
SELECT {columns} FROM thing

-- name: one
SELECT {columns} FROM thing WHERE id = ? AND kinds = '{}'
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of its own, for a file of each test."""
    name = f"things_{tmp_path.name}".replace("-", "_")
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_what_statements_have_in_common_stands_once(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "all.sql").write_text(FILE)
    assert sql_files.statements(package, "all.sql") == {
        "all": "-- Why it is so.\nSELECT id, name FROM thing",
        "one": "SELECT id, name FROM thing WHERE id = ? AND kinds = '{}'",
    }


def test_a_part_that_is_nowhere_is_found_when_the_file_is_read(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "all.sql").write_text(FILE.replace("{columns} FROM thing\n", "{colums} FROM thing\n"))
    with pytest.raises(KeyError, match="colums"):
        sql_files.statements(package, "all.sql")
