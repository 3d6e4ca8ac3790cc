"""Asking providers to tell us of news: when somebody is linked, then daily, for what they forget without a word."""

from functools import partial
from typing import Final

from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.notices import CloudSubscribed, Telling
from healthsync_mqtt.adapters.provider_threads import ProviderThreads
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.web import Web, asked
from healthsync_mqtt.cloud_links.inbox import HookSecrets, NoticeInbox
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_MOST_REQUESTS: Final = 200
_MOST_TELLINGS: Final = 3
BY_HAND: Final = "say this address at the provider's pages for developers"


class CloudSubscriptions:
    """What providers are asked to tell us. A provider that refuses is polled, as before."""

    def __init__(self, inbox: NoticeInbox, book: LinkBook, threads: ProviderThreads) -> None:
        self._inbox = inbox
        self._book = book
        self._threads = threads

    def due(self, ready: ReadyAdapter, now_us: int, *, linked: bool) -> bool:
        """Whether a provider is to be looked at now: its last look is a day old.

        Once it has been asked and nobody is ``linked`` to it any more it is asked to send no more.
        """
        notices = ready.notices
        if notices is None or not ready.hooks.public_url:
            return False
        if (notices.subscribe if linked else notices.unsubscribe) is None:
            return False
        standing = next((each for each in self._inbox.standings() if each.provider == ready.adapter.name), None)
        if standing is None or not standing.checked_us:
            return linked
        return standing.due_us <= now_us

    async def look(self, ready: ReadyAdapter, now_us: int) -> None:
        """Ask for the whole app, and keep what the provider says of it."""
        name = ready.adapter.name
        assert ready.notices is not None
        assert ready.notices.subscribe is not None
        self._inbox.looked(name, hint="", now_us=now_us, due_us=now_us + _HOUR_US)
        for _ in range(_MOST_TELLINGS):
            known = self._inbox.secrets(name)
            told = await self._told(name, known, ready.notices.subscribe(ready.hook_place(known, now_us)))
            if not told.more:
                break
        again_us = _HOUR_US if told.hint else _DAY_US
        self._inbox.looked(name, hint=told.hint, now_us=now_us, due_us=now_us + again_us)

    async def part(self, ready: ReadyAdapter, now_us: int) -> None:
        """Ask to send no more, for the whole app."""
        name = ready.adapter.name
        assert ready.notices is not None
        assert ready.notices.unsubscribe is not None
        known = self._inbox.secrets(name)
        self._inbox.looked(name, hint="", now_us=now_us, due_us=now_us + _HOUR_US)
        told = await self._told(name, known, ready.notices.unsubscribe(ready.hook_place(known, now_us)))
        if told.hint:
            self._inbox.looked(name, hint=told.hint, now_us=now_us, due_us=now_us + _HOUR_US)
        else:
            self._inbox.looked(name, hint="", now_us=0, due_us=0)  # as if it had never been asked

    async def look_user(self, ready: ReadyAdapter, link: CloudLink, access: str, now_us: int) -> None:
        """Ask for one user, whose turn the caller has."""
        name = ready.adapter.name
        assert ready.notices is not None
        assert ready.notices.subscribe_user is not None
        known = self._inbox.secrets(name)
        self._book.hooked(link, now_us + _HOUR_US)
        told = await self._told(name, known, ready.notices.subscribe_user(ready.hook_place(known, now_us, access)))
        again_us = _HOUR_US if told.hint else _DAY_US
        self._inbox.looked(name, hint=told.hint, now_us=now_us, due_us=now_us + again_us)
        self._book.hooked(link, now_us + again_us)

    async def _told(self, name: str, known: HookSecrets, telling: Telling) -> CloudSubscribed:
        """Each request gets its answer; what the provider said is kept before anything else."""
        told = await self._threads.call(name, partial(_asked, telling))
        if told.known is not None and told.known != known:
            self._inbox.keep(name, told.known._replace(word=known.word))
        if told.hint:
            log.warning("adapters.not_subscribed", provider=name, hint=told.hint)
        return told


def _asked(telling: Telling, web: Web) -> CloudSubscribed:
    found = asked(telling, web, _MOST_REQUESTS)
    return CloudSubscribed("the provider asks for no end of requests") if found is None else found
