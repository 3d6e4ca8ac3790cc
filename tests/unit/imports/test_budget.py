"""What an import unfolds to and keeps has one budget, however many archives are in it; a refusal names the place."""

import gzip
import io
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.imports import source
from healthsync_mqtt.imports.source import members_of


def zipped(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return found.getvalue()


def names(path: Path) -> list[str]:
    with ExitStack() as opened:
        return [member.name for member, _ in members_of(path, opened)]


def inner(count: int, size: int, *, noise: bytes = b"") -> dict[str, bytes]:
    """So many archives with a file of so many bytes each."""
    return {f"part-{n:03}.zip": zipped({f"{n}.txt": noise + b"x" * size}, zipfile.ZIP_STORED) for n in range(count)}


def test_archives_in_an_archive_are_kept_up_to_one_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(zipped(inner(10, 1000), zipfile.ZIP_STORED))
    assert len(names(path)) == 10
    monkeypatch.setattr(source, "_MOST_KEPT", 5_000)
    with pytest.raises(InputError, match=r"^part-004\.zip: the archives within archives") as refused:
        names(path)
    assert "folder" in refused.value.hint


def test_the_bound_counts_all_archives_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        (tmp_path / f"all-{n}.zip").write_bytes(zipped(inner(2, 1000), zipfile.ZIP_STORED))
    assert len(names(tmp_path)) == 6
    monkeypatch.setattr(source, "_MOST_KEPT", 5_000)
    with pytest.raises(InputError, match=r"part-000\.zip"):
        names(tmp_path)


def test_what_is_kept_in_memory_is_bounded_altogether(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory: list[int] = []
    real = tempfile.SpooledTemporaryFile

    def spooled(most: int) -> object:
        in_memory.append(most)
        return real(most)

    monkeypatch.setattr(source, "_IN_MEMORY", 3_000)
    monkeypatch.setattr(source.tempfile, "SpooledTemporaryFile", spooled)
    path = tmp_path / "all.zip"
    path.write_bytes(zipped(inner(10, 1000), zipfile.ZIP_STORED))
    assert len(names(path)) == 10
    assert in_memory[0] == 3_000
    assert len(in_memory) == 3, "the others go to the disk at once"
    assert all(most > 0 for most in in_memory), "0 would be no bound"
    assert sorted(in_memory, reverse=True) == in_memory


def test_unfolding_twice_is_bounded_by_what_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_RATIO_FROM", 100_000)
    once = {f"{n}.zip": zipped({"a.txt": b"\0" * 90_000}) for n in range(40)}
    path = tmp_path / "all.zip"
    path.write_bytes(zipped(once))
    budget = path.stat().st_size * source._MOST_RATIO
    assert budget < 40 * 90_000
    with pytest.raises(InputError, match=r"^\d+\.zip: all archives up to this one unfold to \d+ bytes") as refused:
        names(path)
    assert "folder" in refused.value.hint


def test_gzips_count_once_however_often_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_RATIO_FROM", 100_000)
    for n in range(2):
        (tmp_path / f"{n}.gz").write_bytes(gzip.compress(b"\0" * 80_000))
    with ExitStack() as opened:
        found = members_of(tmp_path, opened)
        first, _ = next(found)
        for _ in range(5):
            assert len(first.whole()) == 80_000
        with pytest.raises(InputError, match=r"^1\.gz: all archives"):
            next(found)
        assert len(first.whole()) == 80_000
