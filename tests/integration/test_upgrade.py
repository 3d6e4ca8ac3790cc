"""docs/upgrade.md: a data directory of each release goes on with this version, and goes back as promised."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.opening import open_log
from tests.fixtures.make_release_v0_1 import ARCHIVE, PROGRAM, give_audit_key
from tests.support.service import Service, run_cli

NEW = {"id": "new-1", "type": "heart_rate", "start_time": "2026-11-24T06:00:00Z", "value": {"bpm": 62}}
OLD = {"id": "old-1", "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 61}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of the release, with the key that belongs to it."""
    target = tmp_path / "data"
    target.mkdir(mode=0o700)
    give_audit_key(target)
    return unpacked(ARCHIVE, target)


def unpacked(file: Path, target: Path) -> Path:
    with tarfile.open(file) as archive:
        # Python 3.11 has filters since 3.11.4, and Debian 12 ships 3.11.2; the archives are our own.
        archive.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return target


def told(listed: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((event["id"], event["version"]) for event in listed)


def content(file: Path) -> tuple[int, str]:
    """Schema and rows of a database."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        return version, hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()


def publish(data: Path, event: dict[str, Any]) -> str:
    file = data.parent / f"{event['id']}.json"
    file.write_text(json.dumps(event))
    return str(run_cli(data, "publish", str(file), "--user", "alice", "--device", "watch")[0]["outcome"])


def test_a_directory_of_the_first_release_goes_on_with_all_it_had(data: Path) -> None:
    with Service(data):
        assert [user["user_id"] for user in run_cli(data, "user", "list")] == ["alice", "bob"]
        assert told(run_cli(data, "events", "list", "--user", "alice")) == [("old-1", 0), ("old-2", 1)]
        assert [row["reason"] for row in run_cli(data, "rejected", "list")] == ["out_of_range"]
        assert run_cli(data, "audit", "verify")[0]["ok"] is True
        assert publish(data, NEW) == "stored"
        assert publish(data, OLD) == "duplicate"
    assert told(run_cli(data, "events", "list", "--user", "alice")) == [("new-1", 0), ("old-1", 0), ("old-2", 1)]
    assert run_cli(data, "audit", "verify")[0]["ok"] is True


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the first release, kept beside its data: a clone need not have the history."""
    return unpacked(PROGRAM, tmp_path_factory.mktemp("release"))


def old(release: Path, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())",
            *words,
            "--json",
        ],
        cwd=release,
        env=os.environ | {"PYTHONPATH": str(release), "HEALTHSYNC_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_old_program_refuses_what_the_new_one_wrote_and_takes_the_copy(data: Path, release: Path) -> None:
    copy = data.with_name("copy")
    shutil.copytree(data, copy)
    with Service(data):
        publish(data, NEW)
    refused = old(release, data, "user", "list")
    assert refused.returncode == 78
    assert "use the newer release" in refused.stderr
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    back = old(release, data, "user", "list")
    assert [json.loads(line)["user_id"] for line in back.stdout.splitlines()] == ["alice", "bob"]
    events = old(release, data, "events", "list", "--user", "alice").stdout.splitlines()
    assert told([json.loads(line) for line in events]) == [("old-1", 0), ("old-2", 1)]


@pytest.mark.parametrize("name", ["registry.db", "events.db"])
def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(data: Path, name: str) -> None:
    with sqlite3.connect(data / name) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    before = content(data / name)
    opening = (lambda: Registry.open(data / name)) if name == "registry.db" else (lambda: open_log(data))
    with pytest.raises(HealthSyncError, match="999") as caught:
        opening()
    assert "newer release" in caught.value.hint or "upgrade" in caught.value.hint
    assert content(data / name) == before
