"""The live view of ``up --demo``: one screen on a terminal, one line a second elsewhere."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.demo import DEVICE, USER
from healthsync_mqtt.cli.events import row
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import now_us
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.text import escaped
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader

_OWN, _SIMULATED, _REFUSED = 4, 3, 3
"""Rows of each part: with the rest they are the 24 lines of the smallest usual terminal."""
_NEXT, _NARROW = "Next: ", 80
_PAGE = 1000
_LATELY_US: Final = 15 * 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose events the board lists: everybody's, one user's, or one device's."""

    user: str | None = None
    device: str | None = None

    @classmethod
    def of(cls, text: str | None) -> "Wanted":
        """``alice`` or ``alice/watch-1``; None: everybody's."""
        user, _, device = (text or "").partition("/")
        return cls(user=user or None, device=device or None)

    def __contains__(self, who: tuple[str, str | None]) -> bool:
        return self.user in {None, who[0]} and self.device in {None, who[1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRefusal:
    """An event or a login that was refused."""

    at_us: int
    client: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the view shows at one moment; ``rate`` is events received a second."""

    counters: dict[str, Any]
    rate: float
    own: tuple[Record, ...] = ()
    simulated: tuple[Record, ...] = ()
    refused: tuple[SeenRefusal, ...] = ()

    def line(self) -> str:
        """The one-line form."""
        figures = self.counters
        last = max((*self.own, *self.simulated), key=lambda record: record.seq, default=None)
        newest = " ".join(str(cell) for cell in row(last)[1:]) if last else ""
        return (
            f"{self.rate:.0f} events/s  stored {figures['stored']}  duplicate {figures['duplicate']}"
            f"  rejected {figures['rejected']}  {newest}"
        ).rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        names = ("received", "stored", "duplicate", "rejected", "failed", "in_flight")
        figures = {name: self.counters.get(name, 0) for name in names}
        return {"event": "progress", "events_per_second": round(self.rate, 1), "counters": figures}

    def screen(self, where: Mapping[str, str], following: Sequence[str]) -> Group:
        """The terminal form; ``following`` are the commands that a reader may type next."""
        counted = Text(no_wrap=True, overflow="ellipsis")
        counted.append(f"{self.rate:,.0f}", "bold cyan").append(" events/s")
        styles = {"stored": "bold green", "duplicate": "bold yellow", "rejected": "bold red"}
        for name, style in styles.items():
            counted.append(f"  {name} ", "dim").append(f"{self.counters[name]:,}", style)
        refused = self.counters.get("logins_refused", 0) + self.counters.get("publishes_refused", 0)
        counted.append("  refused ", "dim").append(f"{refused:,}", "bold red" if refused else "")
        return Group(
            Text.assemble(("HealthSync MQTT", "bold"), ("   Ctrl-C stops", "dim")),
            _line("  ".join(f"{name} {address}" for name, address in where.items())),
            counted,
            Text(),
            Text("your devices", "bold cyan"),
            _events(self.own, "nothing yet"),
            Text(),
            Text(f"the simulator (user {USER}, device {DEVICE})", "bold"),
            _events(self.simulated, "-"),
            Text(),
            Text("refused", "bold red"),
            _refusals(self.refused),
            Text(),
            *_next(following),
        )


def _next(following: Sequence[str]) -> list[Text]:
    """Whole, since they are copied: on two lines where one is too short, and then fewer of them."""
    fits = all(len(each) <= _NARROW - len(_NEXT) for each in following)
    shown = following if fits else following[:2]
    return [
        Text((" " * len(_NEXT) if number else _NEXT) + each, style="dim", no_wrap=False, overflow="fold")
        for number, each in enumerate(shown)
    ]


def _line(text: str) -> Text:
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")


def _rows(widths: Sequence[int], rows: Iterable[Sequence[object]], empty: str) -> Table:
    listed = Table.grid(padding=(0, 1), expand=True)
    for width in widths:
        listed.add_column(no_wrap=True, overflow="ellipsis", width=width)
    listed.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    shown = [[Text(escaped("" if cell is None else str(cell))) for cell in each] for each in rows]
    for cells in shown:
        listed.add_row(*cells)
    if not shown:
        listed.add_row(Text(empty, "dim"))
    return listed


def _events(records: Sequence[Record], empty: str) -> Table:
    def cells(record: Record) -> tuple[object, ...]:
        _, start, user, device, type_, value = row(record)
        return start, f"{user}/{device or '-'}", type_, value

    return _rows((20, 22, 12), map(cells, reversed(records)), empty)


def _refusals(refused: Sequence[SeenRefusal]) -> Table:
    return _rows((9, 24), ((iso(each.at_us)[11:19] + "Z", each.client, each.reason) for each in refused), "nothing")


class Board:
    """What the view lists, gathered as it comes: the simulator's flood drives nobody else off the screen."""

    def __init__(self, log: LogReader, registry: Registry, wanted: Wanted) -> None:
        self._log = log
        self._registry = registry
        self._wanted = wanted
        self._own: deque[Record] = deque(maxlen=_OWN)
        self._simulated: deque[Record] = deque(maxlen=_SIMULATED)
        self._rejected: deque[SeenRefusal] = deque(maxlen=_REFUSED)
        self._seq = 0
        self._no = _last_rejected(log)

    def look(self, counters: Mapping[str, Any], rate: float) -> Sight:
        """Everything up to now. Of a rush of events only the newest thousand are looked at."""
        for record in self._log.read(self._seq, _PAGE, history=True, newest=True):
            self._seq = record.seq
            if (record.user, record.device) == (USER, DEVICE):
                self._simulated.append(record)
            elif (record.user, record.device) in self._wanted:
                self._own.append(record)
        for row_ in self._log.rejected(self._no, 100):
            self._no = row_.no
            if (row_.user, row_.device) in self._wanted:
                who = f"{row_.user}/{row_.device or row_.provider or '-'}"
                self._rejected.append(
                    SeenRefusal(at_us=row_.received_us, client=who, reason=f"{row_.reason}: {row_.message}")
                )
        logins = (
            SeenRefusal(at_us=each.last_us, client=each.client_id, reason=f"login: {each.reason} ({each.address})")
            for each in self._registry.refused_logins.since(now_us() - _LATELY_US)
        )
        newest = sorted((*self._rejected, *logins), key=lambda each: each.at_us, reverse=True)[:_REFUSED]
        return Sight(
            counters=dict(counters),
            rate=rate,
            own=tuple(self._own),
            simulated=tuple(self._simulated),
            refused=tuple(newest),
        )


def _last_rejected(log: LogReader) -> int:
    """The number of the newest refusal: numbers only grow, so that halving finds it without reading them all."""
    low, high = 0, 1
    while log.rejected(high, 1):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if log.rejected(middle, 1) else (low, middle)
    return low


class LiveView:
    """Watches a running service of this process until its task is cancelled."""

    def __init__(
        self,
        service: Any,
        place: DataDirectory,
        where: Mapping[str, str],
        following: Sequence[str],
        *,
        wanted: Wanted,
        as_json: bool,
    ) -> None:
        self._service = service
        self._place = place
        self._where = where
        self._following = following
        self._wanted = wanted
        self._as_json = as_json
        self._marks: deque[tuple[float, int]] = deque(maxlen=6)

    async def run(self) -> None:
        """Show until cancelled."""
        with open_reader(self._place.path) as log, self._place.registry() as registry:
            board = Board(log, registry, self._wanted)
            if self._as_json or not output.on_terminal():
                while True:
                    await asyncio.sleep(1)
                    sight = self._look(board)
                    if self._as_json:
                        output.emit(sight.as_dict())
                    else:
                        output.emit_json(sight.line().encode())
                    output.flush()
            console = output.console()
            with Live(console=console, screen=True, auto_refresh=False) as live:
                while True:
                    live.update(self._look(board).screen(self._where, self._following), refresh=True)
                    await asyncio.sleep(0.5)

    def _look(self, board: Board) -> Sight:
        counters = self._service.counters.snapshot()
        self._marks.append((time.monotonic(), counters["received"]))
        (since, before), (now, after) = self._marks[0], self._marks[-1]
        rate = (after - before) / (now - since) if now > since else 0.0
        return board.look(counters, rate)
