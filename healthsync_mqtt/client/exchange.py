# long: one connection's events from the outbox to their fate, which comes by two ways that settle alike
"""One connection's work: send what is pending in the outbox, and settle it by acknowledgements or receipts.

Where the service speaks MQTT 5, a PUBACK says what became of its batch (``told``); else a receipt does.

Every send gets a batch id of its own. A receipt for a batch of this connection shows the log as it is now; one for an
earlier connection's batch (delivered late from the session) settles its events and says nothing about the log today.
A log may get another epoch while a connection lasts, as behind an external broker: each one is seen once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, ParamSpec, TypeVar

import msgspec

from healthsync_mqtt.client.backoff import Clock
from healthsync_mqtt.client.outbox import Outbox, OutboxEntry, Position
from healthsync_mqtt.client.results import Accepted, Duplicate, Rejected, Result, Stored
from healthsync_mqtt.client.transport import Answer, ConnectionLostError, DeviceConnection
from healthsync_mqtt.errors import DeniedError, HealthSyncError, InputError
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.receipt import TOPIC_SHOWN, Receipt, RejectedEvent, parse_receipt
from healthsync_mqtt.mqtt.links.port import HEADER, TooLargeError

_LOG = logging.getLogger("healthsync_mqtt.client")
_OF_BATCHES = frozenset({Reason.TOO_MANY.value, Reason.TOO_LARGE.value, Reason.DECOMPRESS_LIMIT.value})
_VAIN = 2
_FRAME_BYTES = 100
"""What a batch has beside its events."""
_HEADER_BYTES = 4
"""What the service counts of a PUBLISH of MQTT 3.1.1 beside topic and payload."""
REFUSED = 0x80
_NOT_AUTHORIZED = 0x87
_entry = msgspec.json.Decoder(RejectedEvent).decode
_KEEP_FIRST_S = 30.0
_KEEP_MOST_S = 900.0
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much is on its way at once. ``max_bytes`` stays below the service's limit of 1 MiB a packet."""

    batch_size: int = 100
    max_in_flight: int = 16
    max_bytes: int = 900_000
    receipt_timeout: float = 30.0


class SentBatch(NamedTuple):
    """A batch on its way: its events, its bytes, the connection it left on and when (monotonic seconds).

    ``epochs``: how many of the log's epochs that connection had seen when it left.
    """

    entries: Sequence[OutboxEntry]
    size: int
    connection: int
    at: float
    epochs: int


class Settled(NamedTuple):
    """What a receipt says about one batch; the results stand in the order of the entries."""

    entries: Sequence[OutboxEntry]
    results: list[Result]
    stored: int
    duplicate: int
    rejected: int


def settle(entries: Sequence[OutboxEntry], receipt: Receipt) -> Settled | None:
    """Read a receipt as the fate of each event of its batch; None when its counts cannot be about this batch."""
    stored, duplicate = _count(receipt.stored), _count(receipt.duplicate)
    rejected = {item.index: item for item in receipt.rejected}
    size = len(entries)
    if not stored and not duplicate and len(rejected) == 1 and size > 1:
        # The whole delivery was refused (too many events, say): the one reason holds for each event.
        (whole,) = rejected.values()
        rejected = dict.fromkeys(range(size), whole)
    if stored + duplicate + len(rejected) != size or any(not 0 <= index < size for index in rejected):
        return None
    fate = Accepted if stored and duplicate else Stored if stored else Duplicate
    results: list[Result] = []
    for index, entry in enumerate(entries):
        item = rejected.get(index)
        results.append(
            Rejected(
                id=entry.id,
                reason=item.code,
                field=item.field,
                message=item.message,
                retry=item.retry,
                held=item.held,
            )
            if item
            else fate(id=entry.id)
        )
    return Settled(entries, results, stored, duplicate, len(rejected))


def told(batch: str, answer: Answer) -> Receipt | None:
    """The acknowledgement of a batch as a receipt; None when it says nothing of events.

    It lists as many rejections as fit; of a single event the first reason is enough.
    """
    counts = [answer.get(name) for name in ("stored", "duplicate", "rejected", "seq")]
    epoch = answer.get("epoch")
    if epoch is None or not all(count is not None and count.isascii() and count.isdigit() for count in counts):
        return None
    stored, duplicate, rejected, seq = (int(count or 0) for count in counts)
    entries = []
    for text in (value for name, value in answer.said if name == "rejection"):
        try:
            entries.append(_entry(text))
        except (msgspec.MsgspecError, UnicodeError):
            return None
    if rejected == 1 and not entries and not stored and not duplicate:
        held = answer.get("held") not in {None, "0"}
        reason = answer.get("reason") or "rejected"
        entries = [RejectedEvent(0, None, reason, answer.get("field"), answer.why, held=held)]
    return Receipt(epoch, seq, batch, stored, duplicate, entries)


def _unnamed(receipt: Receipt, answer: Answer) -> int:
    """How many rejections the acknowledgement counts and does not list."""
    return int(answer.get("rejected") or 0) - len(receipt.rejected)


def refusal(answer: Answer) -> HealthSyncError:
    """A message that was not taken at all: nothing is settled by it, and everything stays in the outbox."""
    why = f": {answer.why}" if answer.why else f" (code {answer.code:#04x})"
    if answer.code == _NOT_AUTHORIZED:
        return DeniedError(
            f"the service does not take events of this device{why}",
            hint="see what it may publish, and why: healthsync topic check --as USER/DEVICE --publish TOPIC",
        )
    return ConnectionLostError(f"the service took no events{why}", hint="see: healthsync status")


def _whole_message(receipt: Receipt, topic: str) -> RejectedEvent | None:
    """What a receipt says of a message on this topic that was not taken at all; None: it is about events."""
    if receipt.batch is not None:
        return None
    return next((each for each in receipt.rejected if each.topic == topic[:TOPIC_SHOWN]), None)


def final(settled: Settled) -> Settled:
    """The same without the events that will soon be taken, of which nothing is said until they are."""
    pairs = [
        (entry, result) for entry, result in zip(settled.entries, settled.results, strict=True) if not _soon(result)
    ]
    left_out = len(settled.entries) - len(pairs)
    return settled._replace(
        entries=[entry for entry, _ in pairs],
        results=[result for _, result in pairs],
        rejected=settled.rejected - left_out,
    )


class PostponedEvent(NamedTuple):
    """An event that the service may take later: how often it did not, and when (monotonic) it is sent again."""

    times: int
    at: float


class Ledger:
    """What outlives a connection: the outbox and the batches that await a receipt, of this and earlier connections."""

    def __init__(self, outbox: Outbox, clock: Clock, on_settled: Callable[[Settled], None]) -> None:
        self.outbox = outbox
        self.clock = clock
        self.on_settled = on_settled
        self.changed = asyncio.Event()
        self.boundaries: set[int] = set()
        self.sent: dict[str, SentBatch] = {}
        self.connection = 0
        #: the most events in a batch that the service is known to take; None: it refused none yet
        self.most: int | None = None
        #: connections in a row that ended with batches on their way and without one receipt
        self.vain = 0
        #: events by key that the service refused for now
        self.kept: dict[int, PostponedEvent] = {}
        #: of them those that it holds, whose callers were told so; oldest first
        self.held: dict[int, None] = {}
        self._batches = 0

    async def store(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call an outbox method, in a thread if it waits for a disk."""
        if self.outbox.blocking:
            return await asyncio.to_thread(method, *args, **kwargs)
        return method(*args, **kwargs)

    def batch_id(self, session: str) -> str:
        """A new batch id: never used before by this device."""
        self._batches += 1
        return f"{session}-{self._batches}"

    @property
    def untold(self) -> int:
        """Events that wait in the outbox and of which nobody was told anything."""
        return self.outbox.waiting() - len(self.held)

    def hold(self, keys: Iterable[int]) -> list[int]:
        """Note that the service holds these; returns the oldest, which leave their room in the outbox to others."""
        self.held.update(dict.fromkeys(keys))
        over = list(self.held)[: max(0, len(self.held) - self.outbox.capacity // 2)]
        for key in over:
            self.done(key)
        return over

    def done(self, key: int) -> None:
        """Forget that this event was refused for now."""
        self.kept.pop(key, None)
        self.held.pop(key, None)

    def keep(self, key: int) -> None:
        """Send this event again, but not at once."""
        times = self.kept[key].times + 1 if key in self.kept else 1
        wait = min(_KEEP_MOST_S, _KEEP_FIRST_S * 2.0 ** min(times - 1, 16))
        self.kept[key] = PostponedEvent(times, self.clock.monotonic() + wait)

    def held_back(self, key: int) -> bool:
        """Whether the time of this event has not come again."""
        return key in self.kept and self.kept[key].at > self.clock.monotonic()

    def smaller(self, than: int) -> None:
        """Send batches of less than so many events."""
        self.most = max(1, min(than, self.most or than) // 2)
        _LOG.warning("client.batches_halved most=%d", self.most)

    def ended(self, connection: int, *, progress: bool) -> None:
        """A connection is over. One that is cut at each batch may be cut because of its size."""
        sizes = [len(sent.entries) for sent in self.sent.values() if sent.connection == connection]
        self.vain = self.vain + 1 if sizes and not progress else 0
        if self.vain >= _VAIN and max(sizes) > 1:
            self.smaller(max(sizes))
            self.vain = 0

    def forget_older_than(self, connection: int) -> None:
        """Drop batches that left before ``connection``: their receipts will not come any more."""
        for batch in [batch for batch, sent in self.sent.items() if sent.connection < connection]:
            del self.sent[batch]


class Exchange:
    """Sends and settles on one connection until it is lost; made new for every connection."""

    def __init__(
        self,
        connection: DeviceConnection,
        ledger: Ledger,
        *,
        session: str,
        events_topic: str,
        receipts_topic: str,
        window: Window,
    ) -> None:
        self.progress = False
        self._connection = connection
        self._ledger = ledger
        self._session = session
        self._events_topic = events_topic
        self._receipts_topic = receipts_topic
        self._window = window
        self._slots = asyncio.Semaphore(window.max_in_flight)
        self._flying: set[int] = set()
        self._cursor = 0
        self._rewinds = 0
        self._compared = False
        #: the log's epochs: the one known before, and those that receipts showed on this connection; newest last
        self._epochs: list[str] = []
        self._publishing: set[asyncio.Future[Answer | None]] = set()
        self._answers: asyncio.Queue[tuple[str, Answer | TooLargeError]] = asyncio.Queue()
        #: bytes of a payload that the service takes, as far as is known
        self._room = window.max_bytes + _FRAME_BYTES
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ledger.connection += 1
        self._number = ledger.connection
        # A receipt may come late from the session, but not two connections late.
        ledger.forget_older_than(self._number - 1)

    async def run(self) -> None:
        """Work until the connection is lost (raises ConnectionLostError) or the task is cancelled."""
        tasks: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._receive(), name="healthsync receipts"),
            asyncio.create_task(self._hear(), name="healthsync answers"),
            asyncio.create_task(self._send(), name="healthsync sender"),
            asyncio.create_task(self._watch(), name="healthsync watch"),
            self._broken,
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            rest = [task for task in (*tasks, *self._publishing) if not task.done()]
            for task in rest:
                task.cancel()
            self._ledger.ended(self._number, progress=self.progress)
            await asyncio.gather(*tasks, *self._publishing, return_exceptions=True)

    async def _send(self) -> None:
        ledger = self._ledger
        while True:
            await self._slots.acquire()
            entries = await self._next_batch()
            batch = ledger.batch_id(self._session)
            payload = b'{"batch":"%b","events":[%b]}' % (batch.encode(), b",".join(entry.payload for entry in entries))
            at, epochs = ledger.clock.monotonic(), len(self._epochs)
            ledger.sent[batch] = SentBatch(entries, len(payload), self._number, at, epochs)
            self._flying.update(entry.key for entry in entries)
            publishing = asyncio.ensure_future(self._connection.publish(self._events_topic, payload))
            self._publishing.add(publishing)
            publishing.add_done_callback(partial(self._published, batch))

    def _published(self, batch: str, publishing: asyncio.Future[Answer | None]) -> None:
        self._publishing.discard(publishing)
        if publishing.cancelled():
            return
        if (error := publishing.exception()) is None:
            answer = publishing.result()
            if answer is not None:
                self._answers.put_nowait((batch, answer))
        elif isinstance(error, TooLargeError):
            self._answers.put_nowait((batch, error))
        elif not self._broken.done():
            self._broken.set_exception(error)

    async def _hear(self) -> None:
        """Settle by what acknowledgements say. Raises what a refusal of all means for the connection."""
        while True:
            batch, answer = await self._answers.get()
            if isinstance(answer, TooLargeError):
                await self._fit(answer.limit, HEADER)
                continue
            receipt = told(batch, answer)
            sent = self._ledger.sent.get(batch)
            if receipt is not None:
                if sent is not None and _unnamed(receipt, answer) > 0 and len(sent.entries) > 1:
                    del self._ledger.sent[batch]
                    self._split(sent.entries, fresh=True)
                else:
                    await self._settle(receipt)
            elif answer.code >= REFUSED:
                raise refusal(answer)

    async def _next_batch(self) -> list[OutboxEntry]:
        ledger, window = self._ledger, self._window
        while True:
            ledger.changed.clear()
            most = min(window.batch_size, ledger.most or window.batch_size)
            limit = most + (len(self._flying) if self._cursor == 0 else 0)
            rewinds = self._rewinds
            rows = await ledger.store(ledger.outbox.pending, self._cursor, limit)
            if rewinds != self._rewinds:
                continue  # what was read is not what comes first any more
            entries: list[OutboxEntry] = []
            size = 0
            for row in rows:
                if row.key in self._flying or ledger.held_back(row.key):
                    continue
                size += len(row.payload) + 1
                full = len(entries) >= most or size > self._room - _FRAME_BYTES or row.key in ledger.boundaries
                if entries and full:
                    break
                entries.append(row)
            if entries:
                self._cursor = entries[-1].key
                return entries
            if rows:
                self._cursor = rows[-1].key
                continue
            await ledger.changed.wait()

    async def _receive(self) -> None:
        async for topic, payload in self._connection.messages():
            if topic != self._receipts_topic:
                continue
            try:
                receipt = parse_receipt(payload)
            except InputError as error:
                _LOG.warning("client.receipt_unreadable %s", error.reason)
                continue
            refused = _whole_message(receipt, self._events_topic)
            if refused is None:
                await self._settle(receipt)
            elif refused.limit:
                await self._fit(refused.limit, _HEADER_BYTES)
            else:
                raise refusal(Answer(_NOT_AUTHORIZED, why=refused.message))
        raise ConnectionLostError("the connection ended")

    async def _settle(self, receipt: Receipt) -> None:
        ledger = self._ledger
        sent = ledger.sent.get(receipt.batch or "")
        if sent is None or receipt.batch is None:
            return
        if receipt.unlisted and len(sent.entries) > 1:
            del ledger.sent[receipt.batch]
            self._split(sent.entries, fresh=sent.connection == self._number)
            return
        settled = settle(sent.entries, receipt)
        if settled is None:
            _LOG.warning("client.receipt_does_not_fit batch=%s", receipt.batch)
            return
        del ledger.sent[receipt.batch]
        if _batch_refused(settled):
            self._split(settled.entries, fresh=sent.connection == self._number)
            return
        now, fresh = ledger.clock.time(), sent.connection == self._number
        known = ledger.outbox.position()
        if known is not None and not self._epochs:
            self._epochs.append(known.epoch)
        if receipt.epoch in self._epochs[:-1] and (not fresh or sent.epochs < len(self._epochs)):
            # It left before the newest epoch was seen, and the rows that it was stored in may be those that are lost.
            self._again(settled.entries, fresh=fresh)
            return
        position = Position(receipt.epoch, receipt.seq)
        behind = known is not None and (known.epoch != position.epoch or position.seq < known.seq)
        new = fresh and position.epoch not in self._epochs
        first = fresh and not self._compared
        self._compared = self._compared or fresh
        if new:
            self._epochs.append(position.epoch)
        if behind and (new or first):
            # An older log, or another: nothing says how far back it was when it was restored, so every kept row goes
            # again. What it has already comes back as a duplicate.
            count = await ledger.store(ledger.outbox.rewind)
            _LOG.warning("client.log_went_back resending=%d", count)
            self._start_over()
        elif behind and known is not None:
            position = known
        pairs = list(zip(settled.entries, settled.results, strict=True))
        accepted = [entry.key for entry, result in pairs if isinstance(result, Accepted)]
        refused = [entry.key for entry, result in pairs if isinstance(result, Rejected) and not _kept(result)]
        held = []
        for entry, result in pairs:
            if not _kept(result):
                ledger.done(entry.key)
            elif await self._waits(entry.key):
                ledger.keep(entry.key)
                held += [entry.key] if _held(result) else []
        accepted += ledger.hold(held)
        await ledger.store(ledger.outbox.acknowledge, accepted, position, now)
        if refused:
            await ledger.store(ledger.outbox.discard, refused)
        for entry in settled.entries:
            self._flying.discard(entry.key)
            ledger.boundaries.discard(entry.key)
        if fresh:
            self._slots.release()
        self.progress = True
        ledger.on_settled(final(settled))
        ledger.changed.set()

    async def _waits(self, key: int) -> bool:
        """Whether an event is in the outbox still: a late receipt may be of one that another batch has brought."""
        ledger = self._ledger
        next_one = await ledger.store(ledger.outbox.pending, key - 1, 1)
        return bool(next_one) and next_one[0].key == key

    async def _fit(self, limit: int, beside: int) -> None:
        """The service takes packets of up to ``limit`` bytes: what was longer goes again in parts that fit.

        ``beside`` is what counts beside topic and payload. An event that is too long alone never will be taken, and its
        caller is told.
        """
        ledger = self._ledger
        self._room = min(self._room, limit - len(self._events_topic.encode()) - beside)
        for batch, sent in list(ledger.sent.items()):
            if sent.connection != self._number or sent.size <= self._room:
                continue
            del ledger.sent[batch]
            self._flying.difference_update(entry.key for entry in sent.entries)
            if len(sent.entries) == 1:
                (entry,) = sent.entries
                _LOG.warning("client.event_too_large bytes=%d limit=%d", len(entry.payload), limit)
                await ledger.store(ledger.outbox.discard, [entry.key])
                ledger.boundaries.discard(entry.key)
                ledger.done(entry.key)
                message = f"it has {len(entry.payload)} bytes, and the service takes packets of {limit}"
                told = Rejected(id=entry.id, reason=Reason.TOO_LARGE.value, message=message)
                ledger.on_settled(Settled([entry], [told], 0, 0, 1))
            self._slots.release()
        self._start_over()
        self.progress = True
        ledger.changed.set()

    def _split(self, entries: Sequence[OutboxEntry], *, fresh: bool) -> None:
        """The service takes no batch of this size: smaller ones from now on, and these events again."""
        self._ledger.smaller(len(entries))
        self._again(entries, fresh=fresh)

    def _again(self, entries: Sequence[OutboxEntry], *, fresh: bool) -> None:
        """Send these events once more: their batch is over, and nothing was settled by it."""
        for entry in entries:
            self._flying.discard(entry.key)
        self._start_over()
        if fresh:
            self._slots.release()
        self.progress = True
        self._ledger.changed.set()

    def _start_over(self) -> None:
        """Read the outbox from its beginning, whatever a reading under way brings."""
        self._cursor = 0
        self._rewinds += 1

    async def _watch(self) -> None:
        ledger, timeout = self._ledger, self._window.receipt_timeout
        while True:
            await ledger.clock.sleep(timeout / 2)
            if any(key not in self._flying and not ledger.held_back(key) for key in ledger.kept):
                self._start_over()
                ledger.changed.set()
            oldest = min((s.at for s in ledger.sent.values() if s.connection == self._number), default=None)
            if oldest is not None and ledger.clock.monotonic() - oldest >= timeout:
                raise ConnectionLostError(f"no receipt within {timeout:g} s", hint="see: healthsync status")


def _batch_refused(settled: Settled) -> bool:
    """Whether a batch was refused for its size, and not its events for what they are."""
    reasons = {result.reason for result in settled.results if isinstance(result, Rejected)}
    whole = settled.rejected == len(settled.entries) > 1
    return whole and len(reasons) == 1 and reasons <= _OF_BATCHES


def _kept(result: Result) -> bool:
    """It stays in the outbox and is sent again."""
    return _soon(result) or _held(result)


def _soon(result: Result) -> bool:
    return isinstance(result, Rejected) and result.retry


def _held(result: Result) -> bool:
    return isinstance(result, Rejected) and result.held and not result.retry


def _count(value: list[str] | int) -> int:
    return value if isinstance(value, int) else len(value)
