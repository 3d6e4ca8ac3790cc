"""A data directory as commands and a service leave it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from healthsync_mqtt.backup.creation import MadeBackup, make_backup
from healthsync_mqtt.backup.place import BackupDirectory
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.sinks.config import FileConfig, Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.pseudonym import Pseudonyms
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.storage.port import EventLog
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected


@dataclass(frozen=True)
class House:
    """A data directory with a log that is open, and a place for backups."""

    data: Path
    place: Path
    log: EventLog

    def add(self, *names: str, user: str = "alice") -> None:
        self.log.stage([item(name, user) for name in names], [], NOW_US)
        self.log.commit()

    def backup(self, now_us: int = NOW_US) -> MadeBackup:
        return make_backup(self.data, BackupDirectory.make(self.place), now_us=now_us)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    data = tmp_path / "data"
    place = DataDirectory(data)
    with place.changing() as change:
        change.registry.add_user("alice", "*", NOW_US)
        change.registry.add_device("alice", "watch", NOW_US)
        change.note("user.added", user="alice")
    place.key_store().keyring(NOW_US)
    sinks = Sinks(data)
    sinks.put(FileConfig(name="folder", path=tmp_path / "folder"))
    ledger = SinkLedger.open(sinks.ledger("folder"))
    ledger.save_state({"cursor": 1})
    ledger.close()
    salts = Pseudonyms.open(sinks.pseudonyms)
    salts.of("alice")
    salts.close()
    CredentialStore(data / "credentials").ensure("healthsync-gateway")
    (data / "healthsync.toml").write_text("[log]\nlevel = 'warning'\n")
    (data / "formats").mkdir(mode=0o700)
    (data / "formats" / "own.yaml").write_text("form: own\n")
    with open_log(data) as log:
        house = House(data, tmp_path / "backups", log)
        house.add(*(f"e{n}" for n in range(50)))
        log.stage([], [rejected()], NOW_US)
        log.commit()
        yield house


@pytest.fixture
def restored(tmp_path: Path) -> Callable[[], Path]:
    """A directory to restore into, another one each time."""
    names = iter(range(100))
    return lambda: tmp_path / f"restored-{next(names)}"
