"""A service whose event log is on a real PostgreSQL: ``storage.url``."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.pages import Typist, Walk, blocks
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, PASSWORD, Postgres, program, server_of_a_module
from tests.support.service import HEALTHSYNC, NotReadyError, Service, run_cli

pytestmark = NEEDED
server = server_of_a_module


@pytest.fixture
def data(server: Postgres, tmp_path: Path) -> Path:
    return server.directory(tmp_path / "data")


def test_a_service_works_on_it_and_goes_on_after_each_kill(server: Postgres, data: Path) -> None:
    with Service(data) as service:
        for user in ("alice", "bob"):
            service.cli("user", "add", user, "--consent", "all")
        assert _outcomes(data, _event("a", 60), _event("b", 61), _event("c", 900)) == ["stored", "stored", "rejected"]
        assert _outcomes(data, _event("a", 60), user="bob") == ["stored"]
        assert not (data / "events.db").exists()
        service.kill()
        service.start()
        assert _outcomes(data, _event("b", 61)) == ["duplicate"]
        server.kill()
        server.start()
        assert _outcomes(data, _event("a", 62, version=1), _event("d", 63)) == ["stored", "stored"]
        listed = service.cli("events", "list", "--user", "alice")
        assert [(each["id"], each["value"]["bpm"]) for each in listed] == [("b", 61), ("a", 62), ("d", 63)]
        assert [each["reason"] for each in service.cli("rejected", "list")] == ["out_of_range"]
        wait_until(lambda: service.cli("storage", "status")[0]["anchor"] == "whole")  # a moment after a commit
        [status] = service.cli("storage", "status")
        assert (status["events"], status["superseded"], status["rejected"]) == (5, 1, 1)
        assert "on the disk of this server, and on no other" in status["server"]["promise"]
        assert PASSWORD not in json.dumps([status, service.cli("config", "show")])
        findings = {each["check"]: each["grade"] for each in run_cli(data, "doctor", check=False)}
        assert (findings["postgresql"], findings["event log"]) == ("good", "good")
        [erased] = service.cli("user", "erase", "alice", "--yes", "--reason", "asked for")
        assert erased["erased"]
        assert [each["user_id"] for each in service.cli("events", "list", "--history")] == ["bob"]
        assert service.cli("rejected", "list") == []
    said = [line for line in service.log_tail(1_000_000).splitlines() if "storage.server" in line]
    assert len(said) == 2, "at each start"
    assert all("on the disk of this server, and on no other" in line for line in said)
    assert PASSWORD not in service.log_tail(1_000_000)
    files = [path for path in data.rglob("*") if path.is_file() and path.name != "secret"]
    assert [path.name for path in files if PASSWORD.encode() in path.read_bytes()] == []


def test_two_services_do_not_write_one_log(data: Path, server: Postgres, tmp_path: Path) -> None:
    other = server.directory(tmp_path / "other", like=data)
    with Service(data), pytest.raises(NotReadyError, match="another service writes this event log"):
        Service(other).start()


def test_a_service_with_a_broker_of_its_own_shares_no_log(data: Path) -> None:
    with (data / "healthsync.toml").open("a") as settings:
        settings.write("shared = true\n")
    with pytest.raises(NotReadyError, match=r"storage\.shared is for bridges of an external broker"):
        Service(data).start()


def test_a_log_that_lost_rows_is_refused_until_it_is_accepted(server: Postgres, data: Path) -> None:
    """As after a failover to a standby that was behind."""
    with Service(data) as service:
        service.cli("user", "add", "alice", "--consent", "all")
        _outcomes(data, _event("a", 60), _event("b", 61))
        [before] = service.cli("storage", "status")
        service.stop()
        server.execute("DELETE FROM healthsync.log WHERE seq = 2", of=data)
        server.execute("UPDATE healthsync.head SET seq = 1", of=data)
        with pytest.raises(NotReadyError, match="has lost rows at its end"):
            service.start()
        service.start("--accept-restored")
        [after] = service.cli("storage", "status")
        assert (after["head"], after["anchor"]) == (1, "whole")
        assert after["epoch"] != before["epoch"]


def test_a_log_that_is_in_the_directory_is_not_left_behind(data: Path) -> None:
    (data / "events.db").touch()
    with pytest.raises(NotReadyError, match="its events would be left behind"):
        Service(data).start()


def test_backups_would_leave_out_the_log(data: Path, tmp_path: Path) -> None:
    with Service(data):
        pass
    made = subprocess.run(
        [*HEALTHSYNC, "backup", "create", str(tmp_path / "sets"), "--data", str(data)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert made.returncode
    assert "the event log is on PostgreSQL" in made.stderr
    with (data / "healthsync.toml").open("a") as settings:
        settings.write(f'[backup]\ndirectory = "{tmp_path / "sets"}"\n')
    with pytest.raises(NotReadyError, match=r"backup\.directory is for a log in the data directory"):
        Service(data).start()


def test_the_howto_is_typed(server: Postgres, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "healthsync").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from healthsync_mqtt.cli.main import main; main()" "$@"\n'
    )
    (programs / "healthsync").chmod(0o755)
    folder = Path(str(program("createdb"))).parent
    env = os.environ | {
        "PATH": f"{programs}:{folder}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(server.port),
        "PGUSER": "healthsync_admin", "PGPASSWORD": PASSWORD, "HEALTHSYNC_DATA": str(tmp_path / "data"),
    }  # fmt: skip
    server.execute("CREATE ROLE healthsync_admin SUPERUSER LOGIN PASSWORD 'a-secret-of-the-tests'")
    # The server's superuser is called as the page calls the role that it makes.
    swaps = {"healthsync LOGIN": "healthsync_page LOGIN", "--owner healthsync ": "--owner healthsync_page "}
    ready = (tmp_path / "data" / "service.json").exists
    up = {"healthsync up": "healthsync up --mqtt-port 0 --mqtts-port 0 --wss-port 0"}
    typist = Typist(cwd=tmp_path, env=env, swaps=swaps | up, stays={"healthsync up": ready})
    try:
        walk = Walk("docs/howto/postgresql.md", typist)
        walk.go(2)
        settings, *_ = [block for block in blocks("docs/howto/postgresql.md") if block.language == "toml"]
        text = settings.text.replace("healthsync@localhost", f"healthsync_page@localhost:{server.port}")
        (tmp_path / "data" / "healthsync.toml").write_text(text)
        walk.go(1)
        typist.close()
        file = tmp_path / "data" / "healthsync.toml"
        file.rename(tmp_path / "settings")
        with open_log(tmp_path / "data") as log:
            log.stage([item("moved")], [], NOW_US)
            log.commit()
        (tmp_path / "settings").rename(file)
        walk.go(1)
        listed = subprocess.check_output([programs / "healthsync", "events", "list", "--json"], cwd=tmp_path, env=env)
        assert [json.loads(line)["id"] for line in listed.splitlines()] == ["moved"]
        walk.done()
    finally:
        typist.close()


def _event(event_id: str, bpm: int, **more: Any) -> dict[str, Any]:
    start = "2026-01-01T00:00:00Z"
    return {"id": event_id, "type": "heart_rate", "start_time": start, "value": {"bpm": bpm}, **more}


def _outcomes(data: Path, *events: dict[str, Any], user: str = "alice") -> list[str]:
    done = subprocess.run(
        [*HEALTHSYNC, "publish", "-", "--user", user, "--device", "watch", "--json"],
        env=os.environ | {"HEALTHSYNC_DATA": str(data)}, input=json.dumps(events).encode(),
        capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return [json.loads(line)["outcome"] for line in done.stdout.splitlines()]
