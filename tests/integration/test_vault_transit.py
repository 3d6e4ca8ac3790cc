"""The outer key in a real transit engine of HashiCorp Vault: the contract of holders, and what only it answers."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.vault import VaultHolder
from healthsync_mqtt.keys.remote_provider import RemoteProvider
from healthsync_mqtt.testing.key_provider_contract import KeyProviderContract
from tests.support.vault_transit import VaultTransit

pytestmark = pytest.mark.real_server


@pytest.fixture
def server() -> Iterator[VaultTransit]:
    with VaultTransit() as running:
        yield running


@pytest.fixture
def settings(server: VaultTransit, tmp_path: Path) -> HolderSettings:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(server.token)
    return HolderSettings(url=server.url, token_file=token)


@pytest.fixture
def provider(settings: HolderSettings) -> RemoteProvider:
    return RemoteProvider("vault", lambda: VaultHolder(settings))


class TestVaultTransit(KeyProviderContract):
    """The promises of the port."""

    def is_ours_alone(self) -> bool:
        return False


def test_a_key_that_was_deleted_there_and_made_anew_opens_nothing_of_before(
    server: VaultTransit, provider: RemoteProvider
) -> None:
    """It says so as one that is unavailable: another copy of the engine may have it."""
    closed = provider.wrap(secrets.token_bytes(32), b"alice")
    server.ask("keys/healthsync/config", deletion_allowed=True)
    server.delete("keys/healthsync")
    with pytest.raises(KeyUnavailableError):
        provider.check()
    server.ask("keys/healthsync")
    provider.check()
    with pytest.raises(KeyUnavailableError):
        provider.unwrap(closed, b"alice")


def test_a_token_that_it_does_not_know_is_refused(settings: HolderSettings, provider: RemoteProvider) -> None:
    assert settings.token_file is not None
    settings.token_file.write_text("hvs.another")
    with pytest.raises(KeyUnavailableError, match=r"403|permission"):
        provider.check()
