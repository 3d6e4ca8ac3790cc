"""healthsync sink …: tried before it is stored, changed, looked at, removed; doctor and exit codes say it."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthsync_mqtt.cli.doctor.finding import Grade
from healthsync_mqtt.cli.doctor.sinks import sinks as examined
from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.descriptions import outlets
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from tests.support import influx_double as canned
from tests.support.influx_double import InfluxDouble, Reply

Run = Callable[..., list[dict[str, Any]]]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def run(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
        words = ["sink", *arguments, "--data", str(data), "--json"]
        result = CliRunner().invoke(program(needed(words)), words)
        assert result.exit_code == code, (result.output, result.exception)
        return [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]

    return run


def test_a_sink_is_tried_before_it_is_stored_and_leaves_nothing_behind(
    run: Run, data: Path, server: InfluxDouble
) -> None:
    run("add", "influxdb", server.url)
    assert Sinks(data).names() == ["influxdb"]
    assert [request.path for request in server.requests] == [
        "/health", "/api/v2/write", "/api/v2/query", "/api/v2/delete",
    ]  # fmt: skip
    assert server.points == {}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (canned.UNAUTHORIZED, "unauthorized"), (canned.NO_BUCKET, "not_found"), (canned.FORBIDDEN, "forbidden"),
        (canned.LOGIN_PAGE, "unexpected_answer"),
    ],
)  # fmt: skip
def test_a_sink_that_would_not_ship_is_not_stored(
    run: Run, data: Path, server: InfluxDouble, reply: Reply, reason: str
) -> None:
    server.always = lambda request: server.real(request) if request.path == "/health" else reply
    (error,) = run("add", "influxdb", server.url, code=69)
    assert reason in json.dumps(error)
    assert "--no-test" in json.dumps(error)
    assert Sinks(data).names() == []
    run("add", "influxdb", server.url, "--no-test")
    assert Sinks(data).names() == ["influxdb"]


def test_a_server_that_deletes_no_points_is_found_before_it_is_a_sink(run: Run, server: InfluxDouble) -> None:
    server.always = lambda request: (
        Reply(404, "not found") if request.path == "/api/v2/delete" else server.real(request)
    )
    (error,) = run("add", "influxdb", server.url, code=69)
    assert "--deletes mark" in json.dumps(error)


PAGE = (Path(__file__).parents[2] / "docs/howto/influxdb.md").read_text(encoding="utf-8")
SERVERS = re.findall(r"^\| ([IV][^|]+) \| `([^`]+)`[^|]*\|$", PAGE, re.MULTILINE)


def test_each_command_of_the_page_is_a_sink(
    run: Run, data: Path, server: InfluxDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(SERVERS) == 5
    monkeypatch.setenv("INFLUX_TOKEN", "user:password")
    monkeypatch.chdir(tmp_path)
    Path("influx.token").touch(mode=0o600)
    Path("influx.token").write_text("token")
    first = SERVERS[0][1].partition(" --")[0]
    assert first == "healthsync sink add influxdb https://influx:8086"
    for number, (_, line) in enumerate(SERVERS):
        words = line.replace("…", first).replace("https://influx:8086", server.url).split()[2:]
        run(*words, "--name", f"s{number}", "--no-test")
    shown = [Sinks(data).influx(f"s{number}") for number in range(len(SERVERS))]
    assert [str(sink.dialect) for sink in shown] == ["v2", "v3", "v2", "v1", "victoria"]
    assert [sink.bucket for sink in shown] == ["health", "health", "health/autogen", "health", "healthsync"]


def test_nobody_at_the_url(run: Run, data: Path) -> None:
    run("add", "influxdb", NOBODY, code=69)
    run("add", "influxdb", NOBODY, "--no-test")
    run("test", "influxdb", code=69)
    (finding,) = examined(data)
    assert (finding.grade, "unreachable" in finding.message, bool(finding.fix)) == (Grade.BAD, True, True)


def test_set_changes_what_is_named_and_tests_it(run: Run, data: Path, server: InfluxDouble) -> None:
    run("add", "influxdb", server.url)
    before = Sinks(data).get("influxdb")
    server.buckets.add("other")
    run("set", "influxdb", "--bucket", "other", "--batch-bytes", "5000")
    assert Sinks(data).get("influxdb") == before.model_copy(update={"bucket": "other", "batch_bytes": 5000})
    run("set", "influxdb", "--url", NOBODY, code=69)
    assert Sinks(data).influx("influxdb").url == server.url
    run("set", "influxdb", code=2)
    run("set", "influxdb", "--file-bytes", "5000", code=2)
    run("set", "nobody", "--bucket", "x", code=1)


def test_show_list_suspend_resume_and_remove(run: Run, data: Path, server: InfluxDouble, tmp_path: Path) -> None:
    run("add", "influxdb", server.url)
    run("add", "file", str(tmp_path / "events"))
    assert [(row["sink"], row["kind"]) for row in run("list")] == [("file", "file"), ("influxdb", "influxdb")]
    run("suspend", "file")
    assert run("status", "file")[0]["reason"] == "paused_by_operator"
    assert [finding.grade for finding in examined(data)] == [Grade.NOTE, Grade.GOOD]
    run("resume", "file")
    (shown,) = run("show", "influxdb")
    assert (shown["target"], shown["status"]["state"]) == (server.url, "not started")
    SinkLedger.open(Sinks(data).ledger("influxdb")).close()
    run("remove", "influxdb", "--yes")
    assert Sinks(data).names() == ["file"]
    assert not Sinks(data).ledger("influxdb").exists()
    run("remove", "influxdb", "--yes", code=1)
    run("show", "influxdb", code=1)
    run("backfill", "file", code=2)
    run("reconcile", "file", code=2)


@pytest.mark.parametrize(
    ("state", "code", "shown"),
    [
        ({"state": "idle"}, 0, "idle"), ({"state": "waiting", "reason": "unreachable"}, 1, "waiting"),
        ({"state": "paused", "reason": "unauthorized"}, 1, "paused"), ({"state": "idle", "age_s": 60}, 1, "silent"),
    ],
)  # fmt: skip
def test_the_exit_code_of_status_says_whether_all_ship(
    run: Run, data: Path, state: dict[str, Any], code: int, shown: str
) -> None:
    run("add", "influxdb", NOBODY, "--no-test")
    said_us = time.time_ns() // 1000 - state.pop("age_s", 0) * 1_000_000
    ledger = SinkLedger.open(Sinks(data).ledger("influxdb"))
    ledger.save_state({"sink": "influxdb", "reason": "", "cursor": 0, "said_us": said_us} | state)
    ledger.close()
    assert run("status", code=code)[0]["state"] == shown


def test_a_sink_whose_names_are_lost_is_not_added_again_in_silence(run: Run, data: Path, server: InfluxDouble) -> None:
    """A backup without the folder of sinks: the log alone knows that points were shipped under names."""
    run("add", "influxdb", server.url)
    assert Sinks(data).ledger("influxdb").exists()
    log = SqliteEventLog.open(data / "events.db")
    log.set_cursor("sink:influxdb", 5)
    log.commit()
    log.close()
    shutil.rmtree(data / "sinks")
    run("add", "influxdb", server.url, code=69)
    assert Sinks(data).names() == []
    run("add", "influxdb", server.url, "--no-test")
    assert Sinks(data).names() == ["influxdb"]


def test_what_the_running_service_knows_of_a_sink_is_its_status(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that has no ledger, and of a process that can write no word into it."""
    run("add", "influxdb", NOBODY, "--no-test")
    known = {"sink": "influxdb", "state": "hung", "since": "2026-11-23T06:00:00.000000Z", "reason": "process_hangs"}
    monkeypatch.setattr(outlets, "call", lambda *_: {"sinks": [{"sink": "file", "state": "idle"}, known]})
    for _ in range(2):
        (shown,) = run("status", code=1)
        assert known.items() <= shown.items()
        Sinks(data).ledger("influxdb").unlink(missing_ok=True)
