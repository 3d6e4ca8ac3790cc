"""Who is how far behind: subscribers and shared groups, with a service and without."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.control.admin_server import AdminServer
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import item

NOW = 1_795_430_000_000_000
SHARE = "share:0123456789abcdef:app:$share/workers/users/bob/canonical/+"


@pytest.fixture
def behind(data: Path, lines: Callable[..., list]) -> Path:
    """Three rows of alice, then two of bob; ``app`` has taken one, the group all but bob's last, ``fast`` all."""
    lines("subscriber", "add", "app", "--users", "alice")
    lines("subscriber", "add", "fast", "--users", "*")
    with SqliteEventLog.open(data / "events.db") as log:
        for number, user in enumerate(("alice", "alice", "alice", "bob", "bob")):
            log.stage([item(f"e{number}", user)], [], NOW + number * 1_000_000)
        for name, seq in (("subscriber:app", 1), ("subscriber:fast", 5), (SHARE, 4), ("sink:x", 0)):
            log.set_cursor(name, seq)
        log.commit()
    return data


@pytest.mark.usefixtures("behind")
def test_without_a_service_it_is_read_from_the_log(lines: Callable[..., list], run: Callable) -> None:
    rows = {row["name"]: row for row in lines("subscriber", "lag")}
    group = "$share/workers/users/bob/canonical/+"
    assert {name: row["waiting"] for name, row in rows.items()} == {"app": 2, "fast": 0, group: 1}
    assert rows["app"]["oldest_waiting_at"] == "2026-11-23T10:33:21.000000Z"
    assert rows["fast"]["oldest_waiting_at"] is None
    assert (rows["app"]["kind"], rows[group]["kind"]) == ("subscriber", "group")
    shown = run("subscriber", "lag").stdout
    assert "nobody" in shown
    assert shown.index("app") < shown.index("fast"), "who is furthest behind comes first"


def test_a_running_service_knows_filters_and_members(behind: Path, lines: Callable[..., list]) -> None:
    places = [
        {"name": "app", "seq": 0, "members": [], "filters": ["users/alice/canonical/steps"], "group": False},
        {"name": "$share/w/users/+/canonical/+", "seq": 2, "members": ["a", "b"], "group": True}
        | {"filters": ["$share/w/users/+/canonical/+"]},
    ]

    async def answer(_: dict) -> dict:
        return {"places": places}

    rows: list[dict] = []

    async def serve() -> None:
        async with AdminServer(behind / "service.sock", {"places": answer}) as admin:
            service = ServiceFile(
                pid=os.getpid(),
                mqtt="",
                mqtts="",
                wss="",
                ca_file="",
                socket=str(admin.path),
                started_at="",
                version="",
            )
            service.write(behind)
            rows.extend(await asyncio.to_thread(lines, "subscriber", "lag"))

    asyncio.run(serve())
    assert [(row["name"], row["members"], row["waiting"]) for row in rows] == [
        ("$share/w/users/+/canonical/+", ["a", "b"], 3),
        ("app", None, 0),
    ]


def test_before_there_are_events_it_says_so(run: Callable) -> None:
    result = run("subscriber", "lag")
    assert result.exit_code == 1
