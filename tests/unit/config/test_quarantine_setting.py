"""``[quarantine]``: from the file, and what the log of a service then keeps."""

from pathlib import Path

from bridge.ground import ground
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.testing.log_items import NOW_US, rejected


async def test_the_quotas_of_the_settings_hold_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "healthsync.toml").write_text(
        "[quarantine]\ndevice_bytes = 2048\nuser_bytes = 4096\ntotal_bytes = 8192\nrow_bytes = 1024\ndays = 7\n"
    )
    settings = load_settings(tmp_path)
    assert settings.quarantine.days == 7
    with ground(settings) as base:
        base.journal.write([], [rejected(event_id=f"e{n}", raw=b"x" * 2000) for n in range(9)], NOW_US)
        base.journal._log.commit()
        rows = base.reader.rejected()
    assert [row.event_id for row in rows] == ["e8"]
    assert [len(row.raw) for row in rows] == [1024]
