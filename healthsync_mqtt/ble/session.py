"""One connection to a device from its beginning to its end: what it is asked, and what it says."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from healthsync_mqtt.ble.assigned_numbers import (
    CURRENT_TIME,
    CURRENT_TIME_SERVICE,
    DEVICE_INFORMATION,
    MANUFACTURER_NAME,
    MODEL_NUMBER,
)
from healthsync_mqtt.ble.catalogue import BY_SERVICE
from healthsync_mqtt.ble.faults import NothingToReadError, PeripheralSilentError
from healthsync_mqtt.ble.profile import Heard, Peripheral, Profile, ProfileReading, UnusedValue
from healthsync_mqtt.ble.radio import PeripheralLink
from healthsync_mqtt.ble.records import RecordsAnswer, ask_all, ask_from, read_answer
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.moment import zone_of
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.model.text import printable

PROCEDURE_S: Final = 30.0
"""How long a device may take between two records (Glucose Profile, 5.6)."""
QUIET_S: Final = 3.0
"""A scale that says two things about one weighing says them in this time."""
ONCE_S: Final = 10.0
"""One that says something every second is told off after this."""
LAST_S: Final = 5.0
"""How long what was heard may take to be handed over when the session is ended."""
_MOST_WAITING: Final = 10_000
_MOST_AT_ONCE: Final = 100
_MANUAL: Final = 0x01
"""Why the time was set: by hand (Current Time Service, 3.1.2.1)."""

Deliver = Callable[[Sequence[Event]], Awaitable[None]]
Clock = Callable[[], int]
"""The wall clock in microseconds."""


@dataclass(slots=True)
class HeardTally:
    """What was heard: ``events`` that were made, what was ``left_out`` by its word, and what was ``refused``."""

    events: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    overrun: int = 0
    profiles: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The keys of ``--json``."""
        return {
            "profiles": list(self.profiles),
            "events": self.events,
            "left_out": dict(sorted((self.left_out + self.refused).items())),
            "examples": dict(sorted(self.examples.items())),
        }


@dataclass(frozen=True, slots=True)
class _HeardValue:
    profile: Profile
    number: int
    value: bytes
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningTerms:
    """What is wanted of a connection.

    ``once``: it ends when what the device had to say was said. ``silence_s``: how long it may say nothing at all.
    ``set_clock``: its clock is set, where it can be. ``newest``: the sequence numbers that were read already.
    """

    once: bool = False
    silence_s: float | None = None
    set_clock: bool = False
    newest: Mapping[str, int] = field(default_factory=dict)


class PeripheralSession:
    """Hears one device. Used once."""

    def __init__(
        self, connection: PeripheralLink, told: Peripheral, wanted: ListeningTerms, clock: Clock, tally: HeardTally
    ) -> None:
        """NothingToReadError and UsageError when there is no use in listening."""
        self._connection = connection
        self._told = told
        self._wanted = wanted
        self._clock = clock
        self._tally = tally
        self._values: deque[_HeardValue] = deque()
        self._arrived = asyncio.Event()
        self._readings: dict[str, ProfileReading] = {}
        self._answers: asyncio.Queue[RecordsAnswer] = asyncio.Queue(16)
        self._last = asyncio.get_running_loop().time()
        self._asked = asyncio.Event()
        self.profiles = [BY_SERVICE[each] for each in connection.services if each in BY_SERVICE]
        if not self.profiles:
            known = ", ".join(each.title for each in BY_SERVICE.values())
            raise NothingToReadError(
                f"{connection.address} has no profile that is read here", hint=f"read are: {known}"
            )
        clocks = [each.title for each in self.profiles if each.clock]
        if clocks and told.declared.zone is None:
            raise UsageError(
                f"{connection.address} ({clocks[0]}) has a clock on its wall, and nobody said in which zone",
                hint="add --zone Europe/Berlin, or wherever the device is",
            )
        tally.profiles = tuple(each.name for each in self.profiles)

    @property
    def newest(self) -> dict[str, int]:
        """The highest sequence number of each profile that has them."""
        found = {name: each.newest for name, each in self._readings.items()}
        return {**self._wanted.newest, **{name: newest for name, newest in found.items() if newest is not None}}

    async def run(self, deliver: Deliver) -> None:
        """Listen until the device hangs up, or has said all. Raises PeripheralSilentError, and as the link."""
        told = await self._introduced()
        if self._wanted.set_clock:
            await self._set_clock()
        self._readings = {each.name: each.reading(told) for each in self.profiles}
        for profile in self.profiles:
            for number in profile.heard:
                if self._connection.says(profile.service, number):
                    await self._connection.subscribe(profile.service, number, self._put(profile, number))
        listening = asyncio.create_task(self._listen(deliver), name=f"ble {self._connection.address}")
        asking = asyncio.create_task(self._ask(), name=f"ble records of {self._connection.address}")
        try:
            done, _ = await asyncio.wait((listening, asking), return_when=asyncio.FIRST_COMPLETED)
            if asking in done:
                asking.result()
            await listening
        finally:
            for each in (asking, listening):
                each.cancel()
            await asyncio.gather(asking, listening, return_exceptions=True)

    async def _introduced(self) -> Peripheral:
        async def said(number: int) -> str:
            value = await self._connection.read(DEVICE_INFORMATION, number)
            return printable((value or b"").rstrip(b"\0").decode("utf-8", "replace")).strip("'\"").strip()

        return replace(self._told, manufacturer=await said(MANUFACTURER_NAME), model=await said(MODEL_NUMBER))

    async def _set_clock(self) -> None:
        if not self._connection.takes(CURRENT_TIME_SERVICE, CURRENT_TIME):
            return
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._clock())
        zone = self._told.declared.zone
        if zone is not None:
            now = now.astimezone(zone_of(zone))
        await self._connection.write(CURRENT_TIME_SERVICE, CURRENT_TIME, current_time(now))

    def _put(self, profile: Profile, number: int) -> Callable[[bytes], None]:
        def heard(value: bytes) -> None:
            self._last = asyncio.get_running_loop().time()
            if len(self._values) >= _MOST_WAITING:
                self._tally.overrun += 1
                return
            self._values.append(_HeardValue(profile, number, value, self._clock()))
            self._arrived.set()

        return heard

    # -- what it has stored

    async def _ask(self) -> None:
        for profile in self.profiles:
            if profile.records is None or not self._connection.takes(profile.service, profile.records):
                continue
            await self._connection.subscribe(profile.service, profile.records, self._answered)
            newest = self._wanted.newest.get(profile.name)
            request = ask_all() if newest is None else ask_from(newest)
            await self._connection.write(profile.service, profile.records, request)
            answer = await self._answer()
            if answer.refused:
                self._tally.left_out["records_refused"] += 1
                self._tally.examples["records_refused"] = f"{profile.title}: {answer.text}"
        self._asked.set()

    def _answered(self, value: bytes) -> None:
        self._last = asyncio.get_running_loop().time()
        try:
            self._answers.put_nowait(read_answer(value))
        except (RefusedError, asyncio.QueueFull):
            self._tally.refused["malformed"] += 1

    async def _answer(self) -> RecordsAnswer:
        loop = asyncio.get_running_loop()
        while True:
            left_s = self._last + PROCEDURE_S - loop.time()
            try:
                async with asyncio.timeout(max(left_s, 0.01)):
                    return await self._answers.get()
            except TimeoutError:
                if loop.time() - self._last >= PROCEDURE_S:
                    raise PeripheralSilentError(
                        f"{self._connection.address} was asked for what it has stored, and did not answer",
                        hint="take its batteries out and try again",
                    ) from None

    # -- what it says

    async def _listen(self, deliver: Deliver) -> None:
        first: float | None = None
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            while True:
                values = await self._next(self._patience_s(first, began))
                if not values and self._is_over(first, began):
                    break
                events = [event for each in values for event in self._heard(each)]
                if events:
                    await _hand_over(deliver, events)
                    first = loop.time() if first is None else first
        finally:
            # The device was told that these arrived: who stops now takes them along.
            values = self._taken(len(self._values))
            rest = [event for each in values for event in self._heard(each)]
            rest += [event for each in self._readings.values() for event in self._rest(each)]
            if rest:
                await _hand_over(deliver, rest)

    async def _next(self, patience_s: float | None) -> list[_HeardValue]:
        """The values that are there; none when it is over, or patience is."""
        if not self._values:
            self._arrived.clear()
            waits = [self._arrived, self._connection.gone] + ([] if self._asked.is_set() else [self._asked])
            waiting = [asyncio.ensure_future(each.wait()) for each in waits]
            try:
                await asyncio.wait(waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()
        return self._taken(min(len(self._values), _MOST_AT_ONCE))

    def _taken(self, count: int) -> list[_HeardValue]:
        return [self._values.popleft() for _ in range(count)]

    def _patience_s(self, first: float | None, began: float) -> float | None:
        now = asyncio.get_running_loop().time()
        ends = self._ends_at(first)
        if ends is not None:
            return max(ends - now, 0.01)
        if first is None and self._wanted.silence_s is not None:
            return max(began + self._wanted.silence_s - now, 0.01)
        return None

    def _is_over(self, first: float | None, began: float) -> bool:
        """Whether nothing more is waited for, when nothing came. Raises PeripheralSilentError."""
        now = asyncio.get_running_loop().time()
        if self._connection.gone.is_set():
            return True
        ends = self._ends_at(first)
        if ends is not None:
            return now >= ends
        if first is None and self._wanted.silence_s is not None and now >= began + self._wanted.silence_s:
            raise PeripheralSilentError(
                f"{self._connection.address} is connected, and measured nothing within {self._wanted.silence_s:g} s",
                hint="measure something; many send only at the end of a measurement",
            )
        return False

    def _ends_at(self, first: float | None) -> float | None:
        """When it has said all, if nothing more comes; None where that is not known yet, or not wanted."""
        if not (self._wanted.once and self._asked.is_set()):
            return None
        if not any(each.live for each in self.profiles):
            return self._last  # the answer to the request came behind the last record
        return None if first is None else min(self._last + QUIET_S, first + ONCE_S)

    def _rest(self, reading: ProfileReading) -> Iterator[Event]:
        """What a reading kept back; one that is refused keeps no other from being told."""
        refused = -1
        while refused != self._tally.refused.total():
            refused = self._tally.refused.total()
            yield from self._events(reading.ended())

    def _heard(self, value: _HeardValue) -> Iterator[Event]:
        reading = self._readings[value.profile.name]
        yield from self._events(reading.heard(value.number, value.value, value.at_us))

    def _events(self, heard: Iterable[Heard]) -> Iterator[Event]:
        try:
            for each in heard:
                if isinstance(each, UnusedValue):
                    self._tally.left_out[each.why] += 1
                    self._tally.examples.setdefault(each.why, each.text)
                else:
                    self._tally.events += 1
                    yield each
        except RefusedError as refusal:
            self._tally.refused[refusal.code] += 1
            self._tally.examples.setdefault(refusal.code, str(refusal))


async def _hand_over(deliver: Deliver, events: Sequence[Event]) -> None:
    """Deliver to the end, also when the session is ended meanwhile."""
    task = asyncio.ensure_future(deliver(events))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        async with asyncio.timeout(LAST_S):
            await task
        raise


def current_time(now: datetime) -> bytes:
    """Current Time (0x2A2B) of a clock on the wall: Exact Time 256, and why it was set."""
    date = now.year.to_bytes(2, "little") + bytes((now.month, now.day, now.hour, now.minute, now.second))
    return date + bytes((now.isoweekday(), now.microsecond * 256 // 1_000_000, _MANUAL))
