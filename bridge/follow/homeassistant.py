"""What Home Assistant is shown: the newest value of each user and type that was asked for, with its discovery.

Like every follower it reads the log from a place of its own (``homeassistant.db``), and publishes what follows: at each
look the newest value of what changed since the last one, so that a backfill of any length is a few messages. A look
comes four times a second, and what is published in one has a bound, so others do not wait. What may be shown is asked
at each look of the registry (who opted in) and of consent. What may not is cleared, also after a kill: what might be
retained was written down before it was published.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.follow.display import NOTHING, UNKNOWN, Display, Exhibit
from bridge.ground import Ground
from bridge.ports import Shelf
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.homeassistant.discovery import discovery
from healthsync_mqtt.homeassistant.file import EMPTY, Kept, LatestFile
from healthsync_mqtt.homeassistant.latest import LatestValues, ValueKey
from healthsync_mqtt.homeassistant.opt_ins import OptIns
from healthsync_mqtt.homeassistant.search import search
from healthsync_mqtt.identity.consent.decisions import ALWAYS, NO_PERMISSION, Permission
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.sensors import SENSORS
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.registry import TopicRegistry

if TYPE_CHECKING:
    from healthsync_mqtt.identity.people.dashboards import Dashboard

log = get_logger("bridge")

LOOK_S: Final = 0.25
_PAGE: Final = 500
_LOOK_ROWS: Final = 5_000
_PAGES_A_LOOK: Final = 20
_KEYS_A_LOOK: Final = 250
"""Keys of which something is published in one look: two messages each at most."""
_DOUBTFUL_A_LOOK: Final = 100
_KEEP_LOOKS: Final = 4
"""Looks between two writings of the place, when nothing else has to be written."""
_AGAIN_S: Final = 30.0
_BIRTH_S: Final = 10.0
"""Seconds between two times that everything is published again because a Home Assistant has begun."""


class HomeAssistant:
    """``look`` is called again and again. ``withheld`` are types that are never shown at this broker.

    ``owns`` says whether a user's events are in this log. ``open_reader`` opens a reader that a thread may use.
    """

    def __init__(
        self,
        *,
        reader: LogReader,
        open_reader: Callable[[], LogReader],
        registry: TopicRegistry,
        gate: ConsentGate,
        shelf: Shelf,
        opt_ins: OptIns,
        file: LatestFile,
        withheld: frozenset[str] = frozenset(),
        owns: Callable[[str], bool] = lambda _user: True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._open_reader = open_reader
        self._gate = gate
        self._display = Display(shelf, registry, file.shown())
        self._opt_ins = opt_ins
        self._file = file
        self._withheld = withheld
        self._owns = owns
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._dashboards: dict[str, Dashboard] = {}
        ours, kept = file.epoch == reader.epoch, file.latest()
        # Of another log, or of a restored one, nothing is known.
        self._latest = LatestValues(self._wants, kept if ours else {})
        self._place = file.seq if ours else reader.head()
        self._written = self._place
        self._dirty: dict[ValueKey, None] = {}
        self._unwritten: set[ValueKey] = set() if ours else set(kept)
        self._permissions: dict[str, Permission] = {}
        self._consent_version = -1
        self._first = True
        self._expiring: dict[ValueKey, int] = {}
        self._search: asyncio.Task[None] | None = None
        self._stopped = False
        self._looks = 0
        self._again_s = 0.0
        self._birth_s = float("-inf")
        #: values whose events may have been purged
        self._doubtful: deque[ValueKey] = deque()

    def purged(self) -> None:
        """Bodies in the log were purged: what was newest may be gone."""
        self._doubtful = deque(self._latest.values)

    async def forget(self, user: str) -> None:
        """Nothing of an erased user is in the file. UnavailableError while the broker may still retain a value."""
        if any(key.user == user for key in (*self._display.shown, *self._latest.values, *self._latest.complete)):
            self._look_at({user})
            raise UnavailableError("a value may still be shown", hint="is the broker connected?")
        await self._write()
        self._permissions.pop(user, None)
        self._dirty = {key: None for key in self._dirty if key.user != user}

    async def look(self) -> None:
        """See who asked for what, read the log on, publish what is different now. StoreError: it is tried again."""
        self._looks += 1
        await self._read_opt_ins()
        if self._display.renew():
            self._look_at_all()
        self._hear_births()
        self._read_consent()
        caught_up = await self._read_log()
        self._drop_purged()
        self._gather()
        if caught_up or self._looks % _KEEP_LOOKS == 0:
            await self._publish()
        if self._looks % _KEEP_LOOKS == 0:
            await self._write()
        self._begin_search()

    async def close(self) -> None:
        """Write down how far everything is."""
        self._stopped = True
        if self._search is not None:
            await asyncio.gather(self._search, return_exceptions=True)
        self._gather()
        if self._dashboards or self._display.shown:
            await self._write()

    # -- what is asked for

    def _wants(self, key: ValueKey) -> bool:
        dashboard = self._dashboards.get(key.user)
        return (
            dashboard is not None
            and dashboard.shows(key.type)
            and key.type in SENSORS
            and key.type not in self._withheld
        )

    async def _read_opt_ins(self) -> None:
        found = await asyncio.to_thread(self._opt_ins.read)
        if found is None:
            return
        before, now = self._dashboards, {each.user_id: each for each in found if self._owns(each.user_id)}
        self._dashboards = now
        changed = {user for user in before.keys() | now.keys() if before.get(user) != now.get(user)}
        if self._first:
            self._first = False
            self._look_at_all()
            changed |= {key.user for key in self._latest.complete}
        for key in [key for key in self._latest.complete | self._latest.lost if key.user in changed]:
            if not self._wants(key):
                self._latest.drop(key)
        for user in changed & now.keys():
            for key in (ValueKey(user, type_name) for type_name in SENSORS):
                if self._wants(key):
                    self._latest.want(key)
        self._look_at(changed)

    def _look_at(self, users: AbstractSet[str]) -> None:
        keys = (*self._display.shown, *self._latest.values)
        self._dirty |= dict.fromkeys(key for key in keys if key.user in users)

    def _look_at_all(self) -> None:
        self._dirty |= dict.fromkeys(self._display.shown) | dict.fromkeys(self._latest.values)

    def _hear_births(self) -> None:
        if self._display.asked_again and self._monotonic_s() >= self._birth_s:
            self._birth_s = self._monotonic_s() + _BIRTH_S
            self._display.tell_again()
            self._look_at_all()

    def _read_consent(self) -> None:
        version, now_us = self._gate.version, self._clock_us()
        if version != self._consent_version:
            self._consent_version = version
            changed = {
                user for user in self._dashboards if self._gate.share.get(user) is not self._permissions.get(user)
            }
            self._permissions = {user: self._gate.share[user] for user in self._dashboards if user in self._gate.share}
            self._look_at(changed)
        for key in [key for key, until_us in self._expiring.items() if until_us <= now_us]:
            del self._expiring[key]
            self._dirty[key] = None
        if self._display.refused and self._monotonic_s() >= self._again_s:
            self._again_s = self._monotonic_s() + _AGAIN_S
            self._dirty |= dict.fromkeys(self._display.refused)
            self._display.refused.clear()

    # -- the log

    async def _read_log(self) -> bool:
        """Fold the next rows; whether there are none left."""
        head = self._reader.head()
        if not self._dashboards:
            self._place = head
            return True
        for _ in range(_PAGES_A_LOOK):
            if self._place >= head:
                break
            rows, through, _ = self._reader.stretch(self._place, _PAGE, look=_LOOK_ROWS)
            for row in rows:
                if row.user in self._dashboards:
                    self._latest.take(row)
            self._place = through
            await asyncio.sleep(0)  # the others' turn
        return self._place >= head

    def _gather(self) -> None:
        self._dirty |= dict.fromkeys(self._latest.changed)
        self._unwritten |= self._latest.changed
        self._latest.changed.clear()

    def _drop_purged(self) -> None:
        for _ in range(min(_DOUBTFUL_A_LOOK, len(self._doubtful))):
            key = self._doubtful.popleft()
            value = self._latest.values.get(key)
            row = None if value is None else self._reader.get(value.seq)
            if value is not None and (row is None or not row.body):
                self._latest.purged(key)

    def _begin_search(self) -> None:
        if self._search is not None and self._search.done():
            ended, self._search = self._search, None
            if not ended.cancelled() and (error := ended.exception()) is not None:
                if not isinstance(error, HealthSyncError):
                    raise error
                log.warning("bridge.homeassistant_search_failed", error=error)
        if self._search is None and self._latest.lost:
            user = min(key.user for key in self._latest.lost)
            keys = sorted(key for key in self._latest.lost if key.user == user)
            self._search = asyncio.create_task(self._find(keys), name="bridge.homeassistant.search")

    async def _find(self, keys: list[ValueKey]) -> None:
        """Search the log for the newest values of one user, in a thread, and take what is still so then."""
        with ExitStack() as opened:
            reader = await asyncio.to_thread(self._open_reader)
            opened.callback(reader.close)
            found = await asyncio.to_thread(search, reader, keys, lambda: self._stopped)
        if found is None:
            return
        for key in keys:
            value = found.get(key)
            if key not in self._latest.lost:
                continue
            if not self._wants(key):
                self._latest.drop(key)
                continue
            if value is not None:
                row = self._reader.find(key.user, value.id)
                if row is None or row.seq != value.seq or not row.body:
                    continue  # it has changed meanwhile: search again
            self._latest.found(key, value)

    # -- what is published

    async def _publish(self) -> None:
        now_us, display = self._clock_us(), self._display
        due: dict[ValueKey, Exhibit] = {}
        while self._dirty and len(due) < _KEYS_A_LOOK and display.ready:
            key = next(iter(self._dirty))
            del self._dirty[key]
            wanted = self._wanted(key, now_us)
            if wanted is not None and not display.has(key, wanted):
                due[key] = wanted
        if unsure := display.unsure(due):
            try:
                await self._write(unsure)  # before: after a kill it is known what may have to be cleared
            except BaseException:
                self._dirty |= dict.fromkeys(due)
                raise
            # Consent, or what is asked for, may have gone while that was written.
            again = {key: self._wanted(key, self._clock_us()) for key in due}
            due = {key: wanted for key, wanted in again.items() if wanted is not None}
        for key, wanted in due.items():
            if not display.send(key, wanted):
                self._dirty[key] = None

    def _wanted(self, key: ValueKey, now_us: int) -> Exhibit | None:
        """What should be retained for a key; None: that is not known before a search has ended."""
        if not self._wants(key):
            return NOTHING
        span = self._gate.share.get(key.user, NO_PERMISSION).span(key.type)
        if now_us >= span.until_us:
            return NOTHING
        if key not in self._latest.complete:
            return None
        value = self._latest.values.get(key)
        if value is None or not span.covers(value.received_us, now_us):
            return NOTHING
        if span.until_us < ALWAYS:
            self._expiring[key] = span.until_us
        return Exhibit(discovery(key.user, key.type, self._display.state_topic(key)), value.state)

    async def _write(self, unsure: AbstractSet[ValueKey] = frozenset()) -> None:
        """Write what is different; of ``unsure`` keys, that it is not known what the broker has."""
        latest, shown = self._latest, self._display.shown
        self._unwritten |= self._display.changed
        self._display.changed.clear()
        if not unsure and not self._unwritten and (self._place == self._written or not self._dashboards):
            return
        for key in self._unwritten - unsure:
            if shown.get(key) == EMPTY and key not in latest.values:
                self._display.forget(key)
        unwritten, self._unwritten = self._unwritten | unsure, set()
        place = self._place
        values = {key: Kept(key in latest.complete, latest.values.get(key)) for key in unwritten}
        rows = {key: UNKNOWN if key in unsure else shown.get(key) for key in unwritten}
        try:
            await asyncio.to_thread(self._file.write, self._reader.epoch, place, values, rows)
        except BaseException:
            self._unwritten |= unwritten
            raise
        self._written = place


@contextmanager
def homeassistant(
    base: Ground, shelf: Shelf, *, registry_db: Path, withheld: frozenset[str], owns: Callable[[str], bool]
) -> Iterator[HomeAssistant | None]:
    """The follower of a data directory, whose opt-ins are in ``registry_db``; None where there are no topics for it."""
    if not base.keeps_files or not {"latest", "homeassistant_config"} <= base.topics.channels.keys():
        yield None
        return
    paths = base.settings.paths
    with ExitStack() as opened:
        opt_ins = OptIns(Registry.open(registry_db))
        opened.callback(opt_ins.close)
        file = LatestFile.open(paths.homeassistant_db)
        opened.callback(file.close)
        yield HomeAssistant(
            reader=base.reader,
            open_reader=lambda: open_reader(paths.root),
            registry=base.topics,
            gate=base.gate,
            shelf=shelf,
            opt_ins=opt_ins,
            file=file,
            withheld=withheld,
            owns=owns,
        )
