"""The files beside the log are sealed by whoever writes them, when that is opened or hears of it: here all at once."""

from contextlib import closing
from pathlib import Path

from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.homeassistant.file import LatestFile
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.keys.opening import ring_of
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.summaries.file import SummaryFile


def seal_files(data: Path, *, running: bool = False) -> None:
    """Seal what is there, of a data directory whose log is sealed. StoreError.

    Beside a running service its broker seals its own file, which nobody else can open, with the next thing it keeps.
    """
    ring_of(data).seal_files()
    paths, sinks = DataPaths(root=data), Sinks(data)
    if paths.sessions_db.exists() and not running:
        SessionStore.open(paths.sessions_db).close()
    if paths.adapters_db.exists():
        PartingBook.open(data).close()
    if paths.summaries_db.exists():
        SummaryFile.open(paths.summaries_db).close()
    if paths.insights_db.exists():
        InsightFile.open(paths.insights_db).close()
    if paths.homeassistant_db.exists():
        LatestFile.open(paths.homeassistant_db).close()
    for name in sinks.names():
        if sinks.ledger(name).exists():
            with closing(SinkLedger.open(sinks.ledger(name))):
                pass
