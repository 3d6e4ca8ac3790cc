# long: one noun: what is asked of one link, how, and what becomes of the answers
"""One link fetched once: windows and pages asked for, mapped, published, and only then is the cursor moved.

Killed anywhere nothing is lost, for what was not committed is asked for again, and nothing is doubled, for the same
answer is the same events. Live data goes first, then a slice of history.
"""

import asyncio
import time
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import msgspec

from healthsync_mqtt.adapters.cloud import (
    Asked,
    Cloud,
    CloudClient,
    CloudEndpoint,
    CloudFault,
    Failed,
    TokenRefused,
    Tokens,
    clock_of,
    dated,
    document_of,
    token_request,
    tokens_of,
)
from healthsync_mqtt.adapters.links import CloudLink, FetchCursor, LinkBook
from healthsync_mqtt.adapters.notices import RecordQuestion, account_in, word_in
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.provider_threads import ProviderThreads
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.formats.port import AppMessage, Gone, Made, folded
from healthsync_mqtt.formats.reading.moment import zone_of
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")

_BATCH: Final = 200
_BATCH_BYTES: Final = 512 * 1024
_MOST_PAGES: Final = 10_000
_EARLY_US: Final = 60_000_000
_DAY_S: Final = 86_400
_OVERLAP_S: Final = 3_600
_ACCOUNT: Final = "account"


@dataclass(slots=True)
class FetchTally:
    """What came of one fetch."""

    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    deleted: int = 0
    requests: int = 0
    messages: int = 0
    #: what became no event: by place without its numbers, and reason
    left_out: dict[str, int] = field(default_factory=dict)
    not_granted: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """For people and programs."""
        found: dict[str, Any] = {
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "deleted": self.deleted,
        }
        if self.left_out:
            found["left_out"] = self.left_out
        if self.not_granted:
            found["not_granted"] = self.not_granted
        return found


class EventOutlet(Protocol):
    """Where events go."""

    async def publish(self, user: str, provider: str, payload: bytes) -> "CommittedEvents":
        """What became of the events, once that is durable. UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class CommittedEvents:
    """The receipt of one message."""

    stored: int
    duplicate: int
    rejected: int


class FetchStoppedError(Exception):
    """A fetch that goes no further, and why."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.hint or failed.fault.value)
        self.failed = failed


class FetchEndedError(Exception):
    """The link is over, or its user is gone: nothing more is asked, said or stored."""


class FetchPausedError(Exception):
    """A command has paused the link: it goes on where it was when it is resumed."""


class FetchHeldError(Exception):
    """The user consents to nothing: what would be fetched would be refused."""


class Budgets(Protocol):
    """How much may be asked of a provider."""

    async def spend(self, provider: str, user: str) -> bool:
        """Wait until one more request may be made; whether it had to be waited for."""
        ...


class Fetch:
    """One link while it is fetched. The caller has its turn (``Flights``)."""

    def __init__(
        self,
        adapter: Adapter,
        cloud: Cloud,
        client: CloudClient,
        link: CloudLink,
        *,
        book: LinkBook,
        threads: ProviderThreads,
        outlet: EventOutlet,
        budgets: Budgets,
        may: Callable[[], None],
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``may`` is asked before each question and each message; FetchEndedError, FetchHeldError."""
        self._adapter = adapter
        self._cloud = cloud
        self._client = client
        self._link = link
        self._book = book
        self._threads = threads
        self._outlet = outlet
        self._budgets = budgets
        self._may = may
        self._now_us = now_us
        self._tokens: Tokens | None = None
        self._account = self._zone = ""
        self._fresh = False
        self._waited = False
        #: the token with which something was answered
        self._proved = ""
        #: seconds that the provider's clock is behind ours, as far as its answers say
        self._behind_s = 0
        #: how far kinds were fetched of which nothing was new
        self.idle: dict[str, FetchCursor] = {}
        #: the events that came, for who wants to know which did not
        self.seen: set[str] | None = None
        self.tally = FetchTally()

    async def run(self) -> FetchTally:
        """Fetch what is new; then history, while nobody has to wait for it. FetchStoppedError, UnavailableError.

        What ``may`` raises goes through. The cursors in ``idle`` are then the caller's to keep.
        """
        await self.begin()
        if self._cloud.enrol is not None and not self._link.synced_us:
            await self._enrol(self._cloud.enrol)
        if self._cloud.zone is not None:
            await self._know_zone(*self._cloud.zone)
        refused: FetchStoppedError | None = None
        try:
            for endpoint in self._cloud.endpoints:
                try:
                    await self._live(endpoint)
                    while not self._waited and await self._history(endpoint):
                        pass
                except FetchStoppedError as stopped:
                    if stopped.failed.fault is CloudFault.ours and refused is None:
                        refused = stopped  # one kind may be asked for wrongly; where a second one is, it is the app
                    else:
                        self.pass_over(stopped, endpoint.kind)
            if self._cloud.account is not None and not self._account:
                await self._know_account(*self._cloud.account)
        except BaseException:
            self._keep_idle()
            raise
        if refused is not None:
            self._keep_idle()
            raise refused
        return self.tally

    def _keep_idle(self) -> None:
        if self.idle:
            self._book.caught_up(self._link, self.idle)

    async def access(self) -> str:
        """A token that lets us in now. Raises as ``run``."""
        await self.begin()
        assert self._tokens is not None
        return self._tokens.access

    async def begin(self) -> None:
        """Tokens that are good, and whose account this is."""
        self._tokens = self._book.tokens(self._link)
        if self._tokens is None:
            raise FetchStoppedError(Failed(CloudFault.unauthorised, hint="there are no tokens"))
        self._account, self._zone = self._book.account(self._link.id), self._book.zone(self._link.id)
        # One that cannot be renewed is good until the provider says that it is not, whatever our clock says.
        if self._tokens.refresh and self._tokens.expires_us - _EARLY_US < self._now_us():
            await self._refresh()

    async def _enrol(self, enrol: Callable[[str, str, str], CloudRequest]) -> None:
        """Once is enough: a provider that says that it has the user already is right."""
        assert self._tokens is not None
        request = enrol(self._cloud.base_url.rstrip("/"), self._tokens.access, self._account)
        answer = await self._asked(request)
        failed = self._cloud.judge(answer, document_of(answer) if answer.body else None)
        if failed is not None and answer.status not in {201, 409}:
            raise FetchStoppedError(failed)

    async def _know_account(self, path: str, key: str) -> None:
        """Whose notices are this link's. A provider that does not tell is asked again with the next fetch."""
        try:
            document, _ = await self.page(_about_whom(path), Asked(0, 0))
        except FetchStoppedError:
            return
        if account := account_in(document, key):
            self._book.is_account(self._link, account)
            self._account = account

    async def _know_zone(self, path: str, key: str) -> None:
        """Before anything else is asked, and once a day: people travel. What is no zone here is none."""
        day_us = _DAY_S * 1_000_000
        if self._link.synced_us // day_us == self._now_us() // day_us and self._zone:
            return
        try:
            document, _ = await self.page(_about_whom(path), Asked(0, 0))
        except FetchStoppedError as stopped:
            self.pass_over(stopped, "time zone")
            return
        zone = word_in(document, key)
        try:
            zone_of(zone)
        except RefusedError:
            return
        if zone != self._zone:
            self._book.is_in_zone(self._link, zone)
            self._zone = zone

    async def prove_access(self) -> None:
        """Whether the user lets us in still: a new token says it. FetchStoppedError."""
        assert self._tokens is not None
        if self._tokens.refresh:
            await self._refresh()
        else:
            now = self._now_us() // 1_000_000
            await self.page(self._cloud.endpoints[0], Asked(now, now))

    def pass_over(self, stopped: FetchStoppedError, kind: str) -> None:
        """What was not agreed to or is not there leaves the others alone; anything else stops the fetch."""
        if stopped.failed.fault not in {CloudFault.not_granted, CloudFault.gone}:
            raise stopped
        if stopped.failed.fault is CloudFault.not_granted:
            self.tally.not_granted.append(kind)

    # -- windows

    async def _live(self, endpoint: CloudEndpoint) -> None:
        capability = self._adapter.capability
        now = self._now_us() // 1_000_000
        linked = self._linked(now)
        if endpoint.requested:
            if self._book.cursor(self._link.id, endpoint.kind) is None:
                begun = FetchCursor(linked, linked)
                self._book.advance(self._link, endpoint.kind, begun, self._book.memory(self._link.id))
            return
        again_s = _OVERLAP_S if endpoint.by_change else int(capability.again_days * _DAY_S)
        cursor = self._cursor(endpoint)
        if cursor is not None and cursor.back > now:
            cursor = None  # of a clock that was ahead, and was set back
        first = self._link.linked_us // 1_000_000 - (capability.history_days or 0) * _DAY_S
        if endpoint.by_change and cursor is not None and cursor.back > first:
            cursor = None  # a command wants the history again
        if cursor is None:
            start = linked - (capability.history_days or 0) * _DAY_S if endpoint.by_change else linked - again_s
            cursor = FetchCursor(start, start)
        # Late and revised: what was fetched lately is fetched again.
        start = max(min(cursor.since, now) - again_s, cursor.back)
        slice_s = now - start if endpoint.by_change else endpoint.slice_s
        while start < now:
            end = min(start + slice_s, now)
            cursor = FetchCursor(max(end, cursor.since), cursor.back)
            await self._advance(endpoint, start, end, cursor)
            start = end

    async def _history(self, endpoint: CloudEndpoint) -> bool:
        """One slice further back; whether there is more."""
        days = self._adapter.capability.history_days
        cursor = self._cursor(endpoint)
        if days is None or cursor is None or endpoint.by_change:
            return False
        first = self._linked(self._now_us() // 1_000_000) - days * _DAY_S
        if cursor.back <= first:
            return False
        start = max(first, cursor.back - endpoint.slice_s)
        await self._advance(endpoint, start, cursor.back, FetchCursor(cursor.since, start))
        return start > first

    def _linked(self, now: int) -> int:
        """When the user let us in; not later than now, whatever a clock that was ahead showed then."""
        return min(self._link.linked_us // 1_000_000, now)

    def _cursor(self, endpoint: CloudEndpoint) -> FetchCursor | None:
        return self.idle.get(endpoint.kind) or self._book.cursor(self._link.id, endpoint.kind)

    async def _advance(self, endpoint: CloudEndpoint, start: int, end: int, cursor: FetchCursor) -> None:
        """A window, and how far its kind is then: durable at once where anything was new, else with the others."""
        before = self.tally.messages
        memory = await self.window(endpoint, start, end)
        # What comes next will be of the provider's time, and of what was ahead of it nothing has been seen.
        cursor = replace(cursor, since=min(cursor.since, self._now_us() // 1_000_000 - self._behind_s))
        new = self.tally.messages != before or memory != self._book.memory(self._link.id)
        if new or endpoint.requested:
            self.idle.pop(endpoint.kind, None)
            self._book.advance(self._link, endpoint.kind, cursor, memory)
        else:
            self.idle[endpoint.kind] = cursor

    async def window(self, endpoint: CloudEndpoint, start: int, end: int) -> bytes:
        """All pages of a window, committed; what the mapping remembers then."""
        asked, memory = Asked(start, end), self._book.memory(self._link.id)
        for number in range(_MOST_PAGES):
            document, body = await self.page(endpoint, asked)
            if endpoint.each is not None:
                await self._each(endpoint.each(document))
                memory = self._book.memory(self._link.id)
            elif body:
                memory = await self.take(endpoint, asked, body, memory)
            following = endpoint.following(document, asked) if document is not None else ""
            if not following or following == asked.page:
                break
            asked = Asked(start, end, following, number + 1)
        return memory

    async def _each(self, questions: Iterable[RecordQuestion]) -> None:
        """Records that a list named: those that are new, or of which it says something else than before."""
        for question in questions:
            if self._book.discovered(self._link.id, question.path) != question.mark:
                await self.record(question)
                self._book.discover(self._link.id, question.path, question.mark)

    async def record(self, question: RecordQuestion) -> None:
        """One record, committed; what is not there is taken back. FetchStoppedError."""
        if question.once:
            await self._file(question)
            return
        endpoint = CloudEndpoint(kind=question.kind, question=lambda _: (question.path, question.query, None))
        try:
            document, body = await self.page(endpoint, Asked(0, 0))
        except FetchStoppedError as stopped:
            self.pass_over(stopped, question.kind)
            if stopped.failed.fault is CloudFault.gone:
                await self.take_back([Gone(name) for name in question.names])
            return
        if body:
            await self.remember(endpoint, body)
        for each in question.then(document) if question.then is not None else ():
            await self.record(each)

    async def _file(self, question: RecordQuestion) -> None:
        """A file that is given once: on disk before anything is made of it, and until all of it is committed."""
        name = f"{question.kind}/{question.once}"
        body = self._book.shelved(self._link, name)
        if body is None:
            try:
                body = await self._downloaded(question)
            except FetchStoppedError as stopped:
                self.pass_over(stopped, question.kind)
                return
            self._book.shelve(self._link, name, body)
        # What it is about is not said in it.
        await self.remember(CloudEndpoint(kind=question.kind, question=lambda _: (f"/{question.once}", {}, None)), body)
        self._book.unshelve(self._link, name)

    async def _downloaded(self, question: RecordQuestion) -> bytes:
        assert self._tokens is not None
        endpoint = CloudEndpoint(kind=question.kind, question=lambda _: (question.path, question.query, None))
        for again in (True, False):
            request = replace(self._cloud.request(endpoint, Asked(0, 0), self._tokens.access), most=question.most)
            answer = await self._asked(request)
            if answer.status == 200 and question.is_file(answer.body):
                return answer.body
            failed = self._cloud.judge(answer, None)
            if failed is None or answer.fault == "too_large":
                raise FetchStoppedError(Failed(CloudFault.ours, hint=f"no file (HTTP {answer.status} {answer.fault})"))
            if failed.fault is not CloudFault.unauthorised or not again:
                raise FetchStoppedError(failed)
            await self._refresh()
        raise AssertionError  # the loop returns or raises

    async def remember(self, endpoint: CloudEndpoint, body: bytes) -> None:
        """An answer by itself, committed."""
        memory = await self.take(endpoint, Asked(0, 0), body, self._book.memory(self._link.id))
        self._book.remember(self._link.id, memory)

    # -- asking

    async def page(self, endpoint: CloudEndpoint, asked: Asked) -> tuple[Any, bytes]:
        assert self._tokens is not None
        for again in (True, False):
            answer = await self._asked(self._cloud.request(endpoint, asked, self._tokens.access))
            document = document_of(answer) if answer.body else None
            failed = self._cloud.judge(answer, document)
            if failed is None:
                if self._fresh:
                    self._book.worked(self._link)
                    self._fresh = False
                self._proved = self._tokens.access
                return document, answer.body
            if failed.fault is not CloudFault.unauthorised:
                raise FetchStoppedError(failed)
            lets_us_in = endpoint.kind != _ACCOUNT and await self._lets_us_in()
            if not again and endpoint.requested:
                return None, b""  # it is the window that is not allowed
            if not again:
                raise FetchStoppedError(Failed(CloudFault.not_granted) if lets_us_in else failed)
            if not lets_us_in:
                await self._refresh()
        raise AssertionError  # the loop returns or raises

    async def _lets_us_in(self) -> bool:
        """Whether the provider takes the token for something else: some say 401 of what was not agreed to."""
        assert self._tokens is not None
        account, access = self._cloud.account, self._tokens.access
        if account is None or self._tokens.expires_us <= self._now_us():
            return False
        if self._proved != access:
            answer = await self._asked(self._cloud.request(_about_whom(account[0]), Asked(0, 0), access))
            if self._cloud.judge(answer, document_of(answer)) is None:
                self._proved = access
        return self._proved == access

    async def _asked(self, request: CloudRequest) -> CloudAnswer:
        self._waited = await self._budgets.spend(self._link.provider, self._link.user) or self._waited
        self._may()
        self.tally.requests += 1
        answer = await self._threads.ask(self._link.provider, request)
        if (clock := clock_of(answer)) is not None:
            self._behind_s = max(self._behind_s, self._now_us() // 1_000_000 - clock)
        return dated(answer, self._now_us())

    async def _refresh(self) -> None:
        """New tokens, durable before they are used. The turn of the link is ours: nobody else refreshes meanwhile."""
        old = self._tokens
        stored = self._book.tokens(self._link)
        if stored is not None and old is not None and stored.access != old.access:
            self._tokens = stored  # somebody has, before our turn
            return
        if old is None or not old.refresh:
            raise FetchStoppedError(Failed(CloudFault.unauthorised, hint="the provider gave no refresh token"))
        request = token_request(self._cloud, self._client, {"refresh_token": old.refresh})
        answer = await self._asked(request)
        found = tokens_of(self._cloud, answer, self._now_us(), old)
        if isinstance(found, TokenRefused):
            again = self._book.tokens(self._link)
            if again is not None and again.refresh != old.refresh:
                self._tokens = again
                return
            if found.dead:
                raise FetchStoppedError(Failed(CloudFault.unauthorised, hint=f"the provider says {found.why}"))
            raise FetchStoppedError(Failed(CloudFault.retry, hint=f"no new token: {found.why}"))
        if not self._book.keep(self._link, found, old):
            self._tokens = self._book.tokens(self._link)  # the user has agreed again meanwhile
            return
        self._tokens, self._fresh = found, True

    # -- what was answered

    async def take(self, endpoint: CloudEndpoint, asked: Asked, body: bytes, memory: bytes) -> bytes:
        """An answer as events that are committed; what the mapping remembers after it."""
        link, mapping = self._link, self._adapter.mapping
        assert mapping is not None
        path = endpoint.question(asked)[0]
        declared = Declared(zone=self._zone or None, slot=self._account or None)
        message = AppMessage(body, link.user, topic=f"{endpoint.kind}{path}", at_us=self._now_us(), declared=declared)
        try:
            done = await asyncio.to_thread(folded, mapping, message, memory)
        except RefusedError as refusal:
            # Nothing can be told of it: a failed request, and no empty answer.
            raise FetchStoppedError(
                Failed(CloudFault.retry, hint=f"an answer that cannot be read: {refusal}")
            ) from None
        for refused in done.refused:
            key = f"{endpoint.kind}: {''.join(each for each in refused.place if not each.isdigit())}: {refused.reason}"
            if len(self.tally.left_out) < 100 or key in self.tally.left_out:  # kinds of things
                self.tally.left_out[key] = self.tally.left_out.get(key, 0) + 1
        made = [each for each in done.outcomes if isinstance(each, Made)]
        kept = {each.event["id"] for each in made}
        if self.seen is not None:
            self.seen |= kept
        self._book.note(link.id, made)
        await self._published([each.event for each in made])
        await self.take_back([each for each in done.outcomes if isinstance(each, Gone)], kept)
        return done.state

    async def take_back(self, gone: Iterable[Gone], kept: Container[str] = ()) -> None:
        """What the provider took back, and did not say again in the same breath."""
        found = {
            event: (type_, start) for each in gone for event, type_, start in self._book.found(self._link.id, each)
        }
        await self.lost_events({event: about for event, about in found.items() if event not in kept})

    async def lost_events(self, lost: dict[str, tuple[str, str]]) -> None:
        if lost:
            await self._published([_tombstone(event, *about) for event, about in lost.items()])
            self._book.forget(self._link.id, lost)

    async def _published(self, events: list[dict[str, Any]]) -> None:
        for batch in _batches(events):
            deletes = sum(1 for each in batch if each.get("op") == "delete")
            self._may()
            self.tally.messages += 1
            counted = await self._outlet.publish(self._link.user, self._link.provider, msgspec.json.encode(batch))
            self.tally.stored += max(0, counted.stored - deletes)
            self.tally.deleted += min(deletes, counted.stored)
            self.tally.duplicate += counted.duplicate
            self.tally.rejected += counted.rejected


def _about_whom(path: str) -> CloudEndpoint:
    """Whose token it is, which every scope lets us ask."""
    return CloudEndpoint(kind=_ACCOUNT, question=lambda _: (path, {}, None))


def _tombstone(event: str, type_: str, start: str) -> dict[str, Any]:
    found = {"id": event, "type": type_, "op": "delete", "version": "latest"}
    return found | ({"start_time": start} if start else {})


def _batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Events in messages that the service takes; tombstones by themselves, so that they can be counted."""
    batch: list[dict[str, Any]] = []
    size, deletes = 0, False
    for event in events:
        bytes_ = len(msgspec.json.encode(event))
        is_delete = event.get("op") == "delete"
        if batch and (len(batch) >= _BATCH or size + bytes_ > _BATCH_BYTES or is_delete != deletes):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size, deletes = size + bytes_, is_delete
    if batch:
        yield batch
