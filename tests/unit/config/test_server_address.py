"""``storage.url``: what it may not be is said before anything is opened, and a password is never repeated."""

from pathlib import Path

import pytest

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('url = "postgresql://me:hunter2@localhost/db"', "a password does not belong here"),
        ('url = "postgresql://me@localhost/db?password=hunter2"', "a password does not belong here"),
        ('url = "postgresql://me@db.example.com/db"', "sslmode=verify-full"),
        ('url = "postgresql://me@localhost,db.example.com/db?sslmode=require"', "sslmode=verify-full"),
        ('url = "postgresql:///db?host=db.example.com"', "sslmode=verify-full"),
        ('url = "postgresql://localhost/db?hostaddr=192.0.2.1"', "sslmode=verify-full"),
        ('url = "mysql://localhost/db"', "not an address of PostgreSQL"),
        ('url = "postgresql://[::1/db"', "not an address"),
        ('url = "postgresql://localhost/db"\nshared = true\nencryption = "rows"', "is not sealed by this release"),
        ('password_file = "/secret"', "password_file is for url"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, settings: str, told: str) -> None:
    (tmp_path / "healthsync.toml").write_text(f"[storage]\n{settings}\n")
    with pytest.raises(ConfigError, match=told) as refused:
        load_settings(tmp_path)
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@localhost/db",
        "postgres://me@127.0.0.1:5433/db",
        "postgresql://me@[::1]:5433/db",
        "postgresql:///db",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://me@%2Fvar%2Frun%2Fpostgresql/db",
        "postgresql://me@a.example.com,b.example.com/db?sslmode=verify-full&sslrootcert=/ca.crt",
    ],
)
def test_what_is_here_or_protected_is_taken(tmp_path: Path, url: str) -> None:
    (tmp_path / "healthsync.toml").write_text(f'[storage]\nurl = "{url}"\n')
    assert load_settings(tmp_path).storage.url == url
