"""What a provider says of one link is heard: asked for as it is said, mapped, committed. No cursor moves.

Said twice, in another order, or when there is nothing any more, it comes to the same: what holds is asked of the
provider each time, and what is there already is a duplicate.
"""

from collections.abc import Iterable
from typing import Final

from healthsync_mqtt.adapters.cloud import Asked, CloudEndpoint, CloudFault
from healthsync_mqtt.adapters.fetching import Fetch, FetchStoppedError, FetchTally
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.notices import Notice, RecordQuestion, WindowQuestion
from healthsync_mqtt.formats.port import Gone

_NO_WINDOW: Final = Asked(0, 0)


class Hearing:
    """The notices of one link. The caller has its turn, as of the fetch with which questions are asked."""

    def __init__(self, fetch: Fetch, link: CloudLink, book: LinkBook, endpoints: tuple[CloudEndpoint, ...]) -> None:
        self._fetch = fetch
        self._link = link
        self._book = book
        self._endpoints = {each.kind: each for each in endpoints}

    async def hear(self, notices: Iterable[Notice]) -> FetchTally:
        """All of them, in their order. Raises as ``Fetch.run``."""
        await self._fetch.begin()
        for notice in notices:
            if notice.check:
                await self._fetch.prove_access()
            if notice.pushed:
                endpoint = CloudEndpoint(kind=notice.pushed, question=lambda _: ("", {}, None))
                await self._take(endpoint, notice.body)
            for question in notice.ask:
                if isinstance(question, WindowQuestion):
                    await self._window(question)
                else:
                    await self._record(question)
            await self._fetch.take_back([Gone(name) for name in notice.gone])
        return self._fetch.tally

    async def _window(self, question: WindowQuestion) -> None:
        endpoint = self._endpoints.get(question.kind)
        if endpoint is None:
            return
        self._fetch.seen = seen = set[str]()
        start = question.start
        try:
            while start < question.end:
                end = question.end if endpoint.by_change else min(start + endpoint.slice_s, question.end)
                self._book.remember(self._link.id, await self._fetch.window(endpoint, start, end))
                start = end
        except FetchStoppedError as stopped:
            self._fetch.pass_over(stopped, endpoint.kind)
            return
        if question.gone:
            start_us, end_us = (each * 1_000_000 for each in question.gone_in)
            found = self._book.named_between(self._link.id, question.gone, start_us, end_us)
            await self._fetch.lost_events({event: (type_, at) for event, type_, at in found if event not in seen})

    async def _record(self, question: RecordQuestion) -> None:
        endpoint = CloudEndpoint(kind=question.kind, question=lambda _: (question.path, question.query, None))
        try:
            document, body = await self._fetch.page(endpoint, _NO_WINDOW)
        except FetchStoppedError as stopped:
            self._fetch.pass_over(stopped, question.kind)
            if stopped.failed.fault is CloudFault.gone:
                await self._fetch.take_back([Gone(name) for name in question.names])
            return
        if body:
            await self._take(endpoint, body)
        for each in question.then(document) if question.then is not None else ():
            await self._record(each)

    async def _take(self, endpoint: CloudEndpoint, body: bytes) -> None:
        memory = await self._fetch.take(endpoint, _NO_WINDOW, body, self._book.memory(self._link.id))
        self._book.remember(self._link.id, memory)
