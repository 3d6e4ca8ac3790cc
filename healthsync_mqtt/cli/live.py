"""The live view of ``up --demo``: one screen on a terminal, one line a second elsewhere."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.events import row
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.text import escaped
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader

_LAST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the view shows at one moment; ``rate`` is events received a second."""

    counters: dict[str, Any]
    rate: float
    last: tuple[Record, ...]

    def line(self) -> str:
        """The one-line form."""
        figures = self.counters
        newest = " ".join(str(cell) for cell in row(self.last[-1])[1:]) if self.last else ""
        return (
            f"{self.rate:.0f} events/s  stored {figures['stored']}  duplicate {figures['duplicate']}"
            f"  rejected {figures['rejected']}  {newest}"
        ).rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        names = ("received", "stored", "duplicate", "rejected", "failed", "in_flight")
        figures = {name: self.counters.get(name, 0) for name in names}
        return {"event": "progress", "events_per_second": round(self.rate, 1), "counters": figures}

    def screen(self, where: dict[str, str]) -> Group:
        """The terminal form."""
        head = Table.grid(padding=(0, 3))
        head.add_row(
            Text.assemble((f"{self.rate:,.0f}", "bold cyan"), " events/s"),
            Text.assemble(("stored ", "dim"), (f"{self.counters['stored']:,}", "bold green")),
            Text.assemble(("duplicate ", "dim"), (f"{self.counters['duplicate']:,}", "bold yellow")),
            Text.assemble(("rejected ", "dim"), (f"{self.counters['rejected']:,}", "bold red")),
            Text.assemble(("connections ", "dim"), str(self.counters.get("connections", 0))),
        )
        listed = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        for name in ("SEQ", "START", "USER", "DEVICE", "TYPE"):
            listed.add_column(name, no_wrap=True)
        listed.add_column("VALUE", ratio=1, no_wrap=True, overflow="ellipsis")
        for record in reversed(self.last):
            listed.add_row(*(Text(escaped(str(cell or ""))) for cell in row(record)))
        listeners = Text("  ".join(f"{name} {address}" for name, address in where.items()), style="dim")
        return Group(
            Text("HealthSync MQTT", style="bold"), listeners, Text(), head, Text(), listed, Text("Ctrl-C stops", "dim")
        )


class LiveView:
    """Watches a running service of this process until its task is cancelled."""

    def __init__(self, service: Any, data: Path, where: dict[str, str], *, as_json: bool) -> None:
        self._service = service
        self._data = data
        self._where = where
        self._as_json = as_json
        self._marks: deque[tuple[float, int]] = deque(maxlen=6)

    async def run(self) -> None:
        """Show until cancelled."""
        with open_reader(self._data) as log:
            if self._as_json or not output.on_terminal():
                while True:
                    await asyncio.sleep(1)
                    sight = self._look(log)
                    if self._as_json:
                        output.emit(sight.as_dict())
                    else:
                        output.emit_json(sight.line().encode())
                    output.flush()
            console = output.console()
            with Live(console=console, screen=True, auto_refresh=False) as live:
                while True:
                    live.update(self._look(log).screen(self._where), refresh=True)
                    await asyncio.sleep(0.5)

    def _look(self, log: LogReader) -> Sight:
        counters = self._service.counters.snapshot()
        self._marks.append((time.monotonic(), counters["received"]))
        (since, before), (now, after) = self._marks[0], self._marks[-1]
        rate = (after - before) / (now - since) if now > since else 0.0
        return Sight(counters=counters, rate=rate, last=tuple(log.read(0, _LAST, newest=True)))
