"""A spool is read from anywhere as what was written, by who has the key, and is nothing to anybody else."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from healthsync_mqtt.keys import spool

KEY = bytes(range(32))
LENGTHS = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_001]


def written(path: Path, *pieces: bytes) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    writer = spool.SpoolWriter(descriptor, KEY)
    for piece in pieces:
        writer.write(piece)
    writer.finish()
    os.close(descriptor)
    spool.hand_over(path, KEY)
    return path


def content(length: int) -> bytes:
    return b"".join(b"%07d," % number for number in range(length // 8 + 1))[:length]


@pytest.mark.parametrize("length", LENGTHS)
def test_it_is_what_was_written_in_whatever_pieces(tmp_path: Path, length: int) -> None:
    said = content(length)
    path = written(tmp_path / "it", said[: length // 3], said[length // 3 :])
    assert spool.size_of(path) == length
    with spool.buffered(path) as file:
        assert file.read() == said
        for at in (0, length // 2, max(0, length - 5)):
            assert file.seek(at) == at
            assert file.read(70_000) == said[at : at + 70_000]
        assert file.seek(-min(3, length), io.SEEK_END) == length - min(3, length)
        assert file.read() == said[length - min(3, length) :]


def test_an_archive_is_read_out_of_it(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("marker.csv", content(300_000))
    path = written(tmp_path / "it", packed.getvalue())
    assert b"marker" not in path.read_bytes()
    with spool.buffered(path) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("marker.csv") == content(300_000)


@pytest.mark.parametrize("change", ["flip", "cut", "cut_piece", "swap", "longer"])
def test_what_is_not_what_was_written_is_an_error(tmp_path: Path, change: str) -> None:
    path = written(tmp_path / "it", content(200_000))
    raw, piece = path.read_bytes(), 65_552
    path.write_bytes(
        {
            "flip": raw[:70_000] + bytes([raw[70_000] ^ 1]) + raw[70_001:],
            "cut": raw[:-1],
            "cut_piece": raw[: 2 * piece],
            "swap": raw[piece : 2 * piece] + raw[:piece] + raw[2 * piece :],
            "longer": raw + b"x",
        }[change]
    )
    with spool.buffered(path) as file, pytest.raises(OSError, match="not what was written"):
        file.read()


def test_another_key_reads_nothing_and_other_files_are_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "it", b"a marker")
    assert b"marker" not in path.read_bytes()
    spool.hand_over(path, bytes(32))
    with spool.buffered(path) as file, pytest.raises(OSError, match="not what was written"):
        file.read()
    other = tmp_path / "other"
    other.write_bytes(b"plain")
    with spool.buffered(other) as file:
        assert (file.read(), spool.size_of(other)) == (b"plain", 5)
