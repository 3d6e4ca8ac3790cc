"""A log that is not the one that its directory had is refused, and taken only with a new epoch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.storage.anchor import AnchorComparison, AnchorVerdict, RestoredError
from healthsync_mqtt.storage.opening import compare_with_anchor
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item

FILES = ("events.db", "events.db-wal")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def store(path: Path, *ids: str, at_us: int = NOW_US) -> str:
    """Store some events in a life of the log; its epoch."""
    with SqliteEventLog.open(path) as log:
        for event_id in ids:
            log.stage([item(event_id)], [], at_us)
            log.commit()
        return log.epoch


def copy(directory: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for name in FILES:
        (to / name).unlink(missing_ok=True)
        if (directory / name).exists():
            shutil.copy(directory / name, to / name)


def put_back_older(path: Path) -> None:
    store(path, "a", "b")
    copy(path.parent, path.parent / "backup")
    store(path, "c")
    copy(path.parent / "backup", path.parent)


def put_back_older_and_grown(path: Path) -> None:
    """A backup that others have pushed past what it had lost."""
    store(path, "a")
    copy(path.parent, path.parent / "backup")
    store(path, "b")
    anchor = path.with_suffix(".anchor").read_bytes()
    copy(path.parent / "backup", path.parent)
    path.with_suffix(".anchor").unlink()
    store(path, "b", "c", "d", at_us=NOW_US + 1)
    path.with_suffix(".anchor").write_bytes(anchor)


def swap(path: Path) -> None:
    other = path.parent / "other"
    other.mkdir()
    store(other / "events.db", "a", "b", "c")
    store(path, "a", "b")
    copy(other, path.parent)


def lose_the_wal(path: Path) -> None:
    log = SqliteEventLog.open(path)
    log.stage([item("a")], [], NOW_US)
    log.commit()
    log.anchor()
    killed = path.parent / "killed"
    copy(path.parent, killed)
    log.close()
    copy(killed, path.parent)
    path.with_name("events.db-wal").unlink()


def lose_the_file(path: Path) -> None:
    store(path, "a")
    path.unlink()


def damage_the_anchor(path: Path) -> None:
    store(path, "a")
    path.with_suffix(".anchor").write_bytes(b'{"epoch": 1}')


@pytest.mark.parametrize(
    ("harm", "verdict"),
    [
        (put_back_older, AnchorVerdict.SHORTER),
        (put_back_older_and_grown, AnchorVerdict.OTHER_ROWS),
        (swap, AnchorVerdict.OTHER_EPOCH),
        (lose_the_wal, AnchorVerdict.SHORTER),
        (lose_the_file, AnchorVerdict.MISSING),
        (damage_the_anchor, AnchorVerdict.UNREADABLE),
    ],
)
def test_another_log_is_refused_until_it_is_accepted_and_then_has_a_new_epoch(
    path: Path, harm: Callable[[Path], None], verdict: AnchorVerdict
) -> None:
    harm(path)
    before = path.exists()
    with pytest.raises(RestoredError) as caught:
        SqliteEventLog.open(path)
    assert caught.value.reason == "log_restored"
    assert not caught.value.retryable
    assert "healthsync up --accept-restored" in caught.value.hint
    assert path.exists() == before, "a refusal creates nothing"
    seen = compare_with_anchor(path.parent)
    assert seen.verdict is verdict
    assert not seen.sound
    with SqliteEventLog.open(path, accept_restored=lambda _seen, _epoch: None) as log:
        minted = log.epoch
        log.stage([item("new")], [], NOW_US)
        log.commit()
    assert minted != seen.epoch
    assert store(path, "newer") == minted, "the new epoch stays"
    assert compare_with_anchor(path.parent).verdict is AnchorVerdict.WHOLE


def test_an_acceptance_that_cannot_be_written_down_leaves_the_log_as_it_is(path: Path) -> None:
    epoch = store(path, "a")
    path.with_suffix(".anchor").write_text("no anchor")

    def told(seen: AnchorComparison, minted: str) -> None:
        assert (seen.verdict, minted) != (AnchorVerdict.WHOLE, epoch)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        SqliteEventLog.open(path, accept_restored=told)
    with pytest.raises(RestoredError):
        SqliteEventLog.open(path)
    with SqliteEventLog.open(path, accept_restored=lambda _seen, _epoch: None) as log:
        assert log.epoch != epoch


def test_a_directory_of_before_opens_and_gets_its_anchor(path: Path) -> None:
    epoch = store(path, "a")
    path.with_suffix(".anchor").unlink()
    assert compare_with_anchor(path.parent).verdict is AnchorVerdict.UNANCHORED
    assert store(path) == epoch
    anchor = json.loads(path.with_suffix(".anchor").read_bytes())
    assert (anchor["epoch"], anchor["head"]) == (epoch, 1)
    assert path.with_suffix(".anchor").stat().st_mode & 0o777 == 0o600


def test_a_kill_after_the_anchor_or_before_it_is_no_restore(path: Path) -> None:
    killed = path.parent / "killed"
    with SqliteEventLog.open(path) as log:
        log.stage([item("a"), item("b")], [], NOW_US)
        log.commit()
        log.anchor()
        log.stage([item("c")], [], NOW_US)
        log.commit()
        copy(path.parent, killed)
        shutil.copy(path.with_suffix(".anchor"), killed)
    with SqliteEventLog.open(killed / "events.db") as log:
        assert log.head() == 3


def test_purged_rows_are_still_the_rows_that_were_here(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        log.purge("heart_rate", NOW_US + 1, [1])
        log.commit()
    assert store(path, "b")


def test_an_anchor_that_cannot_be_written_is_told_and_harms_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with SqliteEventLog.open(path) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        with monkeypatch.context() as patched:
            patched.setattr("healthsync_mqtt.storage.anchor.write_durably", full)
            log.anchor()
            assert log.health().anchor_failing
        log.anchor()
        assert (log.health().anchor_failing, log.health().anchored) == (False, 1)
