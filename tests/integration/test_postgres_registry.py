"""The registry on a real PostgreSQL."""

from collections.abc import Iterator
from itertools import count

import pytest

from healthsync_mqtt.identity.people.postgres.connection import RegistryPlace
from healthsync_mqtt.identity.people.postgres.tables import PostgresTables
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.testing.registry_contract import NOW_US, Both, RegistryContract
from tests.support.postgres import Postgres, installed

pytestmark = [
    pytest.mark.real_server,
    pytest.mark.skipif(not installed(), reason="postgresql is not installed: scripts/test installs it where it can"),
]

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def both(server: Postgres) -> Iterator[Both]:
    place = RegistryPlace(server.url, schema=f"registry_{next(_NUMBERS)}")
    with Registry(PostgresTables.open(place)) as one, Registry(PostgresTables.open(place)) as other:
        yield Both(one, other)


class TestPostgresRegistry(RegistryContract):
    pass
