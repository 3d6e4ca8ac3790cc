"""``healthsync summary`` says how far behind it is, and what to do about it: beside a service nothing."""

import os
from pathlib import Path

import pytest

from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.commands import invoke


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two events in the log, of which none is summed up."""
    place = tmp_path / "data"
    invoke(["user", "add", "alice", "--consent", "all", "--data", str(place)])
    with open_log(place) as log:
        log.stage([item("a"), item("b", start_us=NOW_US + 1)], [], NOW_US)
        log.commit()
    SummaryFile.open(place / "summaries.db").close()
    return place


def said(data: Path) -> str:
    done = invoke(["summary", "--user", "alice", "--data", str(data), "--json"])
    assert done.exit_code == 0
    return done.stderr.strip()


def service(data: Path) -> None:
    ServiceFile(
        pid=os.getpid(), mqtt="", mqtts="", wss="", ca_file="", socket="", started_at="", version=""
    ).write(data)  # fmt: skip


def test_without_a_service_one_is_to_be_started(data: Path) -> None:
    assert said(data) == f"2 events are not summed up yet; a running service does it: healthsync up --data {data}"


def test_beside_a_service_nobody_is_sent_to_start_one(data: Path) -> None:
    service(data)
    assert said(data) == "2 events are not summed up yet; the service is at it, ask again in a while"


def test_days_that_wait_are_no_events(data: Path) -> None:
    with open_log(data) as log, SummaryFile.open(data / "summaries.db") as file:
        file.begin_anew(log.epoch)
        with open_reader(data) as reader:
            file.take(2, reader.read(0, 9), {})
        assert file.waiting
    assert said(data).startswith("days that were touched are not worked out yet; a running service does it:")
    service(data)
    assert said(data).endswith("the service is at it, ask again in a while")
