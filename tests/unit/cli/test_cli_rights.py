"""Consent, suspension, tokens, enrolment and the audit log from the command line."""

import json
import sqlite3
from pathlib import Path

import pytest

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.enrolment import normal_code


@pytest.fixture
def alice(lines) -> None:
    lines("user", "add", "alice", "--consent", "none")


def actions(lines, *words: str) -> list[str]:
    return [row["action"] for row in lines("audit", "list", *words)]


def test_a_user_who_agrees_to_nothing(alice, lines, run) -> None:
    assert lines("consent", "show", "alice") == []
    (shown,) = lines("user", "show", "alice")
    assert (shown["consent"], shown["consents"]) == ([], [])
    assert "nothing is stored" in run("consent", "show", "alice").stderr


def test_grant_withdraw_show_history(alice, lines) -> None:
    words = ("--types", "hr,weight", "--purpose", "store,share", "--expires", "365d", "--text", "2026-11")
    granted = lines("consent", "grant", "alice", *words)
    assert [(line["purpose"], line["types"], line["state"]) for line in granted] == [
        ("store", ["heart_rate", "weight"], "granted"),
        ("share", ["heart_rate", "weight"], "granted"),
    ]
    assert granted[0]["expires_at"] > granted[0]["granted_at"]
    assert granted[0]["text_version"] == "2026-11"
    assert granted[0]["recorded_by"].startswith("os:")
    lines("consent", "withdraw", "alice", "--types", "weight", "--purpose", "share")
    states = {(line["purpose"], *line["types"]): line for line in lines("consent", "show", "alice")}
    assert states["share", "weight"]["state"] == "withdrawn"
    assert states["share", "weight"]["withdrawn_at"]
    assert states["share", "heart_rate"]["state"] == "granted"
    history = lines("consent", "history", "alice")
    assert [line["action"] for line in history] == ["grant", "grant", "withdraw"]
    lines("consent", "withdraw", "alice")
    assert {line["state"] for line in lines("consent", "show", "alice")} == {"withdrawn"}
    assert actions(lines, "--user", "alice", "--action", "consent") == [
        "consent.granted", "consent.withdrawn", "consent.withdrawn",
    ]  # fmt: skip


def test_what_is_taken_out_of_everything_is_said_where_users_are_listed(lines, run) -> None:
    """It said "all" of somebody who had taken heart rates back."""
    lines("user", "add", "bob", "--consent", "all")
    withdrawn = {
        line["state"]: line["withdrawn_at"]
        for line in lines("consent", "withdraw", "bob", "--types", "heart_rate,steps", "--purpose", "store")
    }["withdrawn"]
    (listed,) = lines("user", "list")
    assert (listed["consent"], listed["withheld"]) == (["all"], ["heart_rate", "steps"])
    assert "all but heart_rate,steps" in run("user", "list").stdout
    assert f"heart_rate, steps (store, withdrawn {withdrawn[:19]}" in run("user", "show", "bob").stdout
    lines("consent", "withdraw", "bob")
    (listed,) = lines("user", "list")
    assert (listed["consent"], listed["withheld"]) == ([], [])


def test_user_add_with_a_purpose(lines) -> None:
    lines("user", "add", "bob", "--consent", "all", "--purpose", "store")
    assert [line["purpose"] for line in lines("consent", "show", "bob")] == ["store"]


@pytest.mark.parametrize(
    "words",
    [
        ("consent", "grant", "alice", "--types", "mood"),
        ("consent", "grant", "alice", "--types", "all", "--purpose", "sell"),
        ("consent", "grant", "alice", "--types", "all", "--purpose", ""),
        ("consent", "grant", "alice", "--types", "all", "--expires", "soon"),
        ("consent", "grant", "alice"),
        ("token", "revoke"),
        ("token", "revoke", "x", "--user", "alice", "--device", "watch"),
        ("token", "revoke", "--user", "alice"),
    ],
)
def test_unclear_wishes_are_refused_and_change_nothing(alice, lines, run, words) -> None:
    assert run(*words, "--json").exit_code == 2
    assert lines("consent", "history", "alice") == []


def test_suspension_shows_and_is_undone(alice, lines) -> None:
    lines("device", "add", "alice", "watch")
    (device,) = lines("device", "suspend", "alice", "watch")
    assert device["suspended_at"]
    (device,) = lines("device", "resume", "alice", "watch")
    assert device["suspended_at"] is None
    (user,) = lines("user", "suspend", "alice")
    assert user["suspended_at"]
    (user,) = lines("user", "resume", "alice")
    assert user["suspended_at"] is None
    lines("user", "resume", "alice")
    assert actions(lines)[-4:] == ["device.suspended", "device.resumed", "user.suspended", "user.resumed"]


def test_revoking_tokens(alice, lines, run, data: Path, tmp_path: Path) -> None:
    lines("device", "add", "alice", "watch")
    (issued,) = lines("audit", "list", "--action", "token.issued")
    jti = issued["detail"]["jti"]
    (revoked,) = lines("token", "revoke", jti)
    assert revoked == {"jti": jti, "revoked": True, "already": False}
    file = tmp_path / "watch.token"
    run("device", "token", "alice", "watch", "--token-file", str(file))
    (revoked,) = lines("token", "revoke", "--token-file", str(file))
    assert revoked["jti"] != jti
    lines("token", "revoke", "--user", "alice", "--device", "watch")
    (fresh,) = lines("device", "token", "alice", "watch")
    import time

    from healthsync_mqtt.identity.keys.store import KeyStore
    from healthsync_mqtt.identity.login.tokens import TokenVerifier
    from healthsync_mqtt.identity.registry import Registry
    from tests.support.entrance import Entrance

    with Registry.open(data / "registry.db") as registry:
        keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
        directory = Entrance(registry, TokenVerifier(keys))
        name = fresh["client_id"]
        assert directory.authenticate(name, name, fresh["token"].encode(), time.time() + 1)


def test_revoking_every_token_of_a_subscriber(alice, lines, run, data: Path) -> None:
    import time

    from healthsync_mqtt.identity.keys.store import KeyStore
    from healthsync_mqtt.identity.login.tokens import TokenVerifier
    from healthsync_mqtt.identity.registry import Registry
    from tests.support.entrance import Entrance

    (before,) = lines("subscriber", "add", "board", "--users", "alice", "--types", "*")
    assert run("token", "revoke", "x", "--subscriber", "board", "--json").exit_code == 2
    (revoked,) = lines("token", "revoke", "--subscriber", "board")
    assert revoked == {"subscriber": "board", "revoked": True}
    (fresh,) = lines("subscriber", "token", "board")
    assert actions(lines)[-2:] == ["token.revoked", "token.issued"]
    with Registry.open(data / "registry.db") as registry:
        keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
        directory = Entrance(registry, TokenVerifier(keys))
        assert directory.authenticate("board", "board", fresh["token"].encode(), time.time() + 1)
        with pytest.raises(TokenError):
            directory.authenticate("board", "board", before["token"].encode(), time.time() + 1)


def test_a_device_that_comes_back_at_once_gets_a_token_that_is_good(alice, lines, data: Path) -> None:
    import time

    from healthsync_mqtt.identity.keys.store import KeyStore
    from healthsync_mqtt.identity.login.tokens import TokenVerifier
    from healthsync_mqtt.identity.registry import Registry
    from tests.support.entrance import Entrance

    (old,) = lines("device", "add", "alice", "watch")
    lines("device", "remove", "alice", "watch", "--yes")
    (new,) = lines("device", "add", "alice", "watch")
    with Registry.open(data / "registry.db") as registry:
        keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
        directory = Entrance(registry, TokenVerifier(keys))
        name = new["client_id"]
        assert directory.authenticate(name, name, new["token"].encode(), time.time())
        with pytest.raises(Exception, match="refused"):
            directory.authenticate(name, name, old["token"].encode(), time.time())


def test_enrolment_prints_a_code_once_and_no_secret_is_audited(alice, lines, data: Path) -> None:
    (opened,) = lines("device", "enroll", "alice", "phone")
    assert set(opened) == {"user_id", "device_id", "code", "expires_at"}
    assert normal_code(opened["code"])
    assert lines("device", "list") == []
    (token,) = lines("device", "add", "alice", "watch")
    written = (data / "audit.db").read_bytes()
    for secret in (opened["code"], normal_code(opened["code"]), token["token"], "alice", "phone", "watch"):
        assert secret.encode() not in written


def test_the_qr_code_is_for_terminals(alice, run, capsys) -> None:
    from healthsync_mqtt.cli import output

    assert "█" not in run("device", "enroll", "alice", "phone").stdout
    output.qr_code("K7QF-3M2D-9XWP-HT4V")
    assert "█" in capsys.readouterr().out


def test_t55_audit_verify_names_the_first_bad_row(alice, lines, run, data: Path) -> None:
    lines("device", "add", "alice", "watch")
    assert lines("audit", "verify") == [{"ok": True, "rows": 3, "first_bad": None, "reason": None, "unchecked": []}]
    connection = sqlite3.connect(data / "audit.db")
    connection.execute("DROP TRIGGER audit_does_not_change")
    connection.execute("UPDATE audit SET actor = 'os:nobody' WHERE no = 2")
    connection.commit()
    connection.close()
    result = run("audit", "verify", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["ok"], found["first_bad"]) == (False, 2)
    assert "first bad row  2" in run("audit", "verify").stdout


def test_reading_health_values_is_audited(alice, lines, run, data: Path) -> None:
    from healthsync_mqtt.model.event import Event
    from healthsync_mqtt.model.origin import Origin
    from healthsync_mqtt.storage.port import Item
    from healthsync_mqtt.storage.sqlite.log import SqliteEventLog

    log = SqliteEventLog.open(data / "events.db")
    log.stage([Item(Origin("alice", "watch", None, "t"), Event("e1", "steps", 1, 2, 0, 0, b'{"value":{}}', 0))], [], 1)
    log.commit()
    log.close()
    lines("events", "list", "--user", "alice", "--type", "steps")
    lines("events", "show", "1")
    run("events", "tail", "--count", "1")
    lines("rejected", "list", "--user", "alice")
    rows = lines("audit", "list")[-4:]
    assert [row["action"] for row in rows] == ["events.listed", "events.shown", "events.followed", "rejected.listed"]
    assert len({row["subject"] for row in rows if row["subject"]}) == 1
    assert "steps" in json.dumps(rows[0]["detail"])
