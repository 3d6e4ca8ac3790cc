"""``retention.days``: by type, from the file or the environment."""

from pathlib import Path

import pytest

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError


def test_everything_is_kept_by_default_and_file_and_environment_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(tmp_path).retention.days == {}
    (tmp_path / "healthsync.toml").write_text("[retention]\ndays = { heart_rate = 90, steps = 730 }\n")
    assert load_settings(tmp_path).retention.days == {"heart_rate": 90, "steps": 730}
    monkeypatch.setenv("HEALTHSYNC_RETENTION__DAYS", '{"steps": 365}')
    assert load_settings(tmp_path).retention.days == {"heart_rate": 90, "steps": 365}


@pytest.mark.parametrize("days", ["{ pulse = 90 }", "{ heart_rate = 0 }", "{ heart_rate = 36501 }", "90"])
def test_unknown_types_and_impossible_days_are_refused(tmp_path: Path, days: str) -> None:
    (tmp_path / "healthsync.toml").write_text(f"[retention]\ndays = {days}\n")
    with pytest.raises(ConfigError, match="retention"):
        load_settings(tmp_path)
