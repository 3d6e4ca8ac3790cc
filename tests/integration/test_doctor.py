"""doctor finds what is broken, says a fix that cures it, and is right beside a running service."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli.doctor.databases import databases
from healthsync_mqtt.cli.doctor.finding import Grade
from tests.support.service import HEALTHSYNC, Service, run_cli

DATABASES = ("events.db", "registry.db", "audit.db", "sessions.db", "homeassistant.db", "summaries.db")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of a service that has run."""
    data = tmp_path_factory.mktemp("doctor") / "data"
    with Service(data) as service:
        service.cli("user", "add", "alice", "--consent", "all")
        service.cli("device", "add", "alice", "watch")
        (found,) = [each for each in examined(data) if each["check"] == "service"]
        assert found["grade"] == "good"
        assert bad(data) == [], "beside a running service"
        whole = {each["check"] for each in examined(data) if each["message"] == "whole"}
        assert whole == set(DATABASES) - {"sessions.db"}  # the service alone has that one
    return data


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(stopped, copy)
    copy.chmod(0o700)
    return copy


def examined(data: Path) -> list[dict[str, Any]]:
    return run_cli(data, "doctor", check=False)


def bad(data: Path) -> list[dict[str, Any]]:
    return [each for each in examined(data) if each["grade"] == "bad" and not each["check"].startswith("port ")]


def scribble(path: Path) -> None:
    """Damage that no start of SQLite sees: bytes in the middle of the pages."""
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for at in range(4096, size, 4096):
            file.seek(at)
            file.write(b"\xff" * 64)


@pytest.mark.parametrize("name", DATABASES)
def test_a_damaged_database_is_found_and_named(data: Path, name: str) -> None:
    scribble(data / name)
    found = {finding.check: finding for finding in databases(data)}
    assert found[name].grade is Grade.BAD
    assert found[name].fix
    assert {finding.grade for check, finding in found.items() if check != name} == {Grade.GOOD}


def test_a_database_that_takes_too_long_is_not_read_to_its_end(data: Path) -> None:
    findings = list(databases(data, within_s=-1.0))
    assert findings
    assert all(finding.grade is not Grade.BAD for finding in findings)


@pytest.mark.parametrize("part", ["registry.db", "keys/keyring.json", "certs/ca.crt", "keys/audit.key"])
def test_a_part_that_is_gone_is_named(data: Path, part: str) -> None:
    (data / part).unlink()
    assert any(part in each["message"] and "backup" in each["fix"] for each in bad(data))


def test_what_up_makes_new_is_said_loudly(data: Path, tmp_path: Path) -> None:
    for path in (data / "keys").iterdir():
        if path.name != "outer.json":  # without it nothing that is sealed opens, and `up` refuses
            path.unlink()
    (data / "audit.db").unlink()
    with Service(data) as service:
        said = service.log_tail()
    assert f"WARNING: {data / 'keys/keyring.json'} was missing and is made new: every token" in said
    with Service(data) as service:
        pass
    assert service.log_tail().count("WARNING") == 2, "the second start found everything"
    with Service(tmp_path / "fresh") as service:
        pass
    assert "WARNING" not in service.log_tail()


def loose_key(data: Path) -> None:
    next((data / "keys").glob("*.pem")).chmod(0o644)


def loose_settings(data: Path) -> None:
    (data / "healthsync.toml").write_text("")
    (data / "healthsync.toml").chmod(0o666)


def no_consent(data: Path) -> None:
    run_cli(data, "user", "add", "bob", "--consent", "none")


def suspended_sink(data: Path) -> None:
    run_cli(data, "sink", "add", "file", str(data.parent / "out"))
    run_cli(data, "sink", "suspend", "file")


def damaged_sessions(data: Path) -> None:
    scribble(data / "sessions.db")


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        (loose_key, "files"), (loose_settings, "settings file"), (no_consent, "consent"), (suspended_sink, "sink file"),
        (damaged_sessions, "sessions.db"),
    ],
)  # fmt: skip
def test_a_printed_fix_that_is_a_command_cures(data: Path, breaks: Callable[[Path], None], check: str) -> None:
    breaks(data)
    (finding,) = [each for each in examined(data) if each["check"] == check]
    assert finding["grade"] != "good"
    _typed(finding["fix"], data)
    after = [each for each in examined(data) if each["check"] == check]
    assert {each["grade"] for each in after} <= {"good"}, after


def _typed(fix: str, data: Path) -> None:
    """What a reader types of a fix: the command in it, without the words around it."""
    command = fix.removeprefix("stop the service, then: ").split(";")[0].split(", once")[0]
    words = shlex.split(command)
    words = [*HEALTHSYNC, *words[1:]] if words[0] == "healthsync" else words
    done = subprocess.run(words, env=os.environ | {"HEALTHSYNC_DATA": str(data)}, check=False, capture_output=True)
    assert done.returncode == 0, (fix, done.stderr)


def test_the_registry_is_not_held_for_long(data: Path) -> None:
    """Writers of the registry wait for longer than doctor may read."""
    from healthsync_mqtt.cli.doctor.databases import WITHIN_S
    from healthsync_mqtt.identity.people.schema import BUSY_TIMEOUT_S

    assert WITHIN_S < BUSY_TIMEOUT_S
