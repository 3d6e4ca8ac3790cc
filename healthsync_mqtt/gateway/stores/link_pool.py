"""adapters.db for requests: one thread that has it open, from the first request that needs it on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, TypeVar

from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import LiveReady
from healthsync_mqtt.cloud_links.inbox import NoticeInbox

R = TypeVar("R")


class LinkFiles(NamedTuple):
    """What work in the thread uses."""

    inbox: NoticeInbox
    book: LinkBook
    ready: LiveReady


class LinkPool:
    """One thing after the other: what providers send is a few bytes and one fsync each."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="adapters")
        self._opened = ExitStack()
        self._files: LinkFiles | None = None

    async def call(self, work: Callable[[LinkFiles], R]) -> R:
        """What ``work`` returns or raises. StoreError, ConfigError where the files cannot be opened."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._called, work)

    def _called(self, work: Callable[[LinkFiles], R]) -> R:
        if self._files is None:
            inbox = self._opened.enter_context(NoticeInbox.open(self.data))
            book = self._opened.enter_context(LinkBook.open(self.data))
            self._files = LinkFiles(inbox, book, LiveReady(self.data))
        return work(self._files)

    def close(self) -> None:
        """Let go of the files, when what is under way has ended."""
        self._thread.submit(self._opened.close)
        self._thread.shutdown()
