"""The contract of a registry, kept by the one in a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.testing.registry_contract import Both, RegistryContract


class TestSqliteRegistry(RegistryContract):
    @pytest.fixture
    def both(self, tmp_path: Path) -> Iterator[Both]:
        path = tmp_path / "registry.db"
        with Registry.open(path) as one, Registry.open(path) as other:
            yield Both(one, other)
