"""Whoever holds the outer key, through the contract; and what is special about files and passphrases."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from healthsync_mqtt.config.secrets import KEY_PASSPHRASE
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.local_provider import LocalProvider, NoLock, PassphraseLock
from healthsync_mqtt.keys.port import KeyProvider
from healthsync_mqtt.testing.key_provider_contract import KeyProviderContract
from healthsync_mqtt.testing.memory_provider import MemoryProvider


def file_provider(path: Path) -> LocalProvider:
    """As a process has it."""
    return LocalProvider("file", path, NoLock())


def passphrase_provider(path: Path, passphrase: Callable[[], bytes | None] = lambda: b"correct horse") -> LocalProvider:
    """The same."""
    return LocalProvider("passphrase", path, PassphraseLock(passphrase))


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a passphrase costs is asserted below, once."""
    monkeypatch.setattr(PassphraseLock, "_SCRYPT", {"n": 2, "r": 8, "p": 1})


def typed(given: bytes | None) -> bytes | None:
    """What somebody types."""
    return given


class TestMemoryProvider(KeyProviderContract):
    @pytest.fixture
    def provider(self) -> MemoryProvider:
        return MemoryProvider()


class TestFileProvider(KeyProviderContract):
    @pytest.fixture
    def provider(self, tmp_path: Path) -> LocalProvider:
        provider = file_provider(tmp_path / "keys" / "outer.json")
        provider.create()
        return provider

    def another(self, provider: KeyProvider) -> KeyProvider:
        assert isinstance(provider, LocalProvider)
        return file_provider(provider.path)


class TestPassphraseProvider(KeyProviderContract):
    @pytest.fixture
    def provider(self, tmp_path: Path) -> LocalProvider:
        provider = passphrase_provider(tmp_path / "keys" / "outer.json")
        provider.create()
        return provider

    def another(self, provider: KeyProvider) -> KeyProvider:
        assert isinstance(provider, LocalProvider)
        return passphrase_provider(provider.path)


def test_the_file_is_private_and_made_once(tmp_path: Path) -> None:
    provider = file_provider(tmp_path / "keys" / "outer.json")
    assert not provider.exists()
    provider.create()
    content = provider.path.read_bytes()
    assert provider.path.stat().st_mode & 0o777 == 0o600
    assert provider.path.parent.stat().st_mode & 0o777 == 0o700
    file_provider(provider.path).create()
    assert provider.path.read_bytes() == content


@pytest.mark.parametrize("spoil", ["missing", "loose", "link", "text", "empty", "keyless"])
def test_a_file_that_cannot_be_used_is_unavailable_and_says_why(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "keys" / "outer.json"
    provider = file_provider(path)
    provider.create()
    wrapped, good = provider.wrap(bytes(32), b"a"), path.read_bytes()
    match spoil:
        case "missing":
            path.unlink()
        case "loose":
            path.chmod(0o644)
        case "link":
            path.rename(tmp_path / "elsewhere")
            path.symlink_to(tmp_path / "elsewhere")
        case "text":
            path.write_bytes(b"no key")
        case "empty":
            path.write_bytes(b"")
        case _:
            path.write_bytes(json.dumps({"keys": []}).encode())
    with pytest.raises(KeyUnavailableError) as caught:
        file_provider(path).unwrap(wrapped, b"a")
    assert caught.value.hint
    assert caught.value.retryable
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    path.chmod(0o600)
    assert file_provider(path).unwrap(wrapped, b"a") == bytes(32)


def test_the_disk_alone_does_not_open_what_is_under_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "outer.json"
    provider = passphrase_provider(path)
    provider.create()
    wrapped = provider.wrap(bytes(32), b"a")
    assert b"correct" not in path.read_bytes()
    for passphrase in (None, b"wrong", b""):
        with pytest.raises(KeyUnavailableError, match="passphrase") as caught:
            passphrase_provider(path, partial(typed, passphrase)).unwrap(wrapped, b"a")
        assert KEY_PASSPHRASE in caught.value.hint
    with pytest.raises(KeyUnavailableError):
        file_provider(path).unwrap(wrapped, b"a")


def test_the_passphrase_is_asked_for_once(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def ask() -> bytes:
        asked.append(b"correct horse")
        return asked[-1]

    path = tmp_path / "keys" / "outer.json"
    passphrase_provider(path).create()
    provider = passphrase_provider(path, ask)
    for _ in range(3):
        provider.unwrap(provider.wrap(bytes(32), b"a"), b"a")
        provider.check()
    assert len(asked) == 1


def test_guessing_a_passphrase_costs_what_scrypt_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    path = tmp_path / "keys" / "outer.json"
    passphrase_provider(path).create()
    cost = json.loads(path.read_bytes())["scrypt"]
    assert (cost["n"], cost["r"], cost["p"]) == (32_768, 8, 1)
    values = json.loads(path.read_bytes())
    values["scrypt"]["n"] = 2**30  # whoever may write the file must not take all memory of who reads it
    path.write_bytes(json.dumps(values).encode())
    with pytest.raises(KeyUnavailableError, match="no outer key"):
        passphrase_provider(path).check()
