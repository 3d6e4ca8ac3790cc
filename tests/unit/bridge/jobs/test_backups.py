"""The schedule: when a set is due, what is said of the last one, and that a failure is tried again and told."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bridge.jobs.backups import Backups
from healthsync_mqtt.backup import worker
from healthsync_mqtt.backup.creation import make_backup
from healthsync_mqtt.backup.place import BackupDirectory
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.sections import BackupSettings
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import item
from tests.support.patience import PATIENCE_S

NOW_US = 1_790_000_000_000_000
_HOUR_US = 3_600_000_000


def scheduled(tmp_path: Path, *answers: dict, every_s: float = 3600.0) -> tuple[Backups, Path]:
    """A schedule whose process says the next of these each time, and writes down that it was asked."""
    for number, answer in enumerate(answers):
        (tmp_path / f"answer-{number}.json").write_text(json.dumps(answer))
    program = (
        "import pathlib, sys; place = pathlib.Path(sys.argv[1]); asked = len(list(place.glob('asked-*')));"
        "(place / f'asked-{asked}').write_text(' '.join(sys.argv[2:]));"
        "print((place / f'answer-{asked}.json').read_text())"
    )
    settings = BackupSettings(directory=tmp_path / "place", every_s=every_s, keys_file=tmp_path / "keys.tar")
    command = (sys.executable, "-c", program, str(tmp_path))
    return Backups(tmp_path / "data", settings, None, command=command, clock_us=lambda: NOW_US), tmp_path


async def until(backups: Backups, key: str, value: object) -> None:
    running = asyncio.create_task(backups.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while backups.report().get(key) != value:
                assert not running.done(), running.result()
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("directory", "keys_file"),
    [("data/backups", None), ("link/backups", None), ("sets", "sets/keys.tar"), ("sets", "link/keys.tar")],
)
def test_a_place_that_is_lost_with_the_data_or_has_its_keys_is_refused(
    tmp_path: Path, directory: str, keys_file: str | None
) -> None:
    """As `backup create` refuses it, by whatever name."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    keys = None if keys_file is None else tmp_path / keys_file
    about = BackupSettings(directory=tmp_path / directory, keys_file=keys)
    for data in ("data", "link"):
        with pytest.raises(ConfigError) as refused:
            Backups.of(Settings(data=tmp_path / data, backup=about))
        assert refused.value.hint


async def test_the_first_is_made_at_once_and_told(tmp_path: Path) -> None:
    backups, place = scheduled(tmp_path, {"made": {"set": "s1", "made_us": NOW_US, "bytes": 7}})
    assert backups.report()["state"] == "waiting"
    await until(backups, "set", "s1")
    report = backups.report()
    assert (report["state"], report["failures"], report["bytes"], report["age_s"]) == ("waiting", 0, 7, 0.0)
    asked = (place / "asked-0").read_text()
    assert f"--keys-file {place / 'keys.tar'}" in asked
    assert f"--hourly=24 --daily=7 --weekly=5 {place / 'data'} {place / 'place'}" in asked


async def test_a_failure_is_told_with_its_fix_and_counted(tmp_path: Path) -> None:
    backups, _ = scheduled(tmp_path, {"failed": {"reason": "store_failed", "message": "full", "fix": "make room"}})
    await until(backups, "failures", 1)
    report = backups.report()
    assert (report["state"], report["reason"], report["fix"]) == ("failed", "store_failed", "make room")


async def test_a_process_that_says_nothing_is_a_failure(tmp_path: Path) -> None:
    backups, _ = scheduled(tmp_path)
    await until(backups, "failures", 1)
    assert backups.report()["reason"] == "process_ended"


async def test_a_set_that_is_young_enough_is_not_made_again(tmp_path: Path) -> None:
    data = _data(tmp_path)
    make_backup(data, BackupDirectory.make(tmp_path / "place"), now_us=NOW_US - _HOUR_US // 2)
    backups, place = scheduled(tmp_path, {"made": {"set": "s1", "made_us": NOW_US}})
    await until(backups, "age_s", 1800.0)
    assert not list(place.glob("asked-*"))


async def test_one_that_is_old_is_followed_by_the_next(tmp_path: Path) -> None:
    data = _data(tmp_path)
    make_backup(data, BackupDirectory.make(tmp_path / "place"), now_us=NOW_US - 2 * _HOUR_US)
    backups, _ = scheduled(tmp_path, {"made": {"set": "s2", "made_us": NOW_US}})
    await until(backups, "set", "s2")


async def test_one_of_the_future_holds_nothing_up(tmp_path: Path) -> None:
    make_backup(_data(tmp_path), BackupDirectory.make(tmp_path / "place"), now_us=NOW_US + 48 * _HOUR_US)
    backups, _ = scheduled(tmp_path, *[{"made": {"set": "s2", "made_us": NOW_US}}] * 99)  # it makes none in truth
    await until(backups, "set", "s2")


def test_without_a_directory_there_is_no_schedule(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert Backups.of(Settings(data=data)) is None
    assert Backups.of(Settings(data=data, backup=BackupSettings(directory=tmp_path / "place"))) is not None


def test_the_worker_keeps_what_is_to_be_kept_and_writes_the_keys(tmp_path: Path, capsys, monkeypatch) -> None:
    data, place, keys = _data(tmp_path), tmp_path / "place", tmp_path / "keys.tar"
    monkeypatch.setattr(worker, "end_with_parent", lambda: None)  # stdin is not a service's here
    directory = BackupDirectory.make(place)
    for hours in range(1, 6):
        with open_log(data) as log:
            log.stage([item(f"h{hours}")], [], NOW_US)
            log.commit()
        make_backup(data, directory, now_us=NOW_US - hours * _HOUR_US)
    words = [f"--keys-file={keys}", "--hourly=2", "--daily=0", "--weekly=0", str(data), str(place)]
    assert worker.main(words) == 0
    said = json.loads(capsys.readouterr().out)["made"]
    assert (said["sets"], len(directory.ids())) == (2, 2)
    assert said["set"] == directory.ids()[-1]
    needed = set().union(*(directory.read_set(name).chunks() for name in directory.ids()))
    assert {path.name for path in (place / "objects").glob("*/*")} == needed
    assert keys.exists()
    assert worker.main([*words[1:-2], str(tmp_path / "nothing"), str(place)]) != 0
    assert json.loads(capsys.readouterr().out)["failed"]["reason"] == "not_found"


def _data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    DataDirectory(data).audit("user.added")
    with open_log(data) as log:
        log.commit()
    return data


async def test_its_process_makes_a_set(tmp_path: Path) -> None:
    backups = Backups(_data(tmp_path), BackupSettings(directory=tmp_path / "place"), None)
    running = asyncio.create_task(backups.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not backups.report().get("set"):
                assert not running.done(), running.result()
                assert "message" not in backups.report(), backups.report()
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert BackupDirectory.open(tmp_path / "place").ids() == [backups.report()["set"]]
