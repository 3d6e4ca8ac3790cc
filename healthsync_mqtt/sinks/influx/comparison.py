"""Reconcile as a command runs it: all users and types of an installation against one sink, with repairs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.sinks.config import SinkConfig, Sinks
from healthsync_mqtt.sinks.influx.backfill import repair
from healthsync_mqtt.sinks.influx.http import Influx
from healthsync_mqtt.sinks.influx.readback import Readback
from healthsync_mqtt.sinks.influx.reconcile import Difference, Reconciliation
from healthsync_mqtt.sinks.ledger import Ledger
from healthsync_mqtt.sinks.pseudonym import Pseudonyms
from healthsync_mqtt.sinks.worker import pack_for
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader


@dataclass(frozen=True, slots=True)
class Compared:
    """One user, measurement and day, and whether a repair made it equal."""

    difference: Difference
    repaired: bool

    def shown(self) -> dict[str, Any]:
        """As ``reconcile --json`` prints it."""
        of = self.difference
        names = (
            "measurement",
            "expected",
            "found",
            "checksum_expected",
            "checksum_found",
            "missing",
            "wrong",
            "surplus",
        )
        return {name: getattr(of, name) for name in names} | {"equal": of.equal, "repaired": self.repaired}


class Comparison:
    """Log, ledger and server of one sink, open."""

    def __init__(self, sink: SinkConfig, sinks: Sinks, reader: LogReader, ledger: Ledger, server: Influx) -> None:
        self._sink = sink
        self._reader = reader
        self._server = server
        pseudonyms = Pseudonyms.open(sinks.pseudonyms)
        self._reconciliation = Reconciliation(
            reader,
            pack_for(sinks, sink, reader, ledger),
            Readback(server, sink.dialect, sink.bucket),
            pseudonyms.of,
            through=reader.cursor(sink.cursor) or 0,
            refused=ledger.refused_events(),
            marks=sink.deletes == "mark",
        )

    @classmethod
    @contextmanager
    def open(cls, data: Path, sink: SinkConfig) -> Iterator[Self]:
        """Everything that a comparison needs. UnavailableError without a log, ConfigError without a token."""
        sinks = Sinks(data)
        with ExitStack() as stack:
            reader = stack.enter_context(open_reader(data))
            ledger = Ledger.open(sinks.ledger(sink.name), budget=sink.series_budget)
            stack.callback(ledger.close)
            server = Influx(sink, sink.token.read())
            stack.callback(server.close)
            yield cls(sink, sinks, reader, ledger, server)

    def run(
        self, user: str | None, type_name: str | None, since_us: int | None, *, repairing: bool
    ) -> Iterator[Compared]:
        """Compare, and repair where asked; each day that was repaired is compared again."""
        for name in [user] if user else self._users():
            for kind in [type_name] if type_name else CATALOGUE:
                found = list(self._reconciliation.compare(name, kind, since_us))
                differing = [difference for difference in found if not difference.equal]
                left: set[tuple[str, int]] = set()
                if repairing and differing:
                    for difference in differing:
                        repair(self._server, self._sink, difference.write, difference.erase)
                    again = self._reconciliation.compare(name, kind, since_us)
                    left = {(one.measurement, one.day) for one in again if not one.equal}
                for one in found:
                    mended = repairing and not one.equal and (one.measurement, one.day) not in left
                    yield Compared(one, mended)

    def _users(self) -> list[str]:
        users: dict[str, None] = {}
        after = 0
        while rows := self._reader.read(after, 5000, history=True):
            users |= dict.fromkeys(row.user for row in rows)
            after = rows[-1].seq
        return list(users)
