"""``[storage]``: from the file, and how the log of a service is then stored."""

from pathlib import Path

import apsw
import pytest

from bridge.ground import ground
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.storage.opening import Encryption, encryption
from healthsync_mqtt.testing.log_items import NOW_US, item


@pytest.mark.parametrize(("mode", "stored"), [("none", None), ("rows", 1)])
async def test_a_new_log_is_sealed_as_the_setting_says(tmp_path: Path, mode: str, stored: int | None) -> None:
    (tmp_path / "healthsync.toml").write_text(f'[storage]\nencryption = "{mode}"\n')
    assert encryption(tmp_path) == Encryption()
    with ground(load_settings(tmp_path)) as base:
        base.journal.write([item("a"), item("b", "bob")], [], NOW_US)
        base.journal._log.commit()
        assert [row.id for row in base.reader.read(0, 9)] == ["a", "b"]
    rows = apsw.Connection(str(tmp_path / "events.db")).execute("SELECT DISTINCT sealed FROM log").fetchall()
    assert rows == [(stored,)]
    assert (b'"bpm"' in (tmp_path / "events.db").read_bytes()) == (mode == "none")
    found = encryption(tmp_path)
    assert found == (Encryption() if mode == "none" else Encryption("rows", "file", 2, 0))


async def test_a_log_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    for mode in ("none", "rows"):
        (tmp_path / "healthsync.toml").write_text(f'[storage]\nencryption = "{mode}"\n')
        with ground(load_settings(tmp_path)) as base:
            base.journal.write([item(mode)], [], NOW_US)
            base.journal._log.commit()
    assert encryption(tmp_path).mode == "none"


def test_a_log_in_the_data_directory_is_not_shared(tmp_path: Path) -> None:
    (tmp_path / "healthsync.toml").write_text("[storage]\nshared = true\n")
    with pytest.raises(ConfigError, match="shared is for url"):
        load_settings(tmp_path)
