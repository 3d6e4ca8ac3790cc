"""doctor and topic check: what an operator is told about the way an installation is set up."""

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from healthsync_mqtt.cli.doctor.finding import Grade
from healthsync_mqtt.cli.doctor.posture import posture
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE
from healthsync_mqtt.config.settings import load_settings

DAY_US = 86_400_000_000


@pytest.fixture(autouse=True)
def known(lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_PASSPHRASE, raising=False)
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")


def found(data: Path, check: str, *, later: timedelta = timedelta(0), overrides: dict | None = None) -> list:
    now_us = time.time_ns() // 1000 + later // timedelta(microseconds=1)
    findings = posture(DataDirectory(data), load_settings(data, overrides or {}), now_us)
    return [each for each in findings if each.check == check]


def test_every_finding_that_is_not_good_ends_with_its_fix(lines, data: Path) -> None:
    lines("subscriber", "add", "all", "--users", "*")
    listed = list(posture(DataDirectory(data), load_settings(data), time.time_ns() // 1000 + 400 * DAY_US))
    assert {each.grade for each in listed} >= {Grade.GOOD, Grade.NOTE}
    assert all(each.fix for each in listed if each.grade is not Grade.GOOD)


def test_wide_subscribers_are_named(lines, data: Path) -> None:
    assert [each.grade for each in found(data, "subscribers")] == [Grade.GOOD]
    lines("subscriber", "add", "narrow", "--users", "alice")
    lines("subscriber", "add", "wide", "--users", "*", "--types", "hr")
    (wide,) = found(data, "subscribers")
    assert wide.grade is Grade.NOTE
    assert wide.message.startswith("wide reads 1 types of every user")


def test_users_without_consent_are_named(lines, data: Path) -> None:
    assert [each.grade for each in found(data, "consent")] == [Grade.GOOD]
    lines("consent", "withdraw", "alice")
    (without,) = found(data, "consent")
    assert without.grade is Grade.NOTE
    assert "alice" in without.message
    assert "consent grant alice" in without.fix


def test_an_old_key_is_rotated_and_then_retired(lines, data: Path) -> None:
    assert [each.grade for each in found(data, "signing key")] == [Grade.GOOD]
    (old,) = found(data, "signing key", later=timedelta(days=91))
    assert (old.grade, old.fix) == (Grade.NOTE, "healthsync key rotate")
    (first,) = lines("key", "list")
    lines("key", "rotate", "--publish", "0s")
    assert found(data, "old key") == []
    (free,) = found(data, "old key", later=timedelta(days=2))
    assert free.fix == f"healthsync key retire {first['kid']}"


def test_a_passphrase_that_does_not_cover_the_key_yet(lines, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(data, "key passphrase") == []
    monkeypatch.setenv(KEY_PASSPHRASE, "a horse")
    (plain,) = found(data, "key passphrase")
    assert (plain.grade, plain.fix) == (Grade.NOTE, "healthsync key rotate")
    lines("key", "rotate", "--publish", "0s")
    assert found(data, "key passphrase") == []
    monkeypatch.delenv(KEY_PASSPHRASE)
    (missing,) = found(data, "key passphrase")
    assert missing.grade is Grade.BAD
    assert KEY_PASSPHRASE in missing.fix


def test_client_certificates_that_end_soon(lines, data: Path, tmp_path: Path) -> None:
    lines("cert", "issue", "device", "alice", "watch", "--out", str(tmp_path), "--lifetime", "30d")
    assert len(found(data, "client certificates")) == 1
    ending = found(data, "client certificates", later=timedelta(days=20))[-1]
    assert ending.message == "1 end within 14 days: alice-watch"
    lines("cert", "renew", "device", "alice", "watch", "--out", str(tmp_path), "--lifetime", "90d")
    assert len(found(data, "client certificates", later=timedelta(days=20))) == 1


def test_settings_that_open_too_much(data: Path) -> None:
    (every,) = found(data, "origins", overrides={"broker.allowed_origins": ["*"]})
    assert every.grade is Grade.BAD
    (data / "healthsync.toml").touch(mode=0o666)
    (data / "healthsync.toml").chmod(0o666)
    (loose,) = found(data, "settings file")
    assert (loose.grade, loose.fix.split()[0]) == (Grade.BAD, "chmod")


@pytest.mark.parametrize("name", ["keys/keyring.json", "audit.db", "registry.db", "keys/*.pem"])
def test_t54_doctor_finds_every_loose_file(run, data: Path, name: str) -> None:
    (path,) = data.glob(name)
    path.chmod(0o640)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    bad = [each for each in map(json.loads, result.stdout.splitlines()) if each["grade"] == "bad"]
    assert f"chmod 600 {path}" in {each["fix"] for each in bad}


def test_doctor_changes_nothing(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MQTT", "MQTTS", "WSS"):  # a service of somebody else may be running on the usual ones
        monkeypatch.setenv(f"HEALTHSYNC_BROKER__{name}_PORT", "0")
    empty = tmp_path / "empty"
    assert run("doctor", "--data", str(empty)).exit_code == 0
    assert not empty.exists()


@pytest.mark.parametrize(
    ("words", "allowed", "rule"),
    [
        (("--as", "alice/watch", "--publish", "users/alice/devices/watch/events"), True, "device publishes"),
        (("--as", "alice-watch", "--publish", "users/bob/devices/watch/events"), False, "for user=alice"),
        (("--as", "alice/watch", "--publish", "users/alice/devices/watch/events", "--retain"), False, "retain: false"),
        (("--as", "alice/watch", "--publish", "users/alice/nothing"), False, "no declared topic"),
        (("--as", "alice/watch", "--subscribe", "users/alice/devices/watch/receipts"), True, "subscribes to receipts"),
        (("--as", "alice/watch", "--subscribe", "#"), False, ""),
        (("--as", "app", "--subscribe", "users/alice/canonical/+"), True, "subscribes to canonical"),
        (("--as", "app", "--subscribe", "users/+/canonical/+"), False, "user=alice"),
        (("--as", "app", "--subscribe", "$share/g/users/alice/canonical/+"), False, "are for MQTT 5"),
    ],
)
def test_topic_check_explains_the_decision(run, lines, words, allowed, rule) -> None:
    lines("subscriber", "add", "app", "--users", "alice")
    result = run("topic", "check", *words, "--json")
    said = json.loads(result.stdout)
    assert said["allowed"] is allowed
    assert result.exit_code == (0 if allowed else 77)
    assert rule in said["rule"]
    spoken = run("topic", "check", *words)
    assert spoken.stdout.splitlines()[-1].startswith("allowed" if allowed else "refused")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--as", "alice/watch"), 2),
        (("--as", "alice/watch", "--publish", "a", "--subscribe", "b"), 2),
        (("--as", "alice/ring", "--publish", "a"), 1),
        (("--as", "stranger", "--publish", "a"), 1),
    ],
)
def test_topic_check_needs_somebody_and_something(run, words, code) -> None:
    assert run("topic", "check", *words).exit_code == code
