"""Services that hold the outer key, against servers that speak their documented calls: the contract, and faults."""

import json
import os
import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.config.holder_settings import HolderSettings
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server, server_context
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.holders.aws import AwsHolder
from healthsync_mqtt.keys.holders.azure import AzureHolder
from healthsync_mqtt.keys.holders.catalogue import HOLDERS
from healthsync_mqtt.keys.holders.google import GoogleHolder
from healthsync_mqtt.keys.holders.vault import VaultHolder
from healthsync_mqtt.keys.opening import ring_made_if_missing, ring_of
from healthsync_mqtt.keys.port import KeyProvider
from healthsync_mqtt.keys.remote_provider import RemoteProvider
from healthsync_mqtt.testing.key_provider_contract import KeyProviderContract
from tests.support.key_services import Aws, Azure, Google, Service, Vault, signing_key

ABOUT = b"ring:key:user:alice"


def private(place: Path, name: str, content: str) -> Path:
    file = place / name
    file.write_text(content)
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def account() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def services(account: rsa.RSAPrivateKey) -> Iterator[dict[str, Service]]:
    made: dict[str, Service] = {
        "vault": Vault(), "aws": Aws(), "google": Google(account.public_key()), "azure": Azure()
    }  # fmt: skip
    yield made
    for each in made.values():
        each.close()


@pytest.fixture
def settings(services: dict[str, Service], account: rsa.RSAPrivateKey, tmp_path: Path) -> dict[str, HolderSettings]:
    pem = account.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    google = {"client_email": Google.EMAIL, "private_key": pem, "token_uri": f"{services['google'].url}/token"}
    aws = {"Version": 1, "AccessKeyId": Aws.ACCESS, "SecretAccessKey": Aws.SECRET}
    return {
        "vault": HolderSettings(url=services["vault"].url, token_file=private(tmp_path, "token", Vault.TOKEN + "\n")),
        "aws": HolderSettings(
            url=f"{services['aws'].url}/",
            key=Aws.KEY,
            region=Aws.REGION,
            credentials_file=private(tmp_path, "aws.json", json.dumps(aws)),
        ),
        "google": HolderSettings(
            url=services["google"].url,
            key=Google.KEY,
            credentials_file=private(tmp_path, "google.json", json.dumps(google)),
        ),
        "azure": HolderSettings(
            url=services["azure"].url,
            login_url=services["azure"].url,
            tenant=Azure.TENANT,
            client_id=Azure.CLIENT,
            client_secret_file=private(tmp_path, "azure", Azure.SECRET),
        ),
    }


class Contract(KeyProviderContract):
    """Of a provider on the service ``which``."""

    which: str
    made: Any

    def is_ours_alone(self) -> bool:
        return False

    @pytest.fixture
    def provider(self, settings: dict[str, HolderSettings]) -> KeyProvider:
        return self._on(settings)

    @pytest.fixture(autouse=True)
    def _known(self, settings: dict[str, HolderSettings]) -> None:
        self._settings = settings

    def another(self, provider: KeyProvider) -> KeyProvider:
        return self._on(self._settings)

    def may_forget(self) -> bool:
        return self.which == "vault"

    def _on(self, settings: dict[str, HolderSettings]) -> KeyProvider:
        return RemoteProvider(self.which, lambda: HOLDERS[self.which](settings[self.which]))


class TestVault(Contract):
    which = "vault"


class TestAws(Contract):
    which = "aws"


class TestGoogle(Contract):
    which = "google"


class TestAzure(Contract):
    which = "azure"


ALL = pytest.mark.parametrize("which", HOLDERS)


def provider_on(which: str, settings: HolderSettings) -> RemoteProvider:
    return RemoteProvider(which, lambda: HOLDERS[which](settings))


@ALL
def test_one_that_is_away_is_unavailable_and_works_again(which: str, services: Any, settings: Any) -> None:
    provider = provider_on(which, settings[which])
    closed = provider.wrap(b"k" * 32, ABOUT)
    services[which].away = True
    for asks in (lambda: provider.wrap(b"k" * 32, ABOUT), lambda: provider.unwrap(closed, ABOUT), provider.check):
        with pytest.raises(KeyUnavailableError):
            asks()
    services[which].away = False
    assert provider.unwrap(closed, ABOUT) == b"k" * 32


@ALL
def test_one_that_cannot_be_reached_is_unavailable(which: str, settings: Any) -> None:
    nowhere = settings[which].model_copy(update={"url": "http://127.0.0.1:1", "login_url": "http://127.0.0.1:1"})
    with pytest.raises(KeyUnavailableError, match="is away"):
        provider_on(which, nowhere).check()


@ALL
def test_one_that_is_not_set_up_says_what_is_missing(which: str) -> None:
    with pytest.raises(KeyUnavailableError) as caught:
        provider_on(which, HolderSettings()).check()
    assert f"keys.{which}." in caught.value.hint


@ALL
def test_a_secret_that_others_can_read_is_refused(which: str, settings: Any) -> None:
    for name in ("token_file", "credentials_file", "client_secret_file"):
        file = getattr(settings[which], name)
        if file is not None:
            file.chmod(0o644)
    with pytest.raises(KeyUnavailableError, match="cannot be read"):
        provider_on(which, settings[which]).check()


@ALL
def test_a_wrong_secret_is_refused_and_told_without_it(which: str, settings: Any) -> None:
    wrong = {
        "vault": "hvs.wrong",
        "aws": '{"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "wrong"}',
        "azure": "wrong",
    }
    for name in ("token_file", "credentials_file", "client_secret_file"):
        file = getattr(settings[which], name)
        if file is not None:
            file.write_text(wrong.get(which, "{}"))
    with pytest.raises(KeyUnavailableError) as caught:
        provider_on(which, settings[which]).check()
    assert "wrong" not in str(caught.value)


@ALL
def test_no_service_ever_sees_a_data_key(which: str, services: Any, settings: Any) -> None:
    key = os.urandom(32)
    provider = provider_on(which, settings[which])
    provider.unwrap(provider.wrap(key, ABOUT), ABOUT)
    spelt = {key, key.hex().encode()}
    spelt |= {b64encode(key), urlsafe_b64encode(key).rstrip(b"=")}
    assert not any(each in body for each in spelt for body in services[which].bodies)


def test_plain_http_is_for_this_machine_alone(settings: Any) -> None:
    elsewhere = settings["vault"].model_copy(update={"url": "http://vault.example:8200"})
    with pytest.raises(KeyUnavailableError, match="HTTPS"):
        VaultHolder(elsewhere).newest()


def test_what_is_trusted_is_read_once_and_again_when_it_has_changed(
    services: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each request it would take longer than that."""
    paths, others = (ensure_ca_and_server(tmp_path / name, [], datetime.now(UTC)) for name in ("own", "other"))
    server = services["vault"]._server
    server.socket = server_context(paths).wrap_socket(server.socket, server_side=True)
    ca = private(tmp_path, "ca.pem", paths.ca_cert.read_text())
    url = services["vault"].url.replace("http:", "https:")
    provider = provider_on("vault", settings["vault"].model_copy(update={"url": url, "ca_file": ca}))
    read, make = list[Any](), ssl.create_default_context

    def noted(**named: Any) -> ssl.SSLContext:
        read.append(named)
        return make(**named)

    monkeypatch.setattr(ssl, "create_default_context", noted)
    for _ in range(3):
        provider.check()
    assert len(read) == 1
    ca.write_text(others.ca_cert.read_text())
    with pytest.raises(KeyUnavailableError):
        provider.check()
    ca.write_text(paths.ca_cert.read_text())
    provider.check()


def test_a_vault_token_that_may_not_configure_forgets_nothing(services: Any, settings: Any) -> None:
    services["vault"].may_configure = False
    provider = provider_on("vault", settings["vault"])
    old = provider.wrap(b"k" * 32, ABOUT)
    provider.rotate()
    provider.forget_older(provider.newest())
    assert provider.unwrap(old, ABOUT) == b"k" * 32


def test_the_token_file_is_read_each_time(settings: Any) -> None:
    holder = VaultHolder(settings["vault"])
    holder.newest()
    settings["vault"].token_file.write_text("hvs.ended")
    with pytest.raises(KeyUnavailableError):
        holder.newest()


def test_a_grant_is_asked_for_once(services: Any, settings: Any) -> None:
    for which, make, token in (("google", GoogleHolder, "/token"), ("azure", AzureHolder, "/oauth2/v2.0/token")):
        holder = make(settings[which])
        for _ in range(3):
            holder.newest()
        assert sum(each.endswith(token) for each in services[which].asked) == 1


def test_a_rotation_of_aws_is_waited_for_and_has_a_bound(services: Any, settings: Any) -> None:
    waited: list[float] = []
    holder = AwsHolder(settings["aws"], wait=waited.append)
    before = holder.newest()
    services["aws"].slow = 3
    holder.rotate()
    assert holder.newest() != before
    assert len(waited) == 3
    services["aws"].slow = 10_000
    with pytest.raises(KeyUnavailableError, match="not done"):
        holder.rotate()


def test_the_signature_is_that_of_the_documentation() -> None:
    """AWS General Reference, "Examples of how to derive a signing key": the double is what is checked by it."""
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@ALL
def test_the_commands_move_the_outer_key_there_rotate_it_and_back(
    which: str, services: Any, settings: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    ring = ring_made_if_missing(data)
    sealed = ring.seal("alice", b"72", b"row 1")
    lines = [f"[keys.{which}]"]
    lines += [f'{name} = "{value}"' for name, value in settings[which].model_dump(mode="json").items() if value]
    (data / "healthsync.toml").write_text("\n".join(lines) + "\n")

    def run(line: str, code: int = 0) -> dict[str, Any]:
        words = line.split()
        done = CliRunner().invoke(program(needed(words)), [*words, "--data", str(data), "--json"])
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout or done.stderr)

    assert run(f"key rewrap --provider {which}") == {"provider": which, "rewrapped": 1, "given_up": 0}
    assert not (data / "keys" / "outer.json").exists()
    assert run("key status")["provider"] == which
    assert run("key check") == {"provider": which, "opened": 1}
    assert run("key rewrap")["rewrapped"] == 1
    assert run("key status")["behind"] == 0
    services[which].away = True
    assert run("key check", 1)["error"]["reason"] == "key_unavailable"
    assert ring_of(data).open("alice", sealed, b"row 1") == b"72", "what is unlocked goes on"
    with pytest.raises(KeyUnavailableError):
        ring_of(data).seal("bob", b"64", b"row 2")
    services[which].away = False
    ring_of(data).seal("bob", b"64", b"row 2")
    assert run("key rewrap --provider file") == {"provider": "file", "rewrapped": 2, "given_up": 0}
    assert ring_of(data).open("alice", sealed, b"row 1") == b"72"


def test_time_of_the_signature_is_the_clocks(services: Any, settings: Any) -> None:
    at = datetime(2026, 11, 27, 1, 0, tzinfo=UTC).timestamp()
    AwsHolder(settings["aws"], clock=lambda: at).newest()
    assert services["aws"].asked == ["POST /"]
