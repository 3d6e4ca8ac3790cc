"""What a provider says of one link is heard: asked for as it is said, mapped, committed. No cursor moves.

Said twice, in another order, or when there is nothing any more, it comes to the same: what holds is asked of the
provider each time, and what is there already is a duplicate.
"""

from collections.abc import Iterable

from healthsync_mqtt.adapters.cloud import Asked, CloudEndpoint, CloudFault, Question
from healthsync_mqtt.adapters.fetch import Fetch, FetchStoppedError, FetchTally
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.notices import Notice, WindowQuestion
from healthsync_mqtt.formats.port import Gone
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")


def _nothing(_asked: Asked) -> Question:
    return "", {}, None


class NoticeFetch:
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
                await self._fetch.remember(CloudEndpoint(kind=notice.pushed, question=_nothing), notice.body)
            for question in notice.ask:
                try:
                    if isinstance(question, WindowQuestion):
                        await self._window(question)
                    else:
                        await self._fetch.record(question)
                except FetchStoppedError as stopped:
                    if stopped.failed.fault is not CloudFault.ours:
                        raise
                    # The same again comes to the same: what else was said is heard.
                    log.warning("adapters.question_refused", provider=self._link.provider, hint=stopped.failed.hint)
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
