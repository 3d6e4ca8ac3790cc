"""Whom followers and sinks work for: a shard divides the users of a log that is one bridge's own, and of no other."""

from pathlib import Path

import pytest

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.sinks.bridge_part import BridgePart

USERS = [f"u{number}" for number in range(20)]
SERVER = '[storage]\nurl = "postgresql://healthsync@127.0.0.1/healthsync"\n'
SHARD = '[external]\nshard = "1/2"\n'


def part(data: Path, text: str) -> BridgePart:
    data.mkdir(mode=0o700)
    (data / "healthsync.toml").write_text(text)
    return BridgePart.of(load_settings(data))


@pytest.mark.parametrize("storage", ["", SERVER])
def test_on_a_log_of_its_own_they_have_the_shard(tmp_path: Path, storage: str) -> None:
    found = part(tmp_path / "data", SHARD + storage)
    owned = [user for user in USERS if found.shard.owns(user)]
    assert 0 < len(owned) < len(USERS)
    assert found.home


def test_on_a_log_that_bridges_share_they_have_everybody(tmp_path: Path) -> None:
    found = part(tmp_path / "data", SHARD + SERVER + "shared = true\n")
    assert all(found.shard.owns(user) for user in USERS)


def test_of_bridges_that_share_a_log_one_is_at_home(tmp_path: Path) -> None:
    shared = SERVER + "shared = true\n"
    assert part(tmp_path / "one", shared + f'[external]\nregistry_file = "{tmp_path}/one/registry.db"\n').home
    other = part(tmp_path / "two", shared + f'[external]\nregistry_file = "{tmp_path}/one/registry.db"\n')
    assert not other.home
    assert other.registry == tmp_path / "one/registry.db"
    registry = '[registry]\nurl = "postgresql://healthsync@127.0.0.1/healthsync"\n'
    assert part(tmp_path / "three", shared + registry).home
    assert not part(tmp_path / "four", shared + registry + "home = false\n").home
