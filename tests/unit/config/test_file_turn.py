"""A lock on a file: one has it, nobody waits, and it is given back."""

from pathlib import Path

import pytest

from healthsync_mqtt.config.file_turn import FileTurn


def test_one_has_it_until_it_is_left(tmp_path: Path) -> None:
    first, second = FileTurn(tmp_path / "a.lock"), FileTurn(tmp_path / "a.lock")
    assert first.take()
    assert first.take(), "it still has it"
    assert not second.take()
    first.leave()
    first.leave()
    assert second.take()
    second.leave()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"a\.lock"):
        FileTurn(tmp_path / "a.lock").take()
    assert not (tmp_path / "elsewhere").exists()
