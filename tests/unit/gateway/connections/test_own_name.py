"""The name of a gateway at its broker: no two gateways of an installation have the same one."""

import re
from pathlib import Path

import pytest

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConflictError, NotFoundError
from healthsync_mqtt.gateway.connections.own_name import own_name
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.registry import Registry

NAME = "healthsync-gateway"


@pytest.fixture
def store(tmp_path: Path) -> CredentialStore:
    return CredentialStore(tmp_path / "credentials")


def test_beside_our_own_broker_each_takes_the_first_name_that_is_free(tmp_path: Path, store: CredentialStore) -> None:
    settings = load_settings(tmp_path)
    with own_name(settings, external=False) as first:
        with own_name(settings, external=False) as second:
            assert (first, second) == (NAME, f"{NAME}-2")
            assert store.names() == [first, second], "the broker lets in whoever has a credential"
        with own_name(settings, external=False) as third:
            assert third == second, "that one has ended"


def test_beside_others_brokers_it_is_one_that_the_broker_was_told_of(tmp_path: Path, store: CredentialStore) -> None:
    settings = load_settings(tmp_path)
    with (
        pytest.raises(NotFoundError, match=NAME),
        own_name(settings, external=True),
    ):
        pass
    for name in (NAME, f"{NAME}-east", "healthsync-bridge-main"):
        store.ensure(name)
    with own_name(settings, external=True) as first, own_name(settings, external=True) as second:
        assert (first, second) == (NAME, f"{NAME}-east")
        with pytest.raises(ConflictError, match="is connected already") as refused, own_name(settings, external=True):
            pass
        assert "--gateways" in refused.value.hint


def test_an_id_is_the_one_name_of_its_gateway(tmp_path: Path, store: CredentialStore) -> None:
    settings = load_settings(tmp_path, {"gateway.id": "west"})
    store.ensure(NAME)
    with pytest.raises(NotFoundError, match=re.escape(f"{NAME}-west")), own_name(settings, external=True):
        pass
    store.ensure(f"{NAME}-west")
    with own_name(settings, external=True) as name:
        assert name == f"{NAME}-west"
        with pytest.raises(ConflictError), own_name(settings, external=True):
            pass


def test_no_device_gets_such_a_name(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user(NAME, "all", 1)
        made = registry.add_device(NAME, "2", 1)
    assert not made.client_id.startswith(NAME)
