"""Signing keys on disk: private, named by their id, one active, replaced without logging anyone out."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.keys import Keyring, key_id, rotate
from healthsync_mqtt.topics.grammar import is_id


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def pem(directory: Path) -> Path:
    (path,) = directory.glob("*.pem")
    return path


def test_a_first_key_is_created_and_found_again(keys: Path) -> None:
    first = Keyring.load_or_create(keys)
    again = Keyring.load_or_create(keys)
    assert first.active == again.active == pem(keys).stem == key_id(first.signing.public_key())
    assert is_id(first.active)
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}


def test_the_signing_key_is_not_in_the_representation() -> None:
    assert "signing" not in repr(Keyring.generate())


def test_a_rotation_keeps_the_older_key_for_verification(keys: Path) -> None:
    old = Keyring.load_or_create(keys)
    kid = rotate(keys)
    new = Keyring.load_or_create(keys)
    assert new.active == kid != old.active
    assert set(new.public) == {kid, old.active}
    assert key_id(new.signing.public_key()) == kid


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_t54_a_loose_key_is_refused(keys: Path, mode: int) -> None:
    Keyring.load_or_create(keys)
    pem(keys).chmod(mode)
    with pytest.raises(ConfigError) as loose:
        Keyring.load_or_create(keys)
    assert loose.value.hint == f"chmod 600 {pem(keys)}"


def test_t54_a_linked_key_and_a_loose_directory_are_refused(keys: Path, tmp_path: Path) -> None:
    Keyring.load_or_create(keys)
    moved = pem(keys).rename(tmp_path / "moved.pem")
    (keys / "linked.pem").symlink_to(moved)
    with pytest.raises(ConfigError, match="symbolic link"):
        Keyring.load_or_create(keys)
    keys.chmod(0o770)
    with pytest.raises(ConfigError, match="other accounts"):
        Keyring.load_or_create(keys)


def test_files_that_are_no_key_of_ours_are_refused(keys: Path) -> None:
    Keyring.load_or_create(keys)
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", other):
        odd = keys / "odd.pem"
        odd.write_bytes(content)
        odd.chmod(0o600)
        with pytest.raises(ConfigError, match="not an Ed25519 private key"):
            Keyring.load_or_create(keys)
        odd.unlink()
    (keys / "two words.pem").write_bytes(other)
    with pytest.raises(ConfigError, match="not named by a key id"):
        Keyring.load_or_create(keys)


def test_which_key_signs_is_never_guessed(keys: Path) -> None:
    Keyring.load_or_create(keys)
    (keys / "active").unlink()
    assert Keyring.load_or_create(keys).active == pem(keys).stem
    rotate(keys)
    (keys / "active").unlink()
    with pytest.raises(ConfigError, match="which key signs"):
        Keyring.load_or_create(keys)
    (keys / "active").write_text("gone\n")
    (keys / "active").chmod(0o600)
    with pytest.raises(ConfigError, match="not there"):
        Keyring.load_or_create(keys)
