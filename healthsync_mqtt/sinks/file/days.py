"""Users' days in the folder of a file sink: ``days-000001.ndjson`` and so on, a line for each change of a day.

The last line of a user, type and day says what it comes to; one with ``"op":"delete"`` that it comes to nothing any
more. After a crash a line may be there twice.
"""

from collections.abc import Sequence

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.sinks.config import FileConfig
from healthsync_mqtt.sinks.day_record import DayRecords, day_record
from healthsync_mqtt.sinks.file.lines import LineFiles
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, SinkStep, UserDay

_DONE = SinkStep(Next.DONE)


def day_files(config: FileConfig) -> LineFiles:
    """The files of days, beside those of events."""
    return LineFiles(config.path, "days", "days-place.json", config.file_bytes)


class FileDays:
    """See ``port.DaySink``. Nothing is open between two calls, so whoever erases a person may write in between."""

    generation = 0

    def __init__(self, config: FileConfig, *, ledger: SinkLedger) -> None:
        self._config = config
        self._records = DayRecords(ledger)

    def send(self, days: Sequence[UserDay]) -> SinkStep:
        """See ``port.DaySink``."""
        sent = self._records.begin(days)
        if not sent:
            return _DONE
        files = day_files(self._config)
        try:
            files.open()
            files.append([day_record(day) + b"\n" for day in sent])
        except (HealthSyncError, OSError, ValueError):  # the sink of events says what is wrong with the folder
            return SinkStep(Next.WAIT, "unwritable")
        finally:
            files.close()
        self._records.arrived(sent)
        return _DONE

    def disconnect(self) -> None:
        """See ``port.DaySink``."""
