"""Reconcile as a command runs it: all users and types of an installation against one sink, with repairs."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.backfill import Slice, drain, overtaken, repair
from healthsync_mqtt.sinks.influx.http import Influx
from healthsync_mqtt.sinks.influx.readback import Readback
from healthsync_mqtt.sinks.influx.reconciliation import Difference, Reconciliation
from healthsync_mqtt.sinks.kinds import open_packer, open_pseudonyms
from healthsync_mqtt.sinks.opened_sink import OpenedSink
from healthsync_mqtt.sinks.worker import assemble
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

    def __init__(self, opened: OpenedSink[InfluxConfig], server: Influx) -> None:
        """Use ``open``."""
        config, reader, ledger = opened.config, opened.reader, opened.ledger
        self._opened = opened
        self._server = server
        self._reconciliation = Reconciliation(
            reader,
            open_packer(opened.sinks, config, reader, ledger),
            Readback(server, config.dialect, config.bucket),
            open_pseudonyms(opened.sinks, ledger).of,
            through=lambda: reader.cursor(config.cursor) or 0,
            refused=ledger.refused_events,
            marks=config.deletes == "mark",
            permit=opened.permits,
        )

    @classmethod
    @contextmanager
    def open(cls, data: Path, config: InfluxConfig) -> Iterator[Self]:
        """Everything that a comparison needs. UnavailableError without a log, ConfigError without a token."""
        with OpenedSink.open(data, config) as opened, closing(Influx(config, config.token.read())) as server:
            yield cls(opened, server)

    def run(
        self, user: str | None, type_name: str | None, since_us: int | None, *, repairing: bool
    ) -> Iterator[Compared]:
        """Compare, and repair where asked; each day that was repaired is compared again."""
        for name in [user] if user else self._users():
            for kind in [type_name] if type_name else types_of(self._opened.reader, name):
                head = self._opened.reader.head()
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
                repair(self._server, self._opened.config, difference.write, difference.erase)
        if any(one.erase for one in found):
            self._ship(Slice(self._opened.reader, through=self._opened.reader.head(), user=user, type=kind), head)
        overtaken(self._opened.reader, head, self._ship)

    def _ship(self, part: Slice, after: int) -> None:
        config = self._opened.config.model_copy(update={"flush_s": 0.0, "settle_s": 0.0, "paused": False})
        shipper = assemble(
            self._opened.sinks, config, reader=part, ledger=self._opened.ledger, cursor=after,  # type: ignore[arg-type]
            keep=lambda _seq: None, permit=self._opened.permits,
        )  # fmt: skip
        drain(shipper, lambda _seq: None)

    def _users(self) -> list[str]:
        """Whoever has points in this sink, or could: no scan of the log."""
        known = self._opened.ledger.users() + (coverage.users() if (coverage := self._opened.coverage) else [])
        return list(dict.fromkeys(known))


def types_of(reader: LogReader, user: str) -> list[str]:
    """The types that a log has anything of for a user, in the catalogue's order: each type is a reading of its own."""
    found = set(reader.types(user))
    return [name for name in CATALOGUE if name in found]
