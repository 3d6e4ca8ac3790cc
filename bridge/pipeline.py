# long: one state machine, from what arrives to what is acknowledged
"""The order of the stages: decode, consent, journal, acknowledge, publish. The only place that acknowledges.

Deliveries are decoded as they come, what takes long beside the loop (``Aside``). While one group is being committed the
next one gathers; when the commit is done its senders are told and the next group is written. So the group grows with
the load and the disk's latency is shared; a group is bounded, so that writing it never holds the loop for long. A long
message of an app is stored in parts, with commits of others between them, and acknowledged after the last one.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import Final, NamedTuple

from bridge.backlog import LIGHT, Backlog, beside_much
from bridge.courtesy import Courtesy
from bridge.decode.delivery import DEFAULT, Limits, decode, decode_if_quick
from bridge.decode.gzip_payload import unfolded
from bridge.decoder.frames import ReadRequest
from bridge.decoder.long_messages import LongMessages
from bridge.decoder.process import ReaderProcess
from bridge.departed import Departed, is_droppable
from bridge.folds import Folds
from bridge.group import GROUP_BYTES, GROUP_EVENTS, PORTION, Group, Instalments, Portion, WaitingDelivery, waiting_for
from bridge.locked_deliveries import LockedOut
from bridge.pace import Pace
from bridge.ports import UNSENT_FIX, Chore, Chores, Commit, CommitObserver, Outlet
from bridge.pressure import Pressure
from bridge.stages.acknowledge import Addressee, Outcome, acknowledge, by_device, receipts
from bridge.stages.consent import ConsentGate
from bridge.stages.decode_lines import STRETCH, Aside
from bridge.stages.journal import Journal
from bridge.stages.quarantine import announcement
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Told
from healthsync_mqtt.formats.withdrawn_format import Withdrawn
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery, Source
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.mqtt.message_room import MessageRoom, RoomPlace
from healthsync_mqtt.storage.port import Item, Quarantined
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.telemetry.outage import Outage
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

PART_EVENTS: Final = 50
"""Events of a long message in one commit, as long as it takes to write them nobody else is acknowledged."""
LONE_PART_EVENTS: Final = 500
"""The same where nobody else sends: each commit waits for the disk, so large parts are stored in half of the time."""
_AHEAD: Final = 2 * GROUP_EVENTS
"""Work of commits that waits before no more is read of who has much, or decoded: it would only take time from them."""
_OF_ONE: Final = PORTION
"""Work of one user in a commit while others come who have little: they wait for all of it, and what the index costs."""
_COMPANY: Final = 8
"""Commits for which others may still come who have little, after one beside which somebody had.

Such a commit puts off what the index costs, which is as much again, to one of its own, and those come between.
"""
_RETRY_FIRST_S = 0.1
_RETRY_MOST_S = 5.0
_LOCKED_OUT_S = 1.0
"""Seconds until the key of who is locked out is asked for again; what others send is written twice then."""


class _Undecoded(NamedTuple):
    """What a delivery takes until it is decoded: bytes of the backlog, or a place of its own."""

    size: int
    place: RoomPlace | None = None


class PipelinePhase(Enum):
    """What the pipeline waits for."""

    IDLE = auto()
    COMMITTING = auto()
    #: the last commit failed; the same group is written again after a pause
    RETRYING = auto()
    STOPPED = auto()


_NEXT: Final = {
    PipelinePhase.IDLE: {PipelinePhase.COMMITTING, PipelinePhase.STOPPED},
    PipelinePhase.COMMITTING: {PipelinePhase.IDLE, PipelinePhase.RETRYING, PipelinePhase.STOPPED},
    PipelinePhase.RETRYING: {PipelinePhase.COMMITTING, PipelinePhase.STOPPED},
    PipelinePhase.STOPPED: {PipelinePhase.STOPPED},
}


class Pipeline:
    """Takes deliveries, stores their events, tells their senders. Runs on one event loop."""

    def __init__(
        self,
        *,
        journal: Journal,
        registry: TopicRegistry,
        counters: Counters,
        bridge_id: str,
        gate: ConsentGate,
        chores: Chores,
        outlet: Outlet,
        observers: Sequence[CommitObserver] = (),
        failed: Callable[[Exception], None],
        folds: Folds,
        limits: Limits = DEFAULT,
        reader: ReaderProcess | None = None,
        room: MessageRoom | None = None,
        courtesy: Courtesy | None = None,
        backlog_limit: int = 64 * 1024 * 1024,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``failed`` is called when something failed in a way that only a restart can mend.

        ``reader`` reads long messages; without one they are read in the thread. ``room`` is what long ones take.
        ``courtesy`` is told while somebody waits for a commit.
        """
        self.folds = folds
        self._journal = journal
        self._registry = registry
        self._counters = counters
        self.gate = gate
        self._outlet = outlet
        self._observers = tuple(observers)
        self._fatal = failed
        self.limits = limits
        self._clock_us = clock_us
        self._loop = asyncio.get_running_loop()
        self._outage = Outage(log, "bridge.journal")
        self._notices = Notices()
        self._keys = Outage(log, "bridge.keys")
        self._locked_out = LockedOut()
        self._departed = Departed()
        self._knocking: asyncio.TimerHandle | None = None
        self._rejected_topic = registry.build("bridge_rejected", bridge=bridge_id)
        self._receipt_topics: dict[Addressee, str] = {}
        self._phase = PipelinePhase.IDLE
        self._scheduled = False
        self._closed = False
        self._pressure = Pressure(backlog_limit)
        self._waiting = Backlog()
        self._long = None if reader is None else LongMessages(reader, self._question, self._resolved)
        self._courtesy = courtesy or Courtesy()
        self._courtesy.uneven = lambda: self._pressure.uneven
        self._aside = Aside(
            decode=self._decode,
            prepare=self._prepared,
            quick=self._quick,
            room=self._room,
            ready=self._decoded,
            failed=self._give_up,
            elsewhere=self._long,
            courtesy=self._courtesy,
        )
        self._message_room = room or MessageRoom(limits.max_payload, backlog_limit)
        self._chores = chores
        self._group = Group([], [])
        self._idle = asyncio.Event()
        self._idle.set()
        self._retry_s = _RETRY_FIRST_S
        self._commit_from: float | None = None
        self._pace = Pace()
        #: commits for which somebody may still come who has little
        self._company = 0
        self._resting: asyncio.TimerHandle | None = None
        #: whether a group is being written that takes several rounds of the loop
        self.writing = False
        #: when the first row of the group was written
        self._began = 0.0
        #: of a group that is written apart and may end early: whose it is, whether it is to, behind how many it did
        self._written_apart: frozenset[str] = frozenset()
        self._hasty = False
        self._ended_behind = 0
        #: the version of consent that all that waits was screened by
        self._consent = gate.version
        chores.taken_by(self._schedule)

    @property
    def healthy(self) -> bool:
        """Whether the last commit worked."""
        return not self._outage.ongoing

    @property
    def commit_running_s(self) -> float:
        """Seconds since the commit that is under way began; 0 between commits."""
        return 0.0 if self._commit_from is None else self._loop.time() - self._commit_from

    @property
    def hurried(self) -> bool:
        """Whether clients get less of each round: a commit takes several, or who has little waits beside much."""
        return self.writing or self._pressure.uneven

    @property
    def backlog(self) -> int:
        """Bytes held for deliveries that are not committed yet, unfolded."""
        return self._pressure.size

    def submit(self, deliveries: list[Delivery], *, shared: bool = False) -> bool:
        """Decode, ask for consent, queue. All are of one source; True: it reads no more before ``Source.resume``.

        ``shared``: the source is everybody's. What is of one user keeps its order there, and waits for nobody else's:
        tokens are acknowledged as that comes.
        """
        if self._closed:
            return True  # not taken and never acknowledged: the sender has it still
        now_us = self._clock_us()
        limits, aside = self.limits, self._aside
        self._waiting.shared = shared
        self._counters.messages_received += len(deliveries)
        spent, held_before, origin = 0, self._waiting.held, deliveries[0].origin
        for delivery in deliveries:
            if delivery.origin is not origin:
                held_before = self._count_in(delivery.source, origin.user, held_before)
                origin = delivery.origin
            line: object = (delivery.source, origin.user) if shared else delivery.source
            behind = aside.lines and line in aside.lines
            if spent > STRETCH or behind or delivery.form != OWN_FORM:
                decoded = None
            else:
                decoded = decode_if_quick(delivery.payload, delivery.origin, now_us, limits)
            if decoded is None:
                held = self._hold(delivery)
                if held.place is None:
                    self._pressure.add(delivery.source, origin.user, held.size, decoded=False)
                aside.put(delivery, held, now_us, line)
            else:
                spent += self._take(delivery, decoded, now_us)
        if deliveries[-1].form == OWN_FORM:
            self._pace.others(self._loop.time())
        source = deliveries[0].source
        self._count_in(source, origin.user, held_before)
        self._schedule()
        if self._waiting.work > _AHEAD:
            self._pressure.ahead(much=True)
        return self._pressure.hold(source, origin.user)

    def store(self, delivery: Delivery, decoded: Decoded, chore: Chore) -> None:
        """Queue a delivery that is decoded and screened; the commit that stores it does this chore, too."""
        self._counters.messages_received += 1
        self._take_one(delivery, decoded, chore)

    def hold(self, source: Source, user: str | None = None) -> bool:
        """Whether a new source, of this user if that is known, reads nothing before its ``resume``."""
        return self._pressure.hold(source, user)

    def leave(self, source: Source) -> None:
        """The source is gone and waits for nothing. Of what it left behind, few refusals are still written."""
        self._pressure.leave(source)
        if self._waits(source):
            self._departed.add(source)

    def _waits(self, source: Source) -> bool:
        return self._pressure.holds(source) or source in self._aside.lines

    async def drain(self) -> None:
        """Wait until everything submitted so far is committed and acknowledged, or the pipeline has stopped."""
        await self._idle.wait()

    async def close(self, within_s: float) -> None:
        """Take nothing more and commit what is in. What is not committed in time is given up: nobody was told of it."""
        self._closed = True
        try:
            async with asyncio.timeout(within_s):
                await self.drain()
        except TimeoutError:
            log.warning("bridge.not_drained", events=self._counters.in_flight)
            self._aside.close()
            self._waiting.clear()  # its events are still in flight, and counted as failed by ``stop``

    async def settle(self, within_s: float) -> None:
        """Make the chores durable that are waiting, if that can be done in time."""
        try:
            async with asyncio.timeout(within_s):
                await self.drain()
        except TimeoutError:
            log.warning("bridge.positions_not_kept")

    def stop(self) -> None:
        """Give up what is not committed: it is counted as failed and nobody was told otherwise."""
        self._enter(PipelinePhase.STOPPED)
        self._counters.failed += self._counters.in_flight
        self._counters.messages_failed += self._counters.messages_in_flight
        self._aside.close()
        for timer in (self._resting, self._knocking):
            if timer is not None:
                timer.cancel()
        self._chores.close()
        self._idle.set()

    # -- decoding

    def _take(self, delivery: Delivery, decoded: Decoded, now_us: int, chore: Chore | None = None) -> int:
        """Queue what is decoded; what that took beyond reading it once, which its sender is charged."""
        source, _, _, payload, _, _, form, _, _ = delivery
        more = 0
        if decoded.rejections or decoded.cost != len(payload):
            more = max(0, decoded.work - len(payload))
            if more:
                source.charge(more)
        self._counters.received += decoded.total
        if _in_parts(delivery, decoded):
            self._waiting.append_long(Instalments(delivery, decoded, chore))
        else:
            if form != OWN_FORM:
                self._pace.others(self._loop.time())
            self._waiting.append(waiting_for(delivery, self._admitted(delivery, decoded, now_us), chore))
        return more

    def _admitted(self, delivery: Delivery, decoded: Decoded, now_us: int) -> Decoded:
        """As far as it may be stored."""
        if delivery.kept:
            return self.gate.screen(decoded, delivery.origin.user, now_us)
        return self.gate.admit(decoded, delivery.origin, now_us)

    def _hold(self, delivery: Delivery) -> _Undecoded:
        """What a delivery that is not decoded yet takes. Of a long message its room is charged, and nothing else."""
        if delivery.form == OWN_FORM:
            return _Undecoded(unfolded(delivery.payload, self.limits))
        size = len(delivery.payload)
        if size <= self._message_room.least:
            return _Undecoded(size)
        return _Undecoded(0, self._message_room.hold(delivery.origin.user, size))

    def _take_one(self, delivery: Delivery, decoded: Decoded, chore: Chore | None = None) -> None:
        held_before = self._waiting.held
        self._take(delivery, decoded, self._clock_us(), chore)
        self._count_in(delivery.source, delivery.origin.user, held_before, in_parts=_in_parts(delivery, decoded))
        self._schedule()

    def _count_in(self, source: Source, user: str, held_before: int, *, in_parts: bool = False) -> int:
        """Count what was queued of a source and user since so many bytes were; how many are now."""
        held = self._waiting.held
        if held != held_before:
            self._pressure.add(source, user, held - held_before, decoded=True, in_parts=in_parts)
            if self._written_apart and user not in self._written_apart and self._pressure.is_little(user):
                self._hasty = True
        return held

    def _quick(self, delivery: Delivery) -> Decoded | None:
        if delivery.form != OWN_FORM:
            return None
        return decode_if_quick(delivery.payload, delivery.origin, self._clock_us(), self.limits)

    def _room(self, delivery: Delivery) -> bool:
        """Whether a delivery that waits may be decoded now."""
        long = self._long is not None and self._long.takes(delivery)
        ahead = self._waiting.long_work if long else self._waiting.work
        return ahead <= _AHEAD and self._pressure.room(delivery) and not self.folds.waits(delivery)

    def _prepared(self, delivery: Delivery, at_us: int) -> Told:
        self.folds.begin(delivery)
        return self.folds.told(delivery.origin, delivery.form, at_us, retained=delivery.retained)

    def limits_of(self, form: str, told: Told) -> Limits:
        """The bounds of a message in this format, of which the login says how long it may be."""
        if form == OWN_FORM:
            return self.limits
        longest = self._message_room.longest(told.declared.longest or self.limits.max_message)
        return replace(self.limits, max_payload=longest)

    def _question(self, delivery: Delivery, told: Told) -> ReadRequest:
        """In a thread of ``Aside``, as what follows."""
        form = FORMATS.get(delivery.form) or Withdrawn(delivery.form)
        return ReadRequest(delivery.origin, self._clock_us(), self.limits_of(delivery.form, told), form, told)

    def _decode(self, delivery: Delivery, told: Told, pause: Callable[[], None]) -> Decoded:
        origin, now_us, limits, form, told = self._question(delivery, told)
        return self._resolved(delivery, decode(delivery.payload, origin, now_us, limits, pause, form, told), pause)

    def _resolved(self, delivery: Delivery, decoded: Decoded, pause: Callable[[], None]) -> Decoded:
        return self.folds.resolved(delivery.origin, delivery.form, decoded, pause)

    def _decoded(self, delivery: Delivery, decoded: Decoded, held: _Undecoded) -> None:
        if held.place is None:
            self._pressure.less(delivery.source, delivery.origin.user, held.size, decoded=False)
        decoded, chore = self.folds.settled(delivery.origin, delivery.form, decoded)
        if chore is not None and held.place is not None:
            chore = chore._replace(done=partial(_both, chore.done, held.place.leave))
        self._take_one(delivery, decoded, chore)

    # -- one group

    def _enter(self, phase: PipelinePhase) -> None:
        assert phase in _NEXT[self._phase], (self._phase, phase)
        self._phase = phase
        self.writing = False
        if phase is PipelinePhase.COMMITTING:
            self._courtesy.begin()
        else:
            self._courtesy.end()

    def _schedule(self) -> None:
        if self._phase is PipelinePhase.STOPPED:
            return
        self._idle.clear()
        if self._phase is PipelinePhase.IDLE and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        """Write the next group and start its commit."""
        self._scheduled = False
        if self._phase is PipelinePhase.STOPPED:
            return
        waits = self._waiting.others or bool(self._chores) or (bool(self._waiting) and not self._rests())
        if self._journal.owes and not (waits and self._pressure.uneven and not self._waiting.served_little):
            # Whoever has little and comes meanwhile waits for this alone, and not for rows of others as well.
            self._waiting.rested()
            self._group = Group([], [])
        elif waits:
            self._group = self._next_group()
        else:
            if not self._waiting and not self._aside.lines and not self._locked_out:
                self._idle.set()
            return
        self._enter(PipelinePhase.COMMITTING)
        self._attempt()

    def _rests(self) -> bool:
        """Whether parts of long messages rest now; they go on by themselves."""
        wait_s = 0.0 if self._closed else self._pace.wait_s(self._loop.time())
        if wait_s and self._resting is None:
            self._resting = self._loop.call_later(wait_s, self._rested)
        return bool(wait_s)

    def _part_events(self) -> int:
        return PART_EVENTS if self._pace.others_send(self._loop.time()) else LONE_PART_EVENTS

    def _rested(self) -> None:
        self._resting = None
        self._schedule()

    def _next_group(self) -> Group:
        """As many deliveries as a commit may have and at least one or a part of one, and every chore."""
        most = self._part_events() if self._waiting.long_work and not self._rests() else 0
        self._company = _COMPANY if self._pressure.uneven else max(0, self._company - 1)
        of_one = _OF_ONE if self._company else None
        chores, group = self._chores.take(), self._waiting.take(GROUP_EVENTS, GROUP_BYTES, most, of_one)
        if self._departed:
            group = self._without_departed(group)
        chores += [chore for _, _, _, chore, _ in group if chore is not None]
        if group and group[-1].of is not None:
            part = group[-1]
            group[-1] = part._replace(decoded=self._admitted(part.delivery, part.decoded, self._clock_us()))
        made = Group(group, chores)
        if self._locked_out:
            self._locked_out.sift(made)
        return made

    def _without_departed(self, group: list[WaitingDelivery]) -> list[WaitingDelivery]:
        """The group without what nobody is told any more; that was not stored, and is counted so."""
        kept, nothing, dropped, beyond = self._departed.sift(group)
        undecoded = [each for source in beyond for each in self._aside.give_up(source, is_droppable)]
        for delivery, held in undecoded:
            self._pressure.less(delivery.source, delivery.origin.user, held.size, decoded=False)
        self._count_out(nothing)
        self._counters.failed += dropped
        self._counters.messages_failed += len(nothing) + len(undecoded)
        if beyond and (left_out := self._notices.due("refusals_dropped", self._loop.time())) is not None:
            log.warning(
                "bridge.refusals_dropped",
                connections=len(beyond),
                messages=len(nothing) + len(undecoded),
                left_out=left_out,
            )
        return kept

    def _attempt(self) -> None:
        group = self._group
        received_us = self._clock_us()
        if self._consent != self.gate.version:
            self._screen_again(received_us)
        group.seqs, group.outcomes = [], []
        self._began = self._loop.time()
        self._stage(group.portions(received_us), received_us)

    def _stage(self, portions: Iterator[Portion], received_us: int) -> None:
        """Write the group, then start its commit; of much a portion, and the next one in the next pass of the loop.

        Where somebody who has little came meanwhile, what is written by then is the group.
        """
        if self._phase is PipelinePhase.STOPPED:
            return
        group = self._group
        try:
            if self._journal.apart:
                self._store(received_us)
                return
            with self._courtesy.quiet():
                items, refused, whole, last = next(portions)
                group.seqs += self._journal.write(items, refused, received_us)
            if whole and not last and self._gives_way(whole):
                portions, last = group.rejections(), not group.refused
            self.writing = not last
            if not last:
                self._loop.call_soon(self._stage, portions, received_us)
                return
            self._write_chores()
        except StoreError as error:
            self._failed(error)
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for this group for ever
            self._give_up(error)
            return
        self._note_outcomes(group)
        self._commit_from = self._loop.time()
        if self._company and (self._journal.owes or len(group.seqs) > LIGHT) and group.waiting:
            self._journal.put_off()
        self._journal.commit(self._committed)

    def _gives_way(self, whole: int) -> bool:
        """Whether the group ends behind so many of its deliveries; those that are left wait again, before what came."""
        group = self._group
        rest = group.waiting[whole:]
        if not rest or group.part is not None or group.written or not self._waiting.urgent(rest):
            return False
        group.part_with(rest)
        self._waiting.put_back(rest)
        return True

    def _store(self, received_us: int) -> None:
        """Have the journal's thread write the group and commit it; the loop waits for no other machine.

        The loop leaves the group alone meanwhile. It is written in portions only where it may end early: each of them
        asks the server several times.
        """
        self._write_chores()
        group = self._group
        self._hasty, self._ended_behind = False, 0
        if group.part is None and all(each.chore is None for each in group.waiting):
            self._written_apart = beside_much(group.waiting)
            self._hasty = bool(self._written_apart) and self._waiting.urgent(group.waiting)
        self._commit_from = self._loop.time()
        portions = group.portions(received_us, PORTION if self._written_apart else GROUP_EVENTS)
        self._journal.store(self._apart(group, portions), received_us, self._stored)

    def _apart(
        self, group: Group, portions: Iterator[Portion]
    ) -> "Iterator[tuple[Sequence[Item], Sequence[Quarantined]]]":
        """In the journal's thread: the portions, or some, where somebody came who has little and would wait for all."""
        for items, refused, whole, _ in portions:
            yield items, refused
            if 0 < whole < len(group.waiting) and self._hasty:
                self._ended_behind = whole
                if group.refused:
                    yield from ((items, refused) for items, refused, _, _ in group.rejections())
                return

    def _write_chores(self) -> None:
        group = self._group
        for chore in group.chores[group.written :]:
            group.written += 1
            chore.write(self._journal)

    def _stored(self, seqs: list[int], head: int, error: StoreError | None) -> None:
        self._written_apart = frozenset()
        if error is None and self._phase is not PipelinePhase.STOPPED:
            group = self._group
            if self._ended_behind and (rest := group.waiting[self._ended_behind :]):
                group.part_with(rest)
                self._waiting.put_back(rest)
            group.seqs = seqs
            self._note_outcomes(group)
        self._committed(head, error)

    @staticmethod
    def _note_outcomes(group: Group) -> None:
        seqs, tell, at = group.seqs, group.outcomes.append, 0
        make = tuple.__new__
        for delivery, decoded, _, _, _ in group.waiting:
            end = at + len(decoded.events)
            tell(make(Outcome, (delivery, decoded, seqs[at:end])))
            at = end

    def _screen_again(self, now_us: int) -> None:
        """Consent, or who may send, has changed while deliveries waited, perhaps for a second try: it is asked anew."""
        self._consent = self.gate.version

        def screened(each: WaitingDelivery) -> WaitingDelivery:
            return each._replace(decoded=self._admitted(each.delivery, each.decoded, now_us))

        self._group.waiting = [screened(each) for each in self._group.waiting]
        self._waiting.change(screened)
        self._locked_out.change(screened)

    def _committed(self, head: int, error: StoreError | None) -> None:
        took, self._commit_from = self.commit_running_s, None
        if self._phase is PipelinePhase.STOPPED:
            return
        if error is not None:
            self._failed(error)
            return
        self._outage.worked(self._loop.time())
        if not self._locked_out and self._knocking is None:
            self._keys.worked(self._loop.time())
        self._retry_s = _RETRY_FIRST_S
        group, self._group = self._group, Group([], [])
        now_us = self._clock_us()
        try:
            self._counters.commit(took, now_us)
            if group.part is not None:
                self._pace.stored(self._loop.time() - self._began, self._loop.time())
            told = _whole(group)
            self._count(group, told)
            if self._departed:
                self._departed.keep(self._waits)
            acknowledge(told, self._journal.epoch, self._journal.position)
            self._tell(told, group.refused)
            for chore in group.chores:
                chore.done()
            commit = Commit(head, told, now_us, took)
            for observer in self._observers:
                observer.committed(commit)
        except Exception as failure:  # noqa: BLE001  # the same
            self._give_up(failure)
            return
        if self._waiting.work <= _AHEAD // 2:
            self._pressure.ahead(much=False)
        self._aside.go_on()
        for source in self._pressure.freed():
            source.resume()
        self._enter(PipelinePhase.IDLE)
        self._write()

    def _failed(self, error: StoreError) -> None:
        """Nothing was stored and nobody was told. The same group is tried again: senders wait, nothing is dropped.

        Where a user's key cannot be had, it is without that user's deliveries, which wait aside.
        """
        if isinstance(error, KeyUnavailableError) and self._locked_out.part(self._group, error.user):
            self._keys.failed(self._loop.time(), error=str(error), hint=error.hint)
            if self._knocking is None:
                self._knocking = self._loop.call_later(_LOCKED_OUT_S, self._knock)
            self._enter(PipelinePhase.RETRYING)
            self._loop.call_soon(self._again)
            return
        self._outage.failed(self._loop.time(), error=str(error), hint=error.hint)
        if not error.retryable:
            self._give_up(error)
            return
        self._enter(PipelinePhase.RETRYING)
        self._loop.call_later(self._retry_s, self._again)
        self._retry_s = min(_RETRY_MOST_S, self._retry_s * 2)

    def _knock(self) -> None:
        """Whoever is locked out is tried again, in the order in which they came."""
        self._knocking = None
        self._waiting.put_back(self._locked_out.release())
        self._schedule()

    def _give_up(self, error: Exception) -> None:
        self.stop()
        self._fatal(error)

    def _again(self) -> None:
        if self._phase is PipelinePhase.RETRYING:
            self._enter(PipelinePhase.COMMITTING)
            self._attempt()

    # -- after the commit

    def _count(self, group: Group, told: Sequence[Outcome]) -> None:
        counters = self._counters
        self._count_out(group.waiting)
        duplicates = group.seqs.count(0)
        counters.duplicate += duplicates
        counters.stored += len(group.seqs) - duplicates
        for row in group.refused:
            counters.reject(row.rejection.reason.value)
        if not duplicates and not group.refused and group.part is None:  # all have events, and all of them are new
            counters.messages_stored += len(told)
            return
        for _, decoded, seqs in told:
            counters.message(stored=any(seqs), rejected=bool(decoded.rejections))

    def _count_out(self, waiting: list[WaitingDelivery]) -> None:
        """They wait no more: one count for all in a row of a source and user."""
        if not waiting:
            return
        part = waiting[-1]
        if part.of is not None:
            self._pressure.less(part.delivery.source, part.delivery.origin.user, part.size, decoded=True, in_parts=True)
            waiting = waiting[:-1]
        if not waiting:
            return
        source, origin, held = waiting[0].delivery.source, waiting[0].delivery.origin, 0
        for delivery, _, size, _, _ in waiting:
            if delivery[2] is not origin or delivery[0] is not source:
                self._pressure.less(source, origin.user, held, decoded=True)
                source, origin, held = delivery[0], delivery[2], 0
            held += size
        self._pressure.less(source, origin.user, held, decoded=True)

    def _tell(self, outcomes: Sequence[Outcome], refused: Sequence[Quarantined]) -> None:
        outlet = self._outlet
        for addressee, told in by_device(outcomes).items():
            topic = self._receipt_topic(addressee)
            if outlet.listening(topic):
                seq = self._journal.position(addressee.user)
                for receipt in receipts(told, self._journal.epoch, seq, outlet.room(topic)):
                    if not outlet.send(topic, receipt):
                        self._unsent("receipt", len(receipt), outlet.room(topic))
        if refused and outlet.listening(self._rejected_topic):
            for row in refused:
                said = announcement(row)
                if not outlet.send(self._rejected_topic, said):
                    self._unsent("rejected", len(said), outlet.room(self._rejected_topic))

    def _unsent(self, kind: str, size: int, room: int) -> None:
        """Count what the broker does not take, and say so at the first of each kind."""
        if not self._counters.unsent[kind]:
            log.warning("bridge.not_sent", kind=kind, bytes=size, room=room, fix=UNSENT_FIX)
        self._counters.unsent[kind] += 1

    def _receipt_topic(self, addressee: Addressee) -> str:
        topic = self._receipt_topics.get(addressee)
        if topic is None:
            topic = self._registry.build("receipts", user=addressee.user, device=addressee.device)
            self._receipt_topics[addressee] = topic
        return topic


def _in_parts(delivery: Delivery, decoded: Decoded) -> bool:
    """Whether it is stored in parts, with commits of others between them."""
    return delivery.form != OWN_FORM and decoded.total > PART_EVENTS


def _whole(group: Group) -> list[Outcome]:
    """What became of the messages that are durable now; of one that is stored in parts after the last of them."""
    if group.part is None:
        return group.outcomes
    whole = group.part.durable(group.outcomes[-1])
    return [*group.outcomes[:-1], *(() if whole is None else (whole,))]


def _both(one: Callable[[], None], other: Callable[[], None]) -> None:
    one()
    other()
