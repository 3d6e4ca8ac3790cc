"""Adapters of installed packages, by the entry point group that the specification names; a broken one is said."""

from pathlib import Path

import pytest

from healthsync_mqtt.adapters.catalogue import SHIPPED, known
from tests.unit.adapters.mapping.test_mappings import MINE

POINTS = """
[healthsync.adapters]
a_function = their_package.scales:register
a_module = their_package.cuffs
absent = their_package.nothing
an_exit = their_package.ended
other = their_package.other:NUMBER
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package, about = tmp_path / "their_package", tmp_path / "their_package-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").touch()
    (package / "scales.py").write_text(MINE.replace('"mine"', '"scales"'))
    (package / "cuffs.py").write_text(MINE.replace('"mine"', '"cuffs"'))
    (package / "other.py").write_text("NUMBER = 7\n")
    (package / "ended.py").write_text("import sys\nsys.exit(3)\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_module_or_its_register_is_an_adapter_and_a_broken_one_leaves_the_others_alone(packages: Path) -> None:
    (packages / "folder").mkdir()
    (packages / "folder" / "mine.py").write_text(MINE)
    (packages / "folder" / "ended.py").write_text("raise SystemExit\n")
    found = known(packages / "folder")
    assert list(found.adapters) == [*SHIPPED, "scales", "cuffs", "mine"]
    assert sorted(each.where.rpartition("/")[2] for each in found.broken) == [
        "ended.py", "their_package.ended (entry point an_exit)", "their_package.nothing (entry point absent)",
        "their_package.other:NUMBER (entry point other)",
    ]  # fmt: skip
    assert all(each.why for each in found.broken)
