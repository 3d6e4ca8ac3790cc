"""A sink and the log that it ships, open for a command that works beside the service."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from healthsync_mqtt.identity.people.opening import has_registry
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.belonging import refuse_elsewhere
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.config import SinkConfig, Sinks
from healthsync_mqtt.sinks.coverage import Coverage
from healthsync_mqtt.sinks.kinds import open_ledger
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader

C = TypeVar("C", bound=SinkConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSink(Generic[C]):
    """``reader`` has the rows of this bridge. ``coverage`` is None where there is no registry, and all is permitted."""

    sinks: Sinks
    config: C
    reader: LogReader
    ledger: SinkLedger
    coverage: Coverage | None

    @classmethod
    @contextmanager
    def open(cls, data: Path, config: C) -> Iterator[Self]:
        """Everything, until the end of the ``with``. UnavailableError without a log, LostPseudonymError.

        SinksElsewhereError where bridges share the log, and another directory than this has its sinks.
        """
        refuse_elsewhere(data)
        sinks = Sinks(data)
        with ExitStack() as stack:
            part = BridgePart.read(data)
            reader = part.rows(stack.enter_context(open_reader(data)))
            ledger = open_ledger(sinks, config, reader)
            stack.callback(ledger.close)
            coverage = Coverage.open(part.registry) if has_registry(part.registry) else None
            if coverage is not None:
                stack.callback(coverage.close)
            yield cls(sinks=sinks, config=config, reader=reader, ledger=ledger, coverage=coverage)

    def permits(self, record: Record) -> bool:
        """Whether consent covers a row now."""
        return self.coverage is None or self.coverage.permits(record)
