# long: one noun: which link is fetched, heard, asked and forgotten when
"""The worker of all adapters: which link is fetched when, and what is said of it.

Links of one provider wait for each other's buckets, those of another do not. A provider that fails again and again is
left alone for a while, whatever link would be next.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import groupby
from random import Random
from typing import Any, Final, Protocol

from healthsync_mqtt.adapters.budgets import ProviderBudgets
from healthsync_mqtt.adapters.cloud import CloudFault, Failed
from healthsync_mqtt.adapters.cloud_subscriptions import CloudSubscriptions
from healthsync_mqtt.adapters.fetch import (
    EventOutlet,
    Fetch,
    FetchEndedError,
    FetchHeldError,
    FetchPausedError,
    FetchStoppedError,
    FetchTally,
)
from healthsync_mqtt.adapters.link_descriptions import hint_of
from healthsync_mqtt.adapters.link_state import CloudLinkState, LinkEvent
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.notice_fetch import NoticeFetch
from healthsync_mqtt.adapters.notices import Notice
from healthsync_mqtt.adapters.provider_threads import ProviderThreads
from healthsync_mqtt.adapters.push_order import PushOrder, pushed_accounts
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.token_revocation import told
from healthsync_mqtt.adapters.user_standing import People, UserStanding
from healthsync_mqtt.adapters.web import Web
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import Parting, PartingBook
from healthsync_mqtt.cloud_links.inbox import Delivered, NoticeInbox
from healthsync_mqtt.errors import HealthSyncError, StoreError, UnavailableError
from healthsync_mqtt.keys.faults import LOST
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")

_LOOK_S: Final = 0.25
_OF_A_PROVIDER: Final = 8
_FIRST_WAIT_S: Final = 60.0
_LONGEST_WAIT_S: Final = 6 * 3_600.0
_BREAK_AFTER: Final = 5
_BREAK_S: Final = 300.0
_ALONE_S: Final = 30.0
_HELD_S: Final = 60.0
_STRANGER_S: Final = 5.0
_OVER_AGAIN_S: Final = 5.0
_SWEEP_US: Final = 30_000_000
_SWEPT_AT_ONCE: Final = 100
_REST_US: Final = 1_000_000
_LONGEST_US: Final = 25 * 3_600_000_000
"""Nothing waits longer than a day, but for a provider that the settings let be asked more seldom."""
_INBOX_US: Final = 7 * 86_400_000_000
"""For so long a delivery is tried again: then what it was about is asked for by nobody but the next poll."""
_HELD_HINT: Final = "the user consents to nothing that could be stored: healthsync consent grant USER --types all"


class States(EventOutlet, Protocol):
    """Where events go, and what state a link is in."""

    async def retain(self, user: str, provider: str, state: dict[str, object]) -> None:
        """What state a link is in, retained; an empty one takes it back."""
        ...


class Breaker:
    """Whether a provider is asked: after some failures in a row not for a while, then by one link alone."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def open(self, now: float) -> float:
        """The seconds for which it is not asked; 0: it is. Who hears so first, after a while, is alone for a moment."""
        if self._until and now >= self._until:
            self._until = now + _ALONE_S
            return 0.0
        return max(0.0, self._until - now)

    def failed(self, now: float, wait_s: float = 0.0) -> None:
        """One more failed; ``wait_s``: it said how long."""
        self._failures += 1
        if wait_s or self._failures >= _BREAK_AFTER:
            self._until = max(self._until, now + (wait_s or _BREAK_S))

    def set_back(self, by_s: float) -> None:
        """The clock was set back by so much."""
        self._until = max(0.0, self._until - by_s)

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
        inbox: NoticeInbox,
        people: People,
        flights: Flights,
        web: Web,
        outlet: States,
        rng: Random,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        renewed: Callable[[], Mapping[str, ReadyAdapter]] | None = None,
    ) -> None:
        """``renewed``: what is ready as the settings say now."""
        self._ready: Mapping[str, ReadyAdapter] = {}
        self._renewed = renewed
        self._book = book
        self._partings = partings
        self._inbox = inbox
        self._threads = ProviderThreads(web, _OF_A_PROVIDER)
        self._subscriptions = CloudSubscriptions(inbox, book, self._threads)
        self._people = people
        self._flights = flights
        self._outlet = outlet
        self._rng = rng
        self._now_us = now_us
        self._budgets = ProviderBudgets()
        self._breakers: dict[str, Breaker] = {}
        self._lanes: dict[str, asyncio.Semaphore] = {}
        #: links at work, and of which provider each is
        self._busy: dict[int, str] = {}
        #: deliveries that are worked off, and providers that are asked to tell us
        self._hearing: set[int] = set()
        self._asking: set[str] = set()
        self._pushes = PushOrder(inbox)
        self._told: dict[int, str] = {}
        #: links that are over and could not be forgotten: when it is tried again
        self._over_us: dict[int, int] = {}
        self._parting: set[str] = set()
        self._sweep_us = 0
        #: when something is looked at whatever has changed, and whether work has ended since the last look
        self._look_us, self._ended = 0, False
        #: what the clock showed at the last look
        self._clock_us = 0
        #: whose standing is still to be looked at
        self._unswept: list[str] = []
        self._swept = -1
        self.fetched = self.looks = 0
        #: notices of accounts that nobody here is linked to
        self.ignored = 0
        self._use(ready)

    async def run(self) -> None:
        """Fetch what is due, and what commands ask for, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                now_us = self._now_us()
                due = not self._clock_us <= now_us < self._look_us  # earlier than at the last look: it was set back
                if self._book.changed() or self._ended or due:
                    self._look_us, self._ended = now_us + _REST_US, False
                    self.looks += 1
                    self.look(group)
                await asyncio.sleep(_LOOK_S)

    def close(self) -> None:
        """Ask nothing more."""
        self._threads.close()

    def _use(self, ready: Mapping[str, ReadyAdapter]) -> None:
        """These are ready from now on; what is at work goes on as it began."""
        self._ready = ready
        self._budgets.use({name: each.adapter.capability.budgets for name, each in ready.items()})
        for name in ready:
            self._breakers.setdefault(name, Breaker())
            self._lanes.setdefault(name, asyncio.Semaphore(_OF_A_PROVIDER))

    def look(self, group: asyncio.TaskGroup) -> None:
        """Start what is due now."""
        # At each look: what is asked for now may be of a provider that the settings name since a moment ago.
        if self._renewed is not None and (ready := self._renewed()) is not self._ready:
            self._use(ready)
        self._heed_clock()
        self._sweep()
        for parting in self._partings.due(self._now_us()):
            if parting.id not in self._parting:
                self._parting.add(parting.id)
                group.create_task(self._part(parting), name=f"adapters.parting.{parting.id}")
        for link in self._book.leaving():
            if link.id not in self._busy and self._now_us() >= self._over_us.get(link.id, 0):
                self._busy[link.id] = link.provider
                group.create_task(self._over(link), name=f"adapters.over.{link.id}")
        asked: dict[int, list[int]] = {}
        for number, of in self._book.asked():
            asked.setdefault(of, []).append(number)
        of_each = Counter(self._busy.values())
        due = [found for of in asked if (found := self._book.link(of)) is not None]
        for provider in self._book.providers():
            # Those of one provider that work are due, too: so many more are asked for.
            due += self._book.due(provider, self._now_us(), _OF_A_PROVIDER + of_each[provider])
        for link in due:
            if link.id not in self._busy and (link.id in asked or of_each[link.provider] < _OF_A_PROVIDER):
                of_each[link.provider] += 1
                self._busy[link.id] = link.provider
                group.create_task(self._one(link, asked.get(link.id, [])), name=f"adapters.link.{link.id}")
        self._look_at_notices(group)

    def _look_at_notices(self, group: asyncio.TaskGroup) -> None:
        now_us = self._now_us()
        for delivered in self._inbox.due(now_us, _OF_A_PROVIDER):
            if delivered.id not in self._hearing:
                self._hearing.add(delivered.id)
                group.create_task(self._deliver(delivered), name=f"adapters.notice.{delivered.id}")
        providers = set(self._book.providers())
        for name, ready in self._ready.items():
            if ready.notices is None or not ready.hooks.public_url or name in self._asking:
                continue
            unhooked = self._book.unhooked(name, now_us, 1) if ready.notices.subscribe_user is not None else []
            linked = bool(unhooked) or name in providers
            if unhooked or self._subscriptions.due(ready, now_us, linked=linked):
                self._asking.add(name)
                work = self._subscribe(ready, unhooked, linked=linked)
                group.create_task(work, name=f"adapters.subscribe.{name}")

    async def _one(self, link: CloudLink, asked: list[int]) -> None:
        try:
            answer = await self.fetch(link, asked=bool(asked))
        except Exception as error:  # noqa: BLE001  # of one link: the others go on
            log.error("adapters.link_failed", provider=link.provider, error=error)  # noqa: TRY400  # no traceback
            failed = Failed(CloudFault.retry, hint="see the log of the service")
            answer = self._failed(link, failed, FetchTally(), ours=True)
        finally:
            self._busy.pop(link.id, None)
            self._ended = True
        if asked:
            self._book.answer(asked, answer)

    def _heed_clock(self) -> None:
        """A clock that was set back keeps nothing waiting for what it showed, here or before this process began."""
        before_us, now_us = self._clock_us, self._now_us()
        by_us = max(0, before_us - now_us)
        self._clock_us = now_us
        if before_us and by_us < _REST_US:
            return
        longest_us = max([_LONGEST_US, *(int(each.poll_s * 1.1e6) for each in self._ready.values())])
        try:
            self._book.set_back(by_us, now_us, longest_us)
        except HealthSyncError as error:
            self._clock_us = before_us  # once more at the next look
            log.warning("adapters.clock_not_heeded", error=error)
            return
        self._sweep_us = 0
        self._over_us.clear()
        for breaker in self._breakers.values():
            breaker.set_back(by_us / 1e6)
        if by_us:
            log.warning("adapters.clock_set_back", seconds=by_us // 1_000_000)

    def _sweep(self) -> None:
        """End the links of who is gone, whatever command was killed before it did: some users at each look."""
        try:
            if self._now_us() >= self._sweep_us and not self._unswept:
                self._sweep_us = self._now_us() + _SWEEP_US
                version = self._people.version()
                self._unswept = self._partings.users() if version != self._swept else []
                self._swept = version
            for _ in range(min(len(self._unswept), _SWEPT_AT_ONCE)):
                user = self._unswept.pop()
                if self._people.standing(user) is UserStanding.gone:
                    self._partings.end(user)
        except HealthSyncError as error:
            self._unswept, self._swept = [], -1  # all of them at the next time
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
                    threads=self._threads,
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
            self._ended = True

    # -- what providers say

    async def _deliver(self, delivered: Delivered) -> None:
        """Work one delivery off; what cannot be is tried again, for a week."""
        try:
            old = delivered.received_us < self._now_us() - _INBOX_US
            again_s = 0.0 if old else await self._heard(delivered)
            if again_s:
                self._inbox.again(delivered, self._in(again_s), failed=again_s != _STRANGER_S)
            else:
                self._inbox.done(delivered)
                self._pushes.done(delivered)
        except LOST as error:
            log.error("adapters.notice_not_read", provider=delivered.provider, error=error)  # noqa: TRY400
            self._inbox.done(delivered)
            self._pushes.done(delivered)
        except Exception as error:  # noqa: BLE001  # of one delivery: the others go on
            log.error("adapters.notice_failed", provider=delivered.provider, error=error)  # noqa: TRY400
            self._inbox.again(delivered, self._in(self._wait(delivered.failures)))
        finally:
            self._hearing.discard(delivered.id)
            self._ended = True

    async def _heard(self, delivered: Delivered) -> float:
        """The seconds until it is tried again; 0: there is nothing more to be done about it."""
        ready, later_s = self._ready.get(delivered.provider), self._wait(delivered.failures)
        if ready is None:
            return later_s  # its settings may come back
        if ready.notices is None:
            return 0.0
        read = ready.notices.read
        found = await self._pushes.notices(read, delivered)
        left = pushed_accounts(found)
        behind = await self._pushes.behind(read, delivered, left)
        # Until it is done nothing later is said of these, also when this fails half way.
        self._pushes.failed(delivered, left)
        again_s = _STRANGER_S if behind else 0.0
        for account, notices in groupby(sorted(found, key=_account), key=_account):
            if account in behind:
                continue
            links = self._book.of_account(delivered.provider, account)
            several, heard = list(notices), True
            if not links and self._book.unknown_accounts(delivered.provider):
                # Linked a moment ago: whose account that is will be known.
                again_s, heard = max(again_s, _STRANGER_S), False
            elif not links:
                self.ignored += 1
            for link in links:
                if not await self._hear_one(ready, link, several):
                    again_s, heard = max(again_s, later_s), False
            if heard:
                left.discard(account)
        return again_s

    async def _hear_one(self, ready: ReadyAdapter, link: CloudLink, notices: list[Notice]) -> bool:
        """As ``_hear``; what is wrong here with one link leaves the others of a delivery."""
        try:
            return await self._hear(ready, link, notices)
        except LOST as error:  # the same again comes to the same
            log.error("adapters.notice_not_heard", provider=link.provider, error=error)  # noqa: TRY400  # no traceback
            return True
        except (StoreError, UnavailableError) as error:
            log.warning("adapters.notice_not_heard", provider=link.provider, error=error)
            return False

    async def _hear(self, ready: ReadyAdapter, link: CloudLink, notices: list[Notice]) -> bool:
        """What was said of one link; whether there is nothing more to be done about it."""
        async with self._lanes[link.provider], self._flights.turn(link.id):
            now = self._book.link(link.id)
            if now is None:
                return True
            if now.paused or now.state is CloudLinkState.needs_reauth:
                return False
            try:
                self._may(now)
                fetch = self._fetch_of(ready, now)
                await NoticeFetch(fetch, now, self._book, ready.cloud.endpoints).hear(notices)
            except FetchEndedError:
                return True
            except (FetchHeldError, FetchPausedError):
                return False
            except FetchStoppedError as stopped:
                fault = stopped.failed.fault
                if fault is CloudFault.unauthorised:
                    self._failed(now, stopped.failed, FetchTally())
                    await self._tell(self._book.link(link.id) or now)
                    return all(each.check for each in notices)
                log.warning("adapters.notice_stopped", provider=link.provider, reason=fault.value)
                return fault in {CloudFault.ours, CloudFault.user}  # the same again comes to the same
            return True

    async def _subscribe(self, ready: ReadyAdapter, links: list[CloudLink], *, linked: bool) -> None:
        """Ask a provider to tell us of the whole app or of these links; to send no more where nobody is ``linked``."""
        name = ready.adapter.name
        try:
            if not linked:
                await self._subscriptions.part(ready, self._now_us())
            elif not links:
                await self._subscriptions.look(ready, self._now_us())
            for link in links:
                async with self._lanes[name], self._flights.turn(link.id):
                    now = self._book.link(link.id)
                    if now is None:
                        continue
                    self._book.hooked(now, self._in(_FIRST_WAIT_S))
                    self._may(now)
                    access = await self._fetch_of(ready, now).access()
                    await self._subscriptions.look_user(ready, now, access, self._now_us())
        except (FetchEndedError, FetchHeldError, FetchPausedError, FetchStoppedError):
            return  # the next fetch says what is wrong
        except Exception as error:  # noqa: BLE001  # of one provider: the others go on
            log.error("adapters.subscribe_failed", provider=name, error=error)  # noqa: TRY400  # no traceback
            self._inbox.looked(
                name, hint="see the log of the service", now_us=self._now_us(), due_us=self._in(_BREAK_S)
            )
        finally:
            self._asking.discard(name)
            self._ended = True

    # -- links

    async def _over(self, link: CloudLink) -> None:
        """Take back what is said of a link, and forget it."""
        self._over_us.pop(link.id, None)
        try:
            async with self._flights.turn(link.id):
                if not self._book.is_leaving(link.id):
                    return  # erased, or made again, before our turn
                await self._outlet.retain(link.user, link.provider, {})
                self._partings.forget(link.id)
        except HealthSyncError as error:
            self._over_us[link.id] = self._in(_OVER_AGAIN_S)
            log.warning("adapters.link_not_forgotten", provider=link.provider, error=error)
        finally:
            self._told.pop(link.id, None)
            self._busy.pop(link.id, None)
            self._ended = True

    def _may(self, link: CloudLink, *, asked: bool = False) -> None:
        """FetchEndedError, FetchPausedError, FetchHeldError. ``asked``: a person wants it, paused or not."""
        standing = self._people.standing(link.user)
        if standing is UserStanding.gone:
            self._partings.end(link.user)
        paused = self._book.is_paused(link.id)
        if standing is UserStanding.gone or paused is None:
            raise FetchEndedError
        if not asked and paused:
            raise FetchPausedError
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
                self._may(now_link, asked=asked)
            except FetchEndedError:
                return {"state": "gone"}
            except FetchPausedError:
                return {"state": now_link.state.value}
            except FetchHeldError:
                return await self._held(now_link)
            begun = self._book.happened(now_link, LinkEvent.begun)
            await self._tell(begun)
            fetch = self._fetch_of(ready, begun, asked=asked)
            try:
                tally = await fetch.run()
            except FetchEndedError:
                return {"state": "gone", **fetch.tally.told()}
            except FetchPausedError:
                done = self._book.happened(begun, LinkEvent.halted)
                answer = {"state": done.state.value, **fetch.tally.told()}
            except FetchHeldError:
                return await self._held(begun) | fetch.tally.told()
            except FetchStoppedError as stopped:
                answer = self._failed(begun, stopped.failed, fetch.tally)
            except HealthSyncError as error:
                answer = self._failed(begun, Failed(CloudFault.retry, hint=str(error)), fetch.tally, ours=True)
            else:
                breaker.worked()
                self.fetched += 1
                hint = f"not granted: {', '.join(tally.not_granted)}" if tally.not_granted else ""
                due_us = self._in(ready.poll_s * (0.9 + 0.2 * self._rng.random()))
                done = self._book.happened(
                    begun, LinkEvent.fetched, hint=hint, due_us=due_us, now_us=self._now_us(), cursors=fetch.idle
                )
                answer = {"state": done.state.value, **tally.told()}
            after = self._book.link(link.id)
            if after is not None and self._book.stands(link.id):
                await self._tell(after)
            return answer

    def _fetch_of(self, ready: ReadyAdapter, link: CloudLink, *, asked: bool = False) -> Fetch:
        return Fetch(
            ready.adapter,
            ready.cloud,
            ready.client,
            link,
            book=self._book,
            threads=self._threads,
            outlet=self._outlet,
            budgets=self._budgets,
            may=lambda: self._may(link, asked=asked),
            now_us=self._now_us,
        )

    async def _held(self, link: CloudLink) -> dict[str, Any]:
        """The link waits for a consent; who has to be let in again hears that first."""
        now = self._book.happened(link, LinkEvent.held, hint=_HELD_HINT, due_us=self._in(_HELD_S))
        await self._tell(now)
        return {"state": now.state.value, "hint": now.hint}

    def _failed(self, link: CloudLink, failed: Failed, tally: FetchTally, *, ours: bool = False) -> dict[str, Any]:
        """What follows on a fetch that went no further. ``ours``: the provider had no part in it."""
        event = {CloudFault.unauthorised: LinkEvent.refused, CloudFault.rate_limited: LinkEvent.throttled}.get(
            failed.fault, LinkEvent.failed
        )
        hint = failed.hint or _HINTS[failed.fault]
        breaker = self._breakers.get(link.provider)
        wait = failed.wait_s or self._wait(link.failures)
        if breaker is not None and not ours and failed.fault in {CloudFault.retry, CloudFault.rate_limited}:
            breaker.failed(self._now_us() / 1e6, wait if failed.fault is CloudFault.rate_limited else 0.0)
        self._book.happened(link, LinkEvent.begun)
        now = self._book.happened(link, event, hint=hint, due_us=self._in(wait))
        log.warning("adapters.link_stopped", provider=link.provider, state=now.state.value, reason=failed.fault.value)
        return {"state": now.state.value, "hint": now.hint, **tally.told()}

    async def _tell(self, link: CloudLink) -> None:
        """Retain the state of a link where it is another than before."""
        state: dict[str, object] = {"state": link.state.value}
        if hint := hint_of(link):
            state["hint"] = hint
        if link.synced_us:
            state["synced_us"] = link.synced_us
        text = f"{link.user} {link.linked_us} {link.state} {hint} {link.synced_us}"  # numbers are given again
        if self._told.get(link.id) != text:
            await self._outlet.retain(link.user, link.provider, state)
            self._told[link.id] = text

    def _wait(self, failures: int) -> float:
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures, 12)) * (1 + self._rng.random() / 2)

    def _in(self, seconds: float) -> int:
        return self._now_us() + max(1, int(seconds * 1e6))


def _account(notice: Notice) -> str:
    return notice.account


_HINTS: Final = {
    CloudFault.retry: "the provider does not answer as it should; it is asked again",
    CloudFault.rate_limited: "the provider takes no more questions for now",
    CloudFault.unauthorised: "let us in again: healthsync adapter link USER PROVIDER",
    CloudFault.not_granted: "this was not agreed to",
    CloudFault.gone: "it is not there",
    CloudFault.ours: "the provider refuses the question",
    CloudFault.user: "something has to be done at the provider",
}
