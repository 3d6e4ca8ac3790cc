"""How much is asked of a provider: buckets of the app, and of each user, that fill as time goes by."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from healthsync_mqtt.adapters.capability import AskingBudget


class AskingBucket:
    """So many requests in so many seconds, also of those of which a share was made at once."""

    def __init__(self, budget: AskingBudget, now: float) -> None:
        self._most = max(1.0, budget.requests / 10)
        self._a_second = (budget.requests + 1 - self._most) / budget.seconds
        self._level = self._most
        self._at = now

    def take(self, now: float) -> float:
        """Take one; the seconds to wait before it may be made."""
        self._level = min(self._most, self._level + (now - self._at) * self._a_second)
        self._at = now
        self._level -= 1
        return max(0.0, -self._level / self._a_second)


class ProviderBudgets:
    """The buckets of all providers, and who has to wait because a provider said so (``Fetch``)."""

    def __init__(
        self,
        budgets: Mapping[str, tuple[AskingBudget, ...]] | None = None,
        *,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._budgets = dict(budgets or {})
        self._now = now
        self._sleep = sleep
        self._buckets: dict[tuple[str, str, int], AskingBucket] = {}

    def use(self, budgets: Mapping[str, tuple[AskingBudget, ...]]) -> None:
        """These from now on; what has been spent stays spent."""
        self._budgets = dict(budgets)

    async def spend(self, provider: str, user: str) -> bool:
        """Wait until one more request may be made; whether it had to be waited for."""
        now = self._now()
        wait = 0.0
        for number, budget in enumerate(self._budgets.get(provider, ())):
            key = (provider, user if budget.per_user else "", number)
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = AskingBucket(budget, now)
            wait = max(wait, bucket.take(now))
        if wait > 0:
            await self._sleep(wait)
        return wait > 0
