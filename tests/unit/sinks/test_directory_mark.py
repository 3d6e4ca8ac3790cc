"""Which directory of sinks it is: links are the same one, copies are others."""

import shutil
from pathlib import Path

import pytest

from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.sinks.directory_mark import known_mark, made_mark


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    Sinks(data).put(made(kind="file", name="file", path=str(tmp_path / "out")))
    return Sinks(data).directory


def test_it_is_made_once_and_is_no_sink(directory: Path) -> None:
    assert known_mark(directory) == ""
    mark = made_mark(directory)
    assert mark
    assert {made_mark(directory), known_mark(directory)} == {mark}
    assert Sinks(directory.parent).names() == ["file"]


def test_a_link_is_the_same_and_so_is_one_that_was_moved(directory: Path, tmp_path: Path) -> None:
    mark = made_mark(directory)
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    (other / "sinks").symlink_to(directory)
    assert known_mark(other / "sinks") == made_mark(other / "sinks") == mark
    assert Sinks(other).home == directory.parent
    directory.rename(tmp_path / "away")
    assert known_mark(tmp_path / "away") == mark


def test_a_copy_is_another_one_with_every_file_as_it_was(directory: Path, tmp_path: Path) -> None:
    mark = made_mark(directory)
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))
    assert (copy / "directory.id").read_bytes() == (directory / "directory.id").read_bytes()
    assert known_mark(copy) not in {"", mark}
    assert made_mark(copy) == known_mark(copy)
