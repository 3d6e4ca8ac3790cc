"""What people call a device or an app, and lists of the newest: typed, listed, and written down without the words."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli import admin, app, device, options, subscriber, user
from healthsync_mqtt.identity.registry import Registry

Lines = Callable[..., list[dict[str, Any]]]
Run = Callable[..., Any]


@pytest.fixture
def household(lines: Lines) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    lines("app", "add", "alice", "phone", "--format", "json")


@pytest.mark.usefixtures("household")
def test_a_title_is_shown_beside_the_id_and_changes_nothing_else(lines: Lines, run: Run, data: Path) -> None:
    (before,) = lines("device", "show", "alice", "watch")
    (renamed,) = lines("device", "rename", "alice", "watch", "  Grandma's cuff  ")
    assert renamed["title"] == "Grandma's cuff"
    (shown,) = lines("device", "show", "alice", "watch")
    assert shown == before | {"title": "Grandma's cuff"}
    (called,) = lines("app", "rename", "alice", "phone", "Phone upstairs")
    assert called["device_id"] == "phone"
    assert [each["title"] for each in lines("device", "list")] == ["Phone upstairs", "Grandma's cuff"]
    assert [each["title"] for each in lines("app", "list")] == ["Phone upstairs"]
    assert "Phone upstairs" in run("app", "show", "alice", "phone").stdout
    audited = lines("audit", "list")
    assert [each["action"] for each in audited].count("device.renamed") == 2
    assert "Grandma" not in json.dumps(audited)
    assert run("device", "rename", "alice", "watch", "").stderr == "watch of alice has no title\n"
    assert lines("device", "show", "alice", "watch") == [before]
    lines("device", "rename", "alice", "watch", "Cuff")
    lines("device", "remove", "alice", "watch", "--yes")
    lines("device", "add", "alice", "watch")
    assert lines("device", "show", "alice", "watch")[0]["title"] is None, "it may be another thing"
    assert b"Grandma" not in (data / "audit.db").read_bytes()


@pytest.mark.usefixtures("household")
@pytest.mark.parametrize("title", ["x" * 65, "two\nlines", "red \x1b[31m", "\u202efdp"])
def test_what_would_spoil_a_line_is_no_title(run: Run, title: str) -> None:
    refused = run("device", "rename", "alice", "watch", title)
    assert refused.exit_code == 1
    assert "fix: use up to 64 characters" in refused.stderr
    assert run("app", "rename", "alice", "watch", "A watch is no app").exit_code == 1


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command a second after the one before."""
    times: Iterator[int] = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000, 1_000_000))
    for each in (options, user, device, subscriber, admin, app):
        monkeypatch.setattr(each, "now_us", lambda: next(times))


@pytest.mark.usefixtures("later")
def test_a_limit_leaves_the_newest_of_what_was_added_oldest_first(lines: Lines, data: Path) -> None:
    for name in ("zoe", "bob", "alice"):
        lines("user", "add", name, "--consent", "all")
        lines("device", "add", name, "watch")
        lines("app", "add", name, "phone", "--format", "json")
        lines("subscriber", "add", f"of-{name}", "--users", name)
        lines("admin", "add", f"by-{name}")
    with Registry.open(data / "registry.db") as registry:
        assert [each.id for each in registry.users()] == ["alice", "bob", "zoe"]
    assert [each["user_id"] for each in lines("user", "list", "--limit", "2")] == ["bob", "alice"]
    assert [each["user_id"] for each in lines("app", "list", "--limit", "2")] == ["bob", "alice"]
    assert [each["device_id"] for each in lines("device", "list", "--limit", "2")] == ["watch", "phone"]
    assert [each["name"] for each in lines("subscriber", "list", "--limit", "1")] == ["of-alice"]
    assert [each["name"] for each in lines("admin", "list", "--limit", "9")] == ["by-zoe", "by-bob", "by-alice"]
    assert [each["user_id"] for each in lines("user", "list")] == ["alice", "bob", "zoe"]
    lines("consent", "withdraw", "zoe", "--types", "sleep")
    (decided,) = lines("consent", "history", "zoe", "--limit", "1")
    assert decided["action"] == "withdraw"
