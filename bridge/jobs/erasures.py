"""Erasing persons: each step is done, written down, and followed by the next one, whatever ends in between.

The steps are ``model.erasure``; the registry has which one is next. A step that fails is tried again: nothing of the
person comes in any more, because logins and consents ended with the first transaction.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.ground import Ground
from bridge.jobs.old_refusals import OldRefusals
from bridge.ports import Chores
from bridge.stages.journal import Journal
from healthsync_mqtt.backup.place import BackupDirectory
from healthsync_mqtt.broker.external.remembered_logins import RememberedLogins
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import existing
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import HealthSyncError, NotFoundError, UnavailableError
from healthsync_mqtt.identity import erasure_ledger
from healthsync_mqtt.identity.erasure_recall import recall
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.imports.state_files import forget_person
from healthsync_mqtt.keys.opening import has_ring, ring_of
from healthsync_mqtt.model.erasure import ErasureStep, Errand, PersonErasure
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.belonging import elsewhere, refuse_elsewhere
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.persons import PLACE
from healthsync_mqtt.sinks.pseudonym import Pseudonyms
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogHealth
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("erasure")

_ROWS: Final = 500
_PAUSE_S: Final = 0.2
_LATE_S: Final = 1.0
"""What was decoded when the consents ended is in the log after this."""
_EVER_US: Final = 2**62
_LINK: Final = "link:"


class Rememberer(Protocol):
    """A follower with a file of its own."""

    async def forget(self, user: str) -> None:
        """Nothing of the user is in the file. UnavailableError: not yet."""


class Erasures:
    """The erasures of one data directory. ``look`` is called again and again.

    ``broker`` takes a person out of what the broker keeps: the user's id and client ids.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        chores: Chores,
        *,
        health: Callable[[], LogHealth],
        broker: Callable[[str, tuple[str, ...]], Awaitable[None]],
        followers: tuple[Rememberer, ...],
        refusals: OldRefusals,
        late_s: float = _LATE_S,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._settings = settings
        self._root = settings.paths.root
        self._registry = registry
        self._book = registry.erasures
        self._chores = chores
        self._health = health
        self._broker = broker
        self._followers = followers
        self._refusals = refusals
        self._late_s = late_s
        self._clock_us = clock_us
        self._recalled = False
        self._left: list[dict[str, Any]] = []
        self._faults: dict[str, HealthSyncError] = {}
        self._lock = asyncio.Lock()
        self._steps: Mapping[ErasureStep, Callable[[PersonErasure], Awaitable[None]]] = {
            ErasureStep.ledger: self._note,
            ErasureStep.links: self._end_links,
            ErasureStep.keys: self._destroy_keys,
            ErasureStep.broker: self._leave_broker,
            ErasureStep.log: self._leave_log,
            ErasureStep.days: self._leave_files,
            ErasureStep.sinks: self._leave_sinks,
            ErasureStep.registry: self._forget_name,
            ErasureStep.scrub: self._scrub,
        }

    async def look(self) -> None:
        """Do what can be done now. HealthSyncError: a step waits for something; the others went on."""
        async with self._lock:
            if not self._recalled:
                await asyncio.to_thread(self._recall)
                self._recalled = True
            failed: HealthSyncError | None = None
            for erasure in await asyncio.to_thread(self._book.open):
                self._faults.pop(erasure.id, None)
                try:
                    await self._through(erasure)
                except HealthSyncError as error:
                    failed = self._faults[erasure.id] = error
            await asyncio.to_thread(self._hear)
            self._left = await asyncio.to_thread(self._still_open)
            if failed is not None:
                raise failed

    def report(self) -> list[dict[str, Any]]:
        """As it was at the last look: those that are not complete, here or at a sink. Without names."""
        return self._left

    def _still_open(self) -> list[dict[str, Any]]:
        places: dict[str, list[str]] = {}
        for errand in self._book.errands():
            places.setdefault(errand.erasure, []).append(errand.place)
        ids = dict.fromkeys([*(each.id for each in self._book.open()), *places])
        found = [erasure for each in ids if (erasure := self._book.get(each)) is not None]
        return [
            {"erasure": each.id, "requested_at": iso(each.requested_us), "step": each.step.value}
            | {"pending": places.get(each.id, []), **_why(self._faults.get(each.id))}
            for each in found
        ]

    async def settle(self) -> None:
        """Look until the log and the files have nothing of anybody who is erased: before it nobody is served."""
        await self._until(_AFTER_FILES)

    async def finish(self) -> None:
        """Look until nothing of anybody is left here."""
        await self._until(frozenset())

    async def _until(self, steps: frozenset[ErasureStep]) -> None:
        """Look until all that are open are at one of these steps."""
        told = False
        while True:
            try:
                await self.look()
            except HealthSyncError as error:
                if not told:
                    log.warning("erasure.waits", error=str(error))
                told = True
            left = await asyncio.to_thread(self._book.open)
            if all(each.step in steps for each in left):
                return
            await asyncio.sleep(_PAUSE_S)

    async def _through(self, erasure: PersonErasure) -> None:
        while erasure.step is not ErasureStep.done:
            await self._steps[erasure.step](erasure)
            if erasure.step is ErasureStep.registry:
                found = await asyncio.to_thread(self._book.get, erasure.id)
                assert found is not None
                erasure = found
            else:
                erasure = await asyncio.to_thread(self._book.advance, erasure, self._clock_us())
        log.info("erasure.done", erasure=erasure.id)

    def _recall(self) -> None:
        """What a ledger knows and this directory does not: it is a copy of before."""
        entries = erasure_ledger.read(self._settings.paths.erasures)
        if (backups := self._backups()) is not None:
            entries += erasure_ledger.read(backups / erasure_ledger.FILE)
        if entries:
            with open_reader(self._root) as reader:
                recall(self._registry, reader.users(), entries, self._clock_us())

    def _backups(self) -> Path | None:
        directory = self._settings.backup.directory
        if directory is None:
            return None
        try:
            return BackupDirectory.open(directory).path
        except NotFoundError:
            return None

    # -- steps

    async def _note(self, erasure: PersonErasure) -> None:
        await asyncio.to_thread(self._note_in_ledgers, erasure)

    def _note_in_ledgers(self, erasure: PersonErasure) -> None:
        own = self._settings.paths.erasures
        erasure_ledger.add(own, [erasure_ledger.entry(erasure.id, _name(erasure), erasure.requested_us)])
        if (backups := self._backups()) is not None:
            erasure_ledger.add(backups / erasure_ledger.FILE, erasure_ledger.read(own))

    async def _end_links(self, erasure: PersonErasure) -> None:
        await asyncio.to_thread(self._part_from_providers, erasure)

    def _part_from_providers(self, erasure: PersonErasure) -> None:
        """No link has the person; the adapters' worker tells providers, with tokens that name nobody."""
        with existing(self._root) as book:
            if book is None:
                return
            book.end(_name(erasure), erasure=erasure.id)  # a fetch that is at work sees it, and gives its turn back
            with closing(Flights(self._root)) as flights:
                book.erase(_name(erasure), flights, erasure=erasure.id)
            for provider in {each.provider for each in book.partings(erasure=erasure.id)}:
                self._book.send(Errand(erasure=erasure.id, place=_LINK + provider, subject=erasure.id))
            book.scrub()

    async def _destroy_keys(self, erasure: PersonErasure) -> None:
        if has_ring(self._root):
            await asyncio.to_thread(lambda: ring_of(self._root).destroy(_name(erasure)))

    async def _leave_broker(self, erasure: PersonErasure) -> None:
        await self._broker(_name(erasure), erasure.clients)

    async def _leave_log(self, erasure: PersonErasure) -> None:
        user = _name(erasure)
        await asyncio.sleep(self._late_s)
        names: set[str] = set()
        while rows := await asyncio.to_thread(self._rows, user, names):
            await self._chores.durable(partial(_erase, user, rows))
        while not await self._refusals.purge(_EVER_US, user):
            pass
        await self._chores.durable(lambda journal: journal.forget_user(user, (), 0))
        unused, through = await asyncio.to_thread(self._unused, user, names)
        await self._chores.durable(lambda journal: journal.forget_user(user, unused, through))
        await self._destroy_keys(erasure)  # what was on its way at the first time made a key anew

    def _rows(self, user: str, names: set[str]) -> list[int]:
        """The next rows, and into ``names`` what they name."""
        with open_reader(self._root) as reader:
            rows = reader.rows_of(user, 0, _ROWS)
            names |= set(reader.named_in(rows))
            return rows

    def _unused(self, user: str, names: set[str]) -> tuple[list[str], int]:
        """Names that nothing uses any more: of these, and of the devices that the registry knows."""
        devices = [each.device_id for each in self._registry.devices(user, removed=True)]
        with open_reader(self._root) as reader, reader.snapshot():
            return reader.unused([*names, *devices]), reader.head()

    async def _leave_files(self, erasure: PersonErasure) -> None:
        for follower in self._followers:
            await follower.forget(_name(erasure))
        await asyncio.to_thread(self._forget_imports, _name(erasure))
        await self._destroy_keys(erasure)  # a follower that was at work may have made one anew

    def _forget_imports(self, user: str) -> None:
        forget_person(self._root, user, [each.device_id for each in self._registry.devices(user, removed=True)])

    async def _leave_sinks(self, erasure: PersonErasure) -> None:
        await asyncio.to_thread(self._ask_sinks, erasure)
        if waiting := await asyncio.to_thread(self._naming_sink, erasure):
            raise UnavailableError(f"{waiting} still has a person who is erased", hint="healthsync sink status")

    def _ask_sinks(self, erasure: PersonErasure) -> None:
        """Each sink is told under which name it knows the person; then nobody can tell that name any more."""
        refuse_elsewhere(self._root)  # the ledgers that are here would not know the person
        user, sinks = _name(erasure), Sinks(self._root)
        for name in sinks.names():
            config = sinks.get(name)
            if config.names_users:
                self._ask(sinks, Errand(erasure=erasure.id, place=PLACE + name, subject=user))
            elif sinks.ledger(name).exists() and sinks.pseudonyms.exists():
                with closing(SinkLedger.open(sinks.ledger(name))) as ledger:
                    known = ledger.knows(user)
                if known:
                    with closing(Pseudonyms.open(sinks.pseudonyms)) as names:
                        subject = names.of(user)
                    self._ask(sinks, Errand(erasure=erasure.id, place=PLACE + name, subject=subject))
                with closing(SinkLedger.open(sinks.ledger(name))) as ledger:
                    ledger.forget_person(user)
        if sinks.pseudonyms.exists():
            with closing(Pseudonyms.open(sinks.pseudonyms)) as names:
                names.forget(user)

    def _ask(self, sinks: Sinks, errand: Errand) -> None:
        """Once: who is asked again and again is never done. The book's line is last: what it has was asked."""
        if errand.place in self._book.pending(errand.erasure):
            return
        with closing(SinkLedger.open(sinks.ledger(errand.place.removeprefix(PLACE)))) as ledger:
            ledger.ask_erasure(errand.subject)
        self._book.send(errand)

    def _naming_sink(self, erasure: PersonErasure) -> str:
        """A sink that knows the person by name and has not let go yet: until it has, the name stays here too."""
        sinks = Sinks(self._root)
        naming = {PLACE + name: name for name in sinks.names() if sinks.get(name).names_users}
        for errand in self._book.errands():
            if errand.erasure == erasure.id and errand.place in naming and not _has_done(sinks, errand):
                return naming[errand.place]
        return ""

    def _hear(self) -> None:
        self._hear_sinks()
        self._hear_providers()

    def _hear_providers(self) -> None:
        """Whom the adapters' worker has told, or cannot ever tell."""
        waiting = [each for each in self._book.errands() if each.place.startswith(_LINK)]
        if not waiting:
            return
        with existing(self._root) as book:
            for errand in waiting:
                left = () if book is None else book.partings(erasure=errand.subject)
                if errand.place.removeprefix(_LINK) not in {each.provider for each in left}:
                    self._book.confirm(errand)

    def _hear_sinks(self) -> None:
        """What sinks have confirmed; a sink that was removed cannot. Not while they are asked: they would be again."""
        sinks = Sinks(self._root)
        asking = {each.id for each in self._book.open() if each.step is ErasureStep.sinks}
        waiting = [each for each in self._book.errands() if each.place.startswith(PLACE)]
        if not waiting or elsewhere(self._root) is not None:  # those of another directory would seem removed
            return
        for errand in waiting:
            name = errand.place.removeprefix(PLACE)
            removed = name not in sinks.names()
            if errand.erasure in asking or not (removed or _has_done(sinks, errand)):
                continue
            if removed:
                log.warning("erasure.sink_removed", erasure=errand.erasure, sink=name)
            self._book.confirm(errand)

    async def _forget_name(self, erasure: PersonErasure) -> None:
        await asyncio.to_thread(self._hear_sinks)  # those into files, which were waited for
        await asyncio.to_thread(self._forget_in_files, erasure)
        await asyncio.to_thread(self._book.forget, erasure, self._clock_us())

    def _forget_in_files(self, erasure: PersonErasure) -> None:
        self._forget_imports(_name(erasure))  # one that was at work may have said how far it was
        store = CredentialStore(self._settings.paths.credentials)
        for client in erasure.clients:
            store.forget(client)

    async def _scrub(self, erasure: PersonErasure) -> None:
        await asyncio.to_thread(self._book.scrub)
        logins = RememberedLogins(self._settings.paths.hook_logins, self._book.erased_clients)
        await asyncio.to_thread(logins.forget_erased)
        await self._broker("", ())
        await self._chores.durable(lambda journal: journal.scrub())
        if self._health().scrubbing:
            raise UnavailableError("a reader holds an older state of the log", hint="healthsync storage status")
        del erasure


_AFTER_FILES: Final = frozenset({ErasureStep.sinks, ErasureStep.registry, ErasureStep.scrub, ErasureStep.done})
"""From here on nothing of the person can be served."""


def _has_done(sinks: Sinks, errand: Errand) -> bool:
    """Whether the sink of an errand has confirmed it."""
    with closing(SinkLedger.open(sinks.ledger(errand.place.removeprefix(PLACE)))) as ledger:
        return errand.subject not in ledger.erasing()


def _erase(user: str, rows: list[int], journal: Journal) -> None:
    journal.erase(user, rows)


def _name(erasure: PersonErasure) -> str:
    assert erasure.user_id is not None
    return erasure.user_id


def _why(fault: HealthSyncError | None) -> dict[str, str]:
    return {} if fault is None else {"message": str(fault), "fix": fault.hint}


@contextmanager
def erasures(
    base: Ground,
    registry_db: Path,
    broker: Callable[[str, tuple[str, ...]], Awaitable[None]],
    followers: tuple[Rememberer, ...],
) -> Iterator[Erasures | None]:
    """The erasures of a data directory; None for a bridge that is not at home where its registry is."""
    own = base.settings.paths.registry_db
    if not base.settings.registry.home or registry_db.absolute() != own.absolute():
        yield None
        return
    with Registry.open(registry_db) as registry:
        yield Erasures(
            base.settings,
            registry,
            base.chores,
            health=base.journal.health,
            broker=broker,
            followers=followers,
            refusals=OldRefusals.of(base.settings, base.chores, base.calendar.now_us),
        )
