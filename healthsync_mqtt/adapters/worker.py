"""The worker of all adapters: which link is fetched when, and what is said of it.

Links of one provider wait for each other's buckets, those of another do not. A provider that fails again and again is
left alone for a while, whatever link would be next.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol

from healthsync_mqtt.adapters.budgets import ProviderBudgets
from healthsync_mqtt.adapters.cloud import Cloud, CloudClient, CloudFault, Failed
from healthsync_mqtt.adapters.fetching import (
    EventOutlet,
    Fetch,
    FetchEndedError,
    FetchHeldError,
    FetchStoppedError,
    FetchTally,
)
from healthsync_mqtt.adapters.link_state import LinkEvent
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.parting import told
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.standing import People, UserStanding
from healthsync_mqtt.adapters.web import Web
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.linked.flights import Flights
from healthsync_mqtt.linked.parting import Parting, PartingBook
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")

_LOOK_S: Final = 0.25
_AT_ONCE: Final = 64
_OF_A_PROVIDER: Final = 8
_FIRST_WAIT_S: Final = 60.0
_LONGEST_WAIT_S: Final = 6 * 3_600.0
_BREAK_AFTER: Final = 5
_BREAK_S: Final = 300.0
_HELD_S: Final = 60.0
_SWEEP_US: Final = 30_000_000
_HELD_HINT: Final = "the user consents to nothing that could be stored: healthsync consent grant USER --types all"


class States(EventOutlet, Protocol):
    """Where events go, and what state a link is in."""

    async def retain(self, user: str, provider: str, state: dict[str, object]) -> None:
        """What state a link is in, retained; an empty one takes it back."""
        ...


@dataclass(frozen=True, slots=True)
class ReadyAdapter:
    """An adapter that can be fetched: what it is, where it is asked, and as whom."""

    adapter: Adapter
    cloud: Cloud
    client: CloudClient
    poll_s: float = 900.0


class Breaker:
    """Whether a provider is asked: after some failures in a row not for a while, then by one link alone."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def open(self, now: float) -> float:
        """The seconds for which it is not asked."""
        return max(0.0, self._until - now)

    def failed(self, now: float, wait_s: float = 0.0) -> None:
        """One more failed; ``wait_s``: it said how long."""
        self._failures += 1
        if wait_s or self._failures >= _BREAK_AFTER:
            self._until = max(self._until, now + (wait_s or _BREAK_S))

    def worked(self) -> None:
        """It answers."""
        self._failures, self._until = 0, 0.0


class AdapterWorker:
    """All links of a data directory, for ever."""

    def __init__(
        self,
        ready: Mapping[str, ReadyAdapter],
        *,
        book: LinkBook,
        partings: PartingBook,
        people: People,
        flights: Flights,
        web: Web,
        outlet: States,
        rng: Random,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._ready = dict(ready)
        self._book = book
        self._partings = partings
        self._people = people
        self._flights = flights
        self._web = web
        self._outlet = outlet
        self._rng = rng
        self._now_us = now_us
        self._budgets = ProviderBudgets({name: each.adapter.capability.budgets for name, each in ready.items()})
        self._breakers = {name: Breaker() for name in ready}
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._lanes = {name: asyncio.Semaphore(_OF_A_PROVIDER) for name in ready}
        self._told: dict[int, str] = {}
        self._parting: set[str] = set()
        self._sweep_us = 0
        self.fetched = 0

    async def run(self) -> None:
        """Fetch what is due, and what commands ask for, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self.look(group)
                await asyncio.sleep(_LOOK_S)

    def look(self, group: asyncio.TaskGroup) -> None:
        """Start what is due now."""
        self._sweep()
        for parting in self._partings.due(self._now_us()):
            if parting.id not in self._parting:
                self._parting.add(parting.id)
                group.create_task(self._part(parting), name=f"adapters.parting.{parting.id}")
        for link in self._book.leaving():
            if link.id not in self._busy:
                self._busy[link.id] = group.create_task(self._over(link), name=f"adapters.over.{link.id}")
        asked: dict[int, list[int]] = {}
        for number, of in self._book.asked():
            asked.setdefault(of, []).append(number)
        due = {link.id: link for link in self._book.due(self._now_us(), _AT_ONCE)}
        for of in asked:
            if (found := self._book.link(of)) is not None:
                due[of] = found
        for link in due.values():
            if link.id not in self._busy and len(self._busy) < _AT_ONCE:
                task = group.create_task(self._one(link, asked.get(link.id, [])), name=f"adapters.link.{link.id}")
                self._busy[link.id] = task

    async def _one(self, link: CloudLink, asked: list[int]) -> None:
        try:
            answer = await self.fetch(link, asked=bool(asked))
        except Exception as error:  # noqa: BLE001  # of one link: the others go on
            log.error("adapters.link_failed", provider=link.provider, error=error)  # noqa: TRY400  # no traceback
            answer = self._failed(link, Failed(CloudFault.retry, hint="see the log of the service"), FetchTally())
        finally:
            self._busy.pop(link.id, None)
        if asked:
            self._book.answer(asked, answer)

    def _sweep(self) -> None:
        """End the links of who is gone, whatever command was killed before it did."""
        if self._now_us() < self._sweep_us:
            return
        self._sweep_us = self._now_us() + _SWEEP_US
        try:
            for user in self._partings.users():
                if self._people.standing(user) is UserStanding.gone:
                    self._partings.end(user)
        except HealthSyncError as error:
            log.warning("adapters.users_not_looked_at", error=error)

    async def _part(self, parting: Parting) -> None:
        """Tell a provider that our access is over; where that fails, again later."""
        over = False
        try:
            ready = self._ready.get(parting.provider)
            if ready is not None:
                over = await told(
                    parting,
                    self._partings,
                    cloud=ready.cloud,
                    client=ready.client,
                    web=self._web,
                    now_us=self._now_us(),
                )
            if over:
                self._partings.over(parting)
            else:
                self._partings.again(parting, self._in(self._wait(parting.failures)))
        except Exception as error:  # noqa: BLE001  # of one parting: the others go on
            log.error("adapters.parting_failed", provider=parting.provider, error=error)  # noqa: TRY400  # no traceback
        finally:
            self._parting.discard(parting.id)

    async def _over(self, link: CloudLink) -> None:
        """Take back what is said of a link, and forget it."""
        try:
            async with self._flights.turn(link.id):
                if not self._book.is_leaving(link.id):
                    return  # erased, or made again, before our turn
                await self._outlet.retain(link.user, link.provider, {})
                self._partings.forget(link.id)
        except HealthSyncError as error:
            log.warning("adapters.link_not_forgotten", provider=link.provider, error=error)
        finally:
            self._told.pop(link.id, None)
            self._busy.pop(link.id, None)

    def _may(self, link: CloudLink) -> None:
        """FetchEndedError, FetchHeldError."""
        standing = self._people.standing(link.user)
        if standing is UserStanding.gone:
            self._partings.end(link.user)
        if standing is UserStanding.gone or not self._book.stands(link.id):
            raise FetchEndedError
        if standing is UserStanding.held:
            raise FetchHeldError

    async def fetch(self, link: CloudLink, *, asked: bool = False) -> dict[str, Any]:
        """One link now; what came of it, as it is told. ``asked``: a person wants it, whatever the breaker."""
        ready = self._ready.get(link.provider)
        if ready is None:
            failed = Failed(
                CloudFault.ours, hint=f"the adapter {link.provider} is not there, or its client id is not set"
            )
            return self._failed(link, failed, FetchTally())
        breaker = self._breakers[link.provider]
        now = self._now_us() / 1e6
        if (wait := breaker.open(now)) and not asked:
            self._book.happened(link, LinkEvent.begun)
            self._book.happened(
                link, LinkEvent.throttled, hint="the provider is left alone for now", due_us=self._in(wait)
            )
            return {"state": "rate_limited"}
        async with self._lanes[link.provider], self._flights.turn(link.id):
            now_link = self._book.link(link.id)
            if now_link is None:
                return {"state": "gone"}
            try:
                self._may(now_link)
            except FetchEndedError:
                return {"state": "gone"}
            except FetchHeldError:
                return await self._held(now_link)
            begun = self._book.happened(now_link, LinkEvent.begun)
            await self._tell(begun)
            fetch = Fetch(
                ready.adapter,
                ready.cloud,
                ready.client,
                begun,
                book=self._book,
                web=self._web,
                outlet=self._outlet,
                budgets=self._budgets,
                may=lambda: self._may(begun),
                now_us=self._now_us,
            )
            try:
                tally = await fetch.run()
            except FetchEndedError:
                return {"state": "gone", **fetch.tally.told()}
            except FetchHeldError:
                return await self._held(begun) | fetch.tally.told()
            except FetchStoppedError as stopped:
                answer = self._failed(begun, stopped.failed, fetch.tally)
            except HealthSyncError as error:
                answer = self._failed(begun, Failed(CloudFault.retry, hint=str(error)), fetch.tally)
            else:
                breaker.worked()
                self.fetched += 1
                hint = f"not granted: {', '.join(tally.not_granted)}" if tally.not_granted else ""
                due_us = self._in(ready.poll_s * (0.9 + 0.2 * self._rng.random()))
                done = self._book.happened(begun, LinkEvent.fetched, hint=hint, due_us=due_us, now_us=self._now_us())
                answer = {"state": done.state.value, **tally.told()}
            after = self._book.link(link.id)
            if after is not None and self._book.stands(link.id):
                await self._tell(after)
            return answer

    async def _held(self, link: CloudLink) -> dict[str, Any]:
        """The link waits for a consent; who has to be let in again hears that first."""
        now = self._book.happened(link, LinkEvent.held, hint=_HELD_HINT, due_us=self._in(_HELD_S))
        await self._tell(now)
        return {"state": now.state.value, "hint": now.hint}

    def _failed(self, link: CloudLink, failed: Failed, tally: FetchTally) -> dict[str, Any]:
        """What follows on a fetch that went no further."""
        event = {CloudFault.unauthorised: LinkEvent.refused, CloudFault.rate_limited: LinkEvent.throttled}.get(
            failed.fault, LinkEvent.failed
        )
        hint = failed.hint or _HINTS[failed.fault]
        breaker = self._breakers.get(link.provider)
        wait = failed.wait_s or self._wait(link.failures)
        if breaker is not None and failed.fault in {CloudFault.retry, CloudFault.rate_limited}:
            breaker.failed(self._now_us() / 1e6, failed.wait_s if failed.fault is CloudFault.rate_limited else 0.0)
        self._book.happened(link, LinkEvent.begun)
        now = self._book.happened(link, event, hint=hint, due_us=self._in(wait))
        log.warning("adapters.link_stopped", provider=link.provider, state=now.state.value, reason=failed.fault.value)
        return {"state": now.state.value, "hint": now.hint, **tally.told()}

    async def _tell(self, link: CloudLink) -> None:
        """Retain the state of a link where it is another than before."""
        state: dict[str, object] = {"state": link.state.value}
        if link.hint:
            state["hint"] = link.hint
        if link.synced_us:
            state["synced_us"] = link.synced_us
        text = f"{link.user} {link.linked_us} {link.state} {link.hint} {link.synced_us}"  # numbers are given again
        if self._told.get(link.id) != text:
            await self._outlet.retain(link.user, link.provider, state)
            self._told[link.id] = text

    def _wait(self, failures: int) -> float:
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures, 12)) * (0.5 + self._rng.random() / 2)

    def _in(self, seconds: float) -> int:
        return self._now_us() + max(1, int(seconds * 1e6))


_HINTS: Final = {
    CloudFault.retry: "the provider does not answer as it should; it is asked again",
    CloudFault.rate_limited: "the provider takes no more questions for now",
    CloudFault.unauthorised: "let us in again: healthsync adapter link USER PROVIDER",
    CloudFault.not_granted: "this was not agreed to",
    CloudFault.gone: "it is not there",
    CloudFault.ours: "the provider refuses the question",
    CloudFault.user: "something has to be done at the provider",
}
