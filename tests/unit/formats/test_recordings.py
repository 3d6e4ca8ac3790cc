"""No recording of an app, gadget or provider is left out: each is named by a test of the format that claims it."""

from pathlib import Path

import pytest

FOLDERS = ("phone", "googlefit", "fitbit", "withings")
"""Of ../shared/data, of which each file is of a format; omh is walked by its own test."""


@pytest.mark.shared_data
def test_each_is_named_by_a_test(shared_data: Path) -> None:
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    files = [path for folder in FOLDERS for path in (shared_data / folder).rglob("*") if path.is_file()]
    assert len(files) > 90
    assert [path.name for path in files if path.stem not in tests and path.name != "EXPECTED.md"] == []
