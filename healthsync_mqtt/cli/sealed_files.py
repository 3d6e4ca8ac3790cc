"""The files beside the log are sealed by whoever writes them, when they are opened: here all at once."""

from contextlib import closing
from pathlib import Path

from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.homeassistant.file import LatestFile
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.summaries.file import SummaryFile


def seal_files(data: Path) -> None:
    """Seal what is there, of a data directory whose log is sealed and whose service does not run. StoreError."""
    paths, sinks = DataPaths(root=data), Sinks(data)
    if paths.sessions_db.exists():
        SessionStore.open(paths.sessions_db).close()
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
