"""Threads that ask providers: each provider has its own, so that one that is slow keeps no other waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest, Web

R = TypeVar("R")


class ProviderThreads:
    """``width`` requests of a provider at once; more wait for each other, and for nobody else."""

    def __init__(self, web: Web, width: int) -> None:
        self._web = web
        self._width = width
        self._of: dict[str, ThreadPoolExecutor] = {}

    async def ask(self, provider: str, request: CloudRequest) -> CloudAnswer:
        """The answer (``web.Web``)."""
        return await self.call(provider, lambda web: web.ask(request))

    async def call(self, provider: str, work: Callable[[Web], R]) -> R:
        """What comes of several requests, one after the other."""
        threads = self._of.get(provider)
        if threads is None:
            threads = self._of[provider] = ThreadPoolExecutor(self._width, thread_name_prefix=f"ask-{provider}")
        return await asyncio.get_running_loop().run_in_executor(threads, work, self._web)

    def close(self) -> None:
        """Ask nothing more; what is under way ends by itself."""
        for threads in self._of.values():
            threads.shutdown(wait=False, cancel_futures=True)
