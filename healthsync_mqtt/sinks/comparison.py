"""Reconcile as a command runs it: all users and types of an installation against one sink, with repairs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.config import InfluxConfig, Sinks
from healthsync_mqtt.sinks.coverage import Coverage
from healthsync_mqtt.sinks.influx.backfill import Slice, drain, overtaken, repair
from healthsync_mqtt.sinks.influx.http import Influx
from healthsync_mqtt.sinks.influx.readback import Readback
from healthsync_mqtt.sinks.influx.reconcile import Difference, Reconciliation
from healthsync_mqtt.sinks.kinds import open_ledger, open_packer, open_pseudonyms
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.worker import assemble
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader

_NAMES = (
    "measurement", "expected", "found", "checksum_expected", "checksum_found", "missing", "wrong", "surplus",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """One user, measurement and day, and whether a repair made it equal."""

    difference: Difference
    repaired: bool

    def shown(self) -> dict[str, Any]:
        """As ``reconcile --json`` prints it."""
        of = self.difference
        return {name: getattr(of, name) for name in _NAMES} | {"equal": of.equal, "repaired": self.repaired}


class Comparison:
    """Log, ledger and server of one sink, open."""

    def __init__(
        self,
        sinks: Sinks,
        config: InfluxConfig,
        *,
        reader: LogReader,
        ledger: SinkLedger,
        server: Influx,
        coverage: Coverage | None,
    ) -> None:
        self._sinks = sinks
        self._config = config
        self._reader = reader
        self._ledger = ledger
        self._server = server
        self._coverage = coverage
        more: dict[str, Any] = {"permit": coverage.permits} if coverage else {}
        self._reconciliation = Reconciliation(
            reader,
            open_packer(sinks, config, reader, ledger),
            Readback(server, config.dialect, config.bucket),
            open_pseudonyms(sinks, ledger).of,
            through=lambda: reader.cursor(config.cursor) or 0,
            refused=ledger.refused_events,
            marks=config.deletes == "mark",
            **more,
        )

    @classmethod
    @contextmanager
    def open(cls, data: Path, config: InfluxConfig) -> Iterator[Self]:
        """Everything that a comparison needs. UnavailableError without a log, ConfigError without a token."""
        sinks = Sinks(data)
        with ExitStack() as stack:
            whose = BridgePart.read(data)
            reader = whose.rows(stack.enter_context(open_reader(data)))
            ledger = open_ledger(sinks, config, reader)
            stack.callback(ledger.close)
            server = Influx(config, config.token.read())
            stack.callback(server.close)
            coverage = Coverage.open(whose.registry) if whose.registry.exists() else None
            if coverage:
                stack.callback(coverage.close)
            yield cls(sinks, config, reader=reader, ledger=ledger, server=server, coverage=coverage)

    def run(
        self, user: str | None, type_name: str | None, since_us: int | None, *, repairing: bool
    ) -> Iterator[Compared]:
        """Compare, and repair where asked; each day that was repaired is compared again."""
        for name in [user] if user else self._users():
            for kind in [type_name] if type_name else types_of(self._reader, name):
                head = self._reader.head()
                found = list(self._reconciliation.compare(name, kind, since_us))
                left: set[tuple[str, int]] = set()
                if repairing and not all(one.equal for one in found):
                    self._repair(name, kind, since_us, found, head)
                    again = self._reconciliation.compare(name, kind, since_us)
                    left = {(one.measurement, one.day) for one in again if not one.equal}
                for one in found:
                    mended = repairing and not one.equal and (one.measurement, one.day) not in left
                    yield Compared(one, mended)

    def _repair(self, user: str, kind: str, since_us: int | None, found: list[Difference], head: int) -> None:
        """Write what is missing; erase what is a surplus at a second look too. Then what came in meanwhile.

        A point that is too much may become an event's between a look and its erasure: a phone sends again what a
        restored log has lost. So a second look spares what has come by then, and what comes later is written again.
        """
        if any(one.erase for one in found):
            second = {(one.measurement, one.day): one for one in self._reconciliation.compare(user, kind, since_us)}
            found = [
                replace(other, erase=tuple(line for line in other.erase if line in one.erase))
                for one in found
                if (other := second.get((one.measurement, one.day))) is not None
            ]
        for difference in found:
            if not difference.equal:
                repair(self._server, self._config, difference.write, difference.erase)
        if any(one.erase for one in found):
            self._ship(Slice(self._reader, through=self._reader.head(), user=user, type=kind), head)
        overtaken(self._reader, head, self._ship)

    def _ship(self, part: Slice, after: int) -> None:
        config = self._config.model_copy(update={"flush_s": 0.0, "settle_s": 0.0, "paused": False})
        more: dict[str, Any] = {"permit": self._coverage.permits} if self._coverage else {}
        shipper = assemble(
            self._sinks, config, reader=part, ledger=self._ledger, cursor=after, keep=lambda _seq: None, **more  # type: ignore[arg-type]
        )  # fmt: skip
        drain(shipper, lambda _seq: None)

    def _users(self) -> list[str]:
        """Whoever has points in this sink, or could: no scan of the log."""
        known = self._ledger.users() + (self._coverage.users() if self._coverage else [])
        return list(dict.fromkeys(known))


def types_of(reader: LogReader, user: str) -> list[str]:
    """The types that a log has anything of for a user, in the catalogue's order: each type is a reading of its own."""
    found = set(reader.types(user))
    return [name for name in CATALOGUE if name in found]
