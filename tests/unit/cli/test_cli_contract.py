"""The contract that other programs rely on: JSON keys, exit codes, where words go."""

import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.cli.options import moment, seconds
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.times import iso

IDENTITY = {"user_id", "device_id", "client_id", "username", "token", "expires_at"}


def commands(command=None, path=()):
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", None)
    if not children:
        yield path
    for name, child in (children or {}).items():
        yield from commands(child, (*path, name))


def test_the_commands_are_the_ones_promised() -> None:
    assert {" ".join(path) for path in commands()} == {
        "summary", "source list", "source prefer",
        "insight list", "insight show", "insight run", "insight kinds",
        "up", "status", "trace", "publish", "import", "replay", "sample", "simulate", "doctor", "version",
        "topic list", "topic check", "type list", "type show", "type schema",
        "user add", "user list", "user show", "user suspend", "user resume", "user remove", "user erase", "user export",
        "client list", "client kick", "device why", "subscriber why", "subscriber show", "subscriber suspend",
        "subscriber resume", "subscriber remove",
        "consent grant", "consent withdraw", "consent show", "consent history",
        "device enroll", "device suspend", "device resume", "token revoke",
        "audit list", "audit verify",
        "device add", "device list", "device show", "device token", "device rename", "device remove", "app rename",
        "app add", "app list", "app show", "app resume", "app suspend", "app why", "app rotate", "app remove",
        "format list", "format show", "format try", "adapter list", "adapter map", "adapter link",
        "adapter unlink", "adapter status", "adapter sync", "adapter pause", "adapter backfill",
        "adapter new", "adapter webhook", "ble scan", "ble read", "ble run",
        "subscriber add", "subscriber list", "subscriber token", "subscriber lag", "subscriber rewind",
        "events list", "events tail", "events show", "events export", "events history",
        "events stats",
        "rejected list", "rejected show", "rejected replay", "rejected purge",
        "storage status", "storage encrypt", "storage restore-check", "storage copy", "storage migrate",
        "backup create", "backup verify", "backup list", "restore", "config show", "config check",
        "key list", "key rotate", "key retire", "key jwks", "key status", "key check", "key rewrap",
        "sink add influxdb", "sink add file", "sink add kafka", "sink list", "sink show", "sink status", "sink set",
        "sink test",
        "sink suspend", "sink pause", "sink resume", "sink remove", "sink backfill", "sink reconcile",
        "sink adopt", "sink user", "bridge join", "bridge run", "gateway run", "mcp", "user invite", "app webhook",
            "webhook add", "webhook list", "webhook show", "webhook test", "webhook enable", "webhook rotate",
            "webhook remove",
        "admin add", "admin list", "admin token", "admin invite", "admin remove",
        "broker render", "broker provision", "broker check", "broker credentials",
        "broker password list", "broker password rotate",
        "homeassistant enable", "homeassistant disable", "homeassistant list", "homeassistant login",
        "auth serve",
        "cert init-ca", "cert issue", "cert renew", "cert list", "cert revoke", "cert inspect",
    }  # fmt: skip


NO_DATA = {("mcp",): "it runs where the assistant does, and its stdout is a protocol's"}
"""Commands without a data directory, and why."""


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_fits_a_screen_shows_an_example_and_takes_data_and_json(run, path) -> None:
    shown = run(*path, "--help")
    assert shown.exit_code == 0
    assert "Example: healthsync " + " ".join(path) in shown.stdout
    assert ("--json" in shown.stdout) is (path not in NO_DATA)
    assert ("--data" in shown.stdout) is (path not in NO_DATA)
    assert len(shown.stdout.splitlines()) <= 40


def test_user_device_subscriber_keys(lines) -> None:
    (user,) = lines("user", "add", "alice", "--consent", "all")
    assert user["user_id"] == "alice"
    (device,) = lines("device", "add", "alice", "watch-1")
    assert set(device) == IDENTITY | {"refresh_token", "refresh_expires_at"}
    (plain,) = lines("device", "add", "alice", "watch-2", "--no-refresh")
    assert set(plain) == IDENTITY
    assert (device["user_id"], device["device_id"], device["username"]) == ("alice", "watch-1", device["client_id"])
    (again,) = lines("device", "token", "alice", "watch-1")
    assert set(again) == IDENTITY
    assert again["client_id"] == device["client_id"]
    assert again["token"] != device["token"]
    (subscriber,) = lines("subscriber", "add", "app", "--users", "alice,bob", "--types", "hr,steps")
    assert set(subscriber) == IDENTITY
    assert subscriber["client_id"] == subscriber["username"] == "app"
    (listed,) = lines("subscriber", "list")
    assert (listed["users"], listed["types"]) == (["alice", "bob"], ["heart_rate", "steps"])
    (everything,) = lines("subscriber", "add", "all", "--users", "*", "--types", "*")
    assert everything["token"]


def test_tokens_are_good_for_the_door(lines, data: Path) -> None:
    import time

    from healthsync_mqtt.identity.keys.store import KeyStore
    from healthsync_mqtt.identity.login.tokens import TokenVerifier

    lines("user", "add", "alice", "--consent", "all")
    (device,) = lines("device", "add", "alice", "watch-1")
    now = time.time_ns() // 1000
    claims = TokenVerifier(KeyStore(data / "keys").keyring(now)).verify(device["token"], now=time.time())
    assert claims is not None


def test_consent_is_recorded_with_its_time(lines) -> None:
    lines("user", "add", "alice", "--consent", "hr,sleep")
    (shown,) = lines("user", "show", "alice")
    assert [consent["purpose"] for consent in shown["consents"]] == ["store", "share", "insights"]
    for consent in shown["consents"]:
        assert consent["types"] == ["heart_rate", "sleep"]
        assert consent["state"] == "granted"
        assert consent["granted_at"].endswith("Z")


def test_status_without_a_service_balances_at_zero(lines) -> None:
    (status,) = lines("status")
    counters = status["counters"]
    assert status["running"] is False
    assert counters["received"] == sum(counters[k] for k in ("stored", "duplicate", "rejected", "failed", "in_flight"))
    assert status["totals"] == {"events": 0, "superseded": 0, "rejected": 0, "users": 0}


def test_nothing_yet_is_no_error(lines) -> None:
    assert lines("events", "list", "--user", "alice", "--type", "hr", "--since", "24h") == []
    assert lines("rejected", "list") == []
    assert lines("user", "list") == []


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("user", "add", "alice"), 2, "usage"),
        (("user", "add", "a/b", "--consent", "all"), 1, "bad_input"),
        (("user", "add", "alice", "--consent", "mood"), 2, "usage"),
        (("user", "show", "nobody"), 1, "not_found"),
        (("device", "add", "nobody", "watch"), 1, "not_found"),
        (("events", "list", "--since", "yesterday"), 2, "usage"),
        (("events", "show", "7"), 1, "not_found"),
        (("events", "tail"), 69, "unavailable"),
        (("rejected", "show", "1"), 1, "not_found"),
        (("rejected", "replay"), 2, "usage"),
        (("simulate", "--count", "1"), 69, "unavailable"),
        (("no-such-command",), 2, "usage"),
        (("user", "add"), 2, "usage"),
    ],
)
def test_errors_are_one_json_object_on_stderr_with_a_fix(run, words, code, reason) -> None:
    result = run(*words, "--json")
    assert result.exit_code == code
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["reason"] == reason
    assert error["message"]
    assert error["fix"]


def test_errors_for_people_end_with_the_fix(run) -> None:
    result = run("user", "show", "nobody")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: there is no user nobody", "fix: healthsync user add nobody --consent all",
    ]  # fmt: skip


def test_token_file_is_private_and_the_token_is_not_printed(run, lines, tmp_path: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    file = tmp_path / "watch.token"
    result = run("device", "add", "alice", "watch", "--token-file", str(file))
    assert result.exit_code == 0
    token = file.read_text()
    assert token.count(".") == 2
    assert token not in result.output
    assert file.stat().st_mode & 0o777 == 0o600


def test_piped_output_is_tab_separated_lines(run, lines) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    result = run("device", "list")
    assert result.stdout.split("\t")[:3] == ["alice", "watch", "alice-watch"]


def test_removing_asks_or_is_told_yes(run, lines) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    assert run("device", "remove", "alice", "watch").exit_code == 2
    (removed,) = lines("device", "remove", "alice", "watch", "--yes")
    assert removed["removed"] is True
    assert run("device", "show", "alice", "watch").exit_code == 1


@pytest.mark.parametrize("lifetime", ["25h", "0s", "soon"])
def test_tokens_live_at_most_a_day(run, lines, lifetime) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    assert run("device", "token", "alice", "watch", "--lifetime", lifetime).exit_code == 2


def test_keys_are_rotated_and_retired(run, lines) -> None:
    (first,) = lines("key", "list")
    assert first["state"] == "signing"
    (made,) = lines("key", "rotate", "--publish", "1h")
    assert made["state"] == "next"
    assert {key["kid"] for (jwks,) in [lines("key", "jwks")] for key in jwks["keys"]} == {first["kid"], made["kid"]}
    assert run("key", "rotate").exit_code == 1
    (gone,) = lines("key", "retire", made["kid"])
    assert gone["state"] == "retired"
    lines("key", "rotate", "--publish", "0s")
    result = run("key", "retire", first["kid"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith(f"healthsync key retire {first['kid']} --yes")
    lines("key", "retire", first["kid"], "--yes")
    (jwks,) = lines("key", "jwks")
    assert first["kid"] not in {key["kid"] for key in jwks["keys"]}


def test_topics_as_lines_and_as_asyncapi(lines) -> None:
    topics = {topic["key"]: topic for topic in lines("topic", "list")}
    assert topics["device_events"]["topic"] == "users/{user}/devices/{device}/events"
    (document,) = lines("topic", "list", "--asyncapi")
    assert document["asyncapi"].startswith("3.")


def test_doctor_finds_loose_files_and_names_the_fix(run, lines, data: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    (data / "registry.db").chmod(0o644)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    bad = [found for found in map(json.loads, result.stdout.splitlines()) if found["grade"] == "bad"]
    assert any("chmod 600" in found["fix"] for found in bad)


def test_version(lines) -> None:
    from healthsync_mqtt import __version__

    assert lines("version") == [{"version": __version__}]


NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("24h", NOW - 86_400_000_000),
        ("15m", NOW - 900_000_000),
        ("2026-11-23", 1_795_392_000_000_000),
        ("2026-11-23T06:00:00Z", 1_795_413_600_000_000),
        ("2026-11-23T07:00:00+01:00", 1_795_413_600_000_000),
    ],
)
def test_since_reads_times_and_ages(text, us) -> None:
    assert moment(text, NOW) == us


@given(st.integers(0, 4_000_000_000_000_000))
def test_since_reads_what_events_print(us) -> None:
    assert moment(iso(us), NOW) == us


@pytest.mark.parametrize("text", ["", "24", "h", "2026-11-23T06:00:00", "-5m", "5x", "1e3s"])
def test_since_refuses_what_is_unclear(text) -> None:
    with pytest.raises(UsageError):
        moment(text, NOW)
    with pytest.raises(UsageError):
        seconds(text)


def test_a_token_can_carry_the_rights_for_emqx(lines) -> None:
    import base64

    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch-1")
    (plain,) = lines("device", "token", "alice", "watch-1")
    (rich,) = lines("device", "token", "alice", "watch-1", "--emqx-acl")

    def claims(identity: dict) -> dict:
        part = identity["token"].split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    assert "acl" not in claims(plain)
    rights = claims(rich)["acl"]
    assert rights[-1] == {"permission": "deny", "action": "all", "topic": "#"}
    topics = {right["topic"] for right in rights[:-1]}
    assert "users/alice/devices/watch-1/events" in topics
    assert all(topic.startswith(("users/alice/", "changes/alice-watch-1/")) for topic in topics)
    lines("subscriber", "add", "app", "--users", "alice,bob", "--types", "hr,steps")
    (app,) = lines("subscriber", "token", "app", "--emqx-acl")
    assert "users/bob/canonical/steps" in {right["topic"] for right in claims(app)["acl"]}
    lines("subscriber", "add", "many", "--users", ",".join(f"u{n}" for n in range(40)), "--types", "*")
    with pytest.raises(AssertionError):
        lines("subscriber", "token", "many", "--emqx-acl")
