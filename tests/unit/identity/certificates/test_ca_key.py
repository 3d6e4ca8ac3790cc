"""The CA's key at rest: under the passphrase when there is one, also one that was made before."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from healthsync_mqtt.config import secrets
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server, load_certificate, open_authority

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def first_line(path: Path) -> bytes:
    return path.read_bytes().split(b"\n", 1)[0]


def test_it_is_encrypted_when_there_is_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_PASSPHRASE, "a phrase of several words")
    paths = ensure_ca_and_server(tmp_path / "certs", (), NOW)
    assert b"ENCRYPTED" in first_line(paths.ca_key)
    assert paths.ca_key.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" not in first_line(paths.server_key)
    assert open_authority(tmp_path / "certs", NOW).certificate == load_certificate(paths.ca_cert)


def test_one_without_is_encrypted_at_its_next_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ensure_ca_and_server(tmp_path / "certs", (), NOW)
    assert b"ENCRYPTED" not in first_line(paths.ca_key)
    before = open_authority(tmp_path / "certs", NOW)
    monkeypatch.setenv(KEY_PASSPHRASE, "a phrase of several words")
    after = open_authority(tmp_path / "certs", NOW)
    assert b"ENCRYPTED" in first_line(paths.ca_key)
    assert after.certificate == before.certificate
    assert after.key.private_numbers() == before.key.private_numbers()


def test_a_missing_or_wrong_passphrase_is_said_and_nothing_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_PASSPHRASE, "a phrase of several words")
    paths = ensure_ca_and_server(tmp_path / "certs", (), NOW)
    kept = paths.ca_key.read_bytes()
    monkeypatch.setenv(KEY_PASSPHRASE, "another phrase")
    with pytest.raises(ConfigError, match="does not open with this passphrase"):
        open_authority(tmp_path / "certs", NOW)
    monkeypatch.delenv(KEY_PASSPHRASE)
    with pytest.raises(ConfigError, match="there is no passphrase"):
        ensure_ca_and_server(tmp_path / "certs", (), NOW)
    assert paths.ca_key.read_bytes() == kept


def test_who_sits_at_a_terminal_is_asked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_PASSPHRASE, "a phrase of several words")
    paths = ensure_ca_and_server(tmp_path / "certs", (), NOW)
    monkeypatch.delenv(KEY_PASSPHRASE)
    monkeypatch.setattr(secrets, "_asks", [lambda: b"a phrase of several words"])
    assert open_authority(tmp_path / "certs", NOW).certificate == load_certificate(paths.ca_cert)
    monkeypatch.setattr(secrets, "_asks", [lambda: None])
    with pytest.raises(ConfigError, match="there is no passphrase"):
        open_authority(tmp_path / "certs", NOW)
