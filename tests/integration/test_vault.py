"""The outer key in a real HashiCorp Vault: the contract of holders, policies, seals, and what only it answers."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.vault import VaultHolder
from healthsync_mqtt.keys.remote_provider import RemoteProvider
from healthsync_mqtt.testing.key_provider_contract import KeyProviderContract
from tests.support.vault import Vault

pytestmark = pytest.mark.real_server

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "keys.md"


def documented_policy() -> dict[str, list[str]]:
    """What our page says that the token needs, and nothing more."""
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith("| Vault's token |")]
    found: dict[str, list[str]] = {}
    for may, paths in re.findall(r"`(update|read)` on ((?:`transit/[a-z/*]+`(?:, | and )?)+)", row):
        for path in re.findall(r"`(transit/[a-z/*]+)`", paths):
            found.setdefault(path, []).append(may)
    return found


@pytest.fixture
def server() -> Iterator[Vault]:
    with Vault(documented_policy()) as running:
        yield running


@pytest.fixture
def settings(server: Vault, tmp_path: Path) -> HolderSettings:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(server.token)
    return HolderSettings(url=server.url, token_file=token)


@pytest.fixture
def provider(settings: HolderSettings) -> RemoteProvider:
    return RemoteProvider("vault", lambda: VaultHolder(settings))


class TestVault(KeyProviderContract):
    """The promises of the port, with a token that may what our page says."""

    def is_ours_alone(self) -> bool:
        return False


def test_a_key_that_was_deleted_there_and_made_anew_opens_nothing_of_before(
    server: Vault, provider: RemoteProvider
) -> None:
    """It says so as one that is unavailable: another copy of the server may have it."""
    closed = provider.wrap(secrets.token_bytes(32), b"alice")
    server.ask("transit/keys/healthsync/config", deletion_allowed=True)
    server.delete("transit/keys/healthsync")
    with pytest.raises(KeyUnavailableError):
        provider.check()
    server.ask("transit/keys/healthsync")
    provider.check()
    with pytest.raises(KeyUnavailableError):
        provider.unwrap(closed, b"alice")


def test_a_token_that_it_does_not_know_is_refused(settings: HolderSettings, provider: RemoteProvider) -> None:
    assert settings.token_file is not None
    settings.token_file.write_text("hvs.another")
    with pytest.raises(KeyUnavailableError, match=r"403|permission"):
        provider.check()


def test_a_token_that_was_revoked_is_refused_and_a_new_one_in_the_file_goes_on(
    server: Vault, settings: HolderSettings, provider: RemoteProvider
) -> None:
    key = secrets.token_bytes(32)
    closed = provider.wrap(key, b"alice")
    server.ask("auth/token/revoke", token=server.token)
    with pytest.raises(KeyUnavailableError, match=r"403|permission"):
        provider.unwrap(closed, b"alice")
    assert settings.token_file is not None
    renewed = server.ask("auth/token/create", policies=["healthsync"])["auth"]["client_token"]
    settings.token_file.write_text(renewed)
    assert provider.unwrap(closed, b"alice") == key


def test_a_policy_without_the_key_is_refused(server: Vault, settings: HolderSettings, provider: RemoteProvider) -> None:
    assert settings.token_file is not None
    bare = server.ask("auth/token/create", policies=["default"], no_default_policy=False)["auth"]["client_token"]
    settings.token_file.write_text(bare)
    with pytest.raises(KeyUnavailableError, match=r"403|permission"):
        provider.wrap(secrets.token_bytes(32), b"alice")


def test_while_it_is_sealed_it_is_away_and_unsealed_it_goes_on(server: Vault, provider: RemoteProvider) -> None:
    key = secrets.token_bytes(32)
    closed = provider.wrap(key, b"alice")
    server.seal()
    for call in (provider.check, lambda: provider.unwrap(closed, b"alice"), lambda: provider.wrap(key, b"bob")):
        with pytest.raises(KeyUnavailableError) as caught:
            call()
        assert caught.value.retryable
    server.unseal()
    provider.check()
    assert provider.unwrap(closed, b"alice") == key


def test_a_token_that_may_not_trim_rotates_all_the_same(
    server: Vault, settings: HolderSettings, tmp_path: Path
) -> None:
    """Older versions stay there then."""
    may = {"transit/encrypt/healthsync": ["update"], "transit/decrypt/healthsync": ["update"]}
    may |= {"transit/keys/healthsync": ["read"], "transit/keys/healthsync/rotate": ["update"]}
    rules = "".join(f'path "{path}" {{ capabilities = ["{what[0]}"] }}\n' for path, what in may.items())
    server.ask("sys/policies/acl/few", policy=rules)
    token = tmp_path / "few"
    token.touch(mode=0o600)
    token.write_text(server.ask("auth/token/create", policies=["few"])["auth"]["client_token"])
    few = settings.model_copy(update={"token_file": token})
    provider = RemoteProvider("vault", lambda: VaultHolder(few))
    key = secrets.token_bytes(32)
    old = provider.wrap(key, b"alice")
    provider.rotate()
    provider.forget_older(provider.newest())
    assert provider.unwrap(old, b"alice") == key
