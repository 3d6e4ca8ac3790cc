"""A long sequence of events carried to the service, with a mark of how far their receipts have come.

The sequence is the same each time it is made, so that its place alone says what is still to be sent: who was stopped,
by whatever, goes on from the mark. A mark that is lost or old costs only duplicates.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from healthsync_mqtt.client.device import DeviceClient
from healthsync_mqtt.client.outbox import Outbox
from healthsync_mqtt.client.results import Rejected, Results
from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.errors import InputError, UnavailableError
from healthsync_mqtt.model.reasons import Reason

_PIECE: Final = 1000
_AT_ONCE: Final = 4
_ROWS_OF_ONE: Final = 200
"""Samples, places or stages of an event that weigh as much as an event."""
_EXAMPLES: Final = 3
_SAVED_EVERY_S: Final = 0.5


class Load(NamedTuple):
    """One event on its way, and where its source had it."""

    event: Mapping[str, Any]
    place: str = ""


@dataclass(slots=True, kw_only=True)
class Mark:
    """How far the receipts have come, and what they said: of the first ``events`` of a sequence."""

    events: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: of the rejected: those that the service has taken aside until their time has come
    held: int = 0
    #: the log that said so, and how far it was
    epoch: str = ""
    seq: int = 0

    def add(self, loads: list[Load], results: Results) -> None:
        """What the receipts of one piece said."""
        self.events += len(results)
        self.stored += results.stored
        self.duplicate += results.duplicate
        for load, result in zip(loads, results, strict=True) if results.rejected else ():
            if isinstance(result, Rejected):
                self.held += result.held
                self.refuse(load, result.reason, result.message)

    def refuse(self, load: Load, reason: str, message: str) -> None:
        """One event that was not taken."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < _EXAMPLES:
            shown.append({"place": load.place, "type": load.event.get("type"), "message": message})

    def join(self, other: "Mark") -> None:
        """Count another sequence in."""
        self.events += other.events
        self.stored += other.stored
        self.duplicate += other.duplicate
        self.held += other.held
        for reason, number in other.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + number
            self.examples[reason] = (self.examples.get(reason, []) + other.examples.get(reason, []))[:_EXAMPLES]


class MarkFile:
    """A mark on the disk. It is written whole or not at all, and one that cannot be read is none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mark:
        """The mark; of the beginning where there is none."""
        for left in self._path.parent.glob(f".{self._path.name}.*"):
            left.unlink(missing_ok=True)  # of a process that was killed while it wrote
        try:
            return Mark(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Mark()

    def write(self, mark: Mark) -> None:
        """Keep it. What a receipt said of a value is not kept."""
        names = ("events", "stored", "duplicate", "rejected", "held", "epoch", "seq")
        kept = {name: getattr(mark, name) for name in names}
        kept["examples"] = {
            reason: [{**each, "message": ""} for each in examples] for reason, examples in mark.examples.items()
        }
        write_durably(self._path, json.dumps(kept).encode())

    def remove(self) -> None:
        """The sequence is at its end."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


class Carriage:
    """Carries a sequence from where its mark is.

    ``outbox`` is the client's own: it tells which log the receipts are of. ``rate`` is how many events leave in a
    second; None: as many as can.
    """

    def __init__(self, client: DeviceClient, outbox: Outbox, marks: MarkFile, *, rate: float | None = None) -> None:
        self._client = client
        self._outbox = outbox
        self._marks = marks
        self._rate = rate
        self._saved_at = 0.0
        self._sent = 0
        self._began = 0.0

    async def carry(self, make: Callable[[], Iterator[Load]]) -> Mark:
        """All of the sequence that ``make`` gives anew at each call. Returns when the last receipt is there.

        The mark is at the end then; whoever has kept what came of it removes it.

        Raises what ``DeviceClient.publish`` raises, and UnavailableError where the service's log became another one.
        """
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        mark = self._marks.read()
        loads = make()
        if mark.events:
            first = await asyncio.to_thread(_take, loads, min(self._size(), mark.events))
            await self._publish(first)
            if self._is_of_this_log(mark):
                await asyncio.to_thread(_skip, loads, mark.events - len(first))
            else:
                mark, loads = Mark(), make()
        await self._all(loads, mark)
        position = self._outbox.position()
        if position is not None and mark.epoch not in {"", position.epoch}:
            self._marks.remove()
            raise UnavailableError("the service's log was replaced meanwhile", hint="run the same command again")
        return mark

    def _is_of_this_log(self, mark: Mark) -> bool:
        position = self._outbox.position()
        return position is not None and position.epoch == mark.epoch and position.seq >= mark.seq

    def _size(self) -> int:
        return _PIECE if self._rate is None else max(1, min(_PIECE, round(self._rate / 10)))

    async def _all(self, loads: Iterator[Load], mark: Mark) -> None:
        """Pieces on their way at once; the mark moves over those that are done, in their order."""
        loop = asyncio.get_running_loop()
        going: deque[tuple[list[Load], asyncio.Task[Results | Mark]]] = deque()
        try:
            while True:
                piece = await asyncio.to_thread(_take, loads, self._size())
                if not piece:
                    break
                if self._rate is not None:
                    await asyncio.sleep(max(0.0, self._began + self._sent / self._rate - loop.time()))
                self._sent += len(piece)
                going.append((piece, asyncio.create_task(self._publish(piece))))
                if len(going) >= _AT_ONCE:
                    await self._settle(mark, *going.popleft())
            while going:
                await self._settle(mark, *going.popleft())
        finally:
            for _, task in going:
                task.cancel()
            await asyncio.gather(*(task for _, task in going), return_exceptions=True)
            if mark.events:
                await asyncio.to_thread(self._marks.write, mark)

    async def _settle(self, mark: Mark, piece: list[Load], task: "asyncio.Task[Results | Mark]") -> None:
        found = await task
        if isinstance(found, Mark):
            mark.join(found)
        else:
            mark.add(piece, found)
        position = self._outbox.position()
        if position is not None:
            mark.epoch, mark.seq = mark.epoch or position.epoch, max(mark.seq, position.seq)
        now = asyncio.get_running_loop().time()
        if now - self._saved_at >= _SAVED_EVERY_S:
            self._saved_at = now
            await asyncio.to_thread(self._marks.write, mark)

    async def _publish(self, piece: list[Load]) -> "Results | Mark":
        """The receipts of a piece; where it holds what cannot be sent at all, event by event."""
        try:
            return await self._client.publish([load.event for load in piece])
        except InputError as error:
            mark = Mark()
            if len(piece) == 1:
                mark.events = 1
                mark.refuse(piece[0], Reason.TOO_LARGE.value, str(error))
                return mark
            for load in piece:
                found = await self._publish([load])
                if isinstance(found, Mark):
                    mark.join(found)
                else:
                    mark.add([load], found)
            return mark


def _take(loads: Iterator[Load], most: int) -> list[Load]:
    """The next events: so many, or fewer where they are big."""
    piece: list[Load] = []
    weight = 0
    for load in loads:
        piece.append(load)
        value = load.event.get("value")
        weight += 1
        if isinstance(value, dict):
            weight += sum(len(each) for each in value.values() if isinstance(each, list)) // _ROWS_OF_ONE
        if weight >= most:
            break
    return piece


def _skip(loads: Iterator[Load], count: int) -> None:
    next(islice(loads, count, count), None)
