"""How much is asked: never more in any stretch of time than a provider lets an app or a user ask, and not much less."""

import asyncio
from collections.abc import Iterator
from itertools import accumulate

import pytest

from healthsync_mqtt.adapters.budgets import AskingBucket, ProviderBudgets
from healthsync_mqtt.adapters.capability import AskingBudget
from healthsync_mqtt.adapters.catalogue import SHIPPED, shipped

BUDGETS = sorted(
    {each for name in SHIPPED for each in shipped(name).capability.budgets} | {AskingBudget(1, 60), AskingBudget(3, 1)},
    key=lambda each: (each.requests, each.seconds),
)


def asked_at(budget: AskingBudget, gaps: Iterator[float], number: int) -> list[float]:
    """When requests are made of which each is wanted some seconds after the one before was made."""
    bucket, now, made = AskingBucket(budget, 0.0), 0.0, []
    for _ in range(number):
        now += next(gaps)
        now += bucket.take(now)
        made.append(now)
    return made


def most_in(made: list[float], seconds: float) -> int:
    """The most of any stretch of so many seconds, its end not in it."""
    begin = most = 0
    for place, at in enumerate(made):
        while made[begin] <= at - seconds + 1e-6:
            begin += 1
        most = max(most, place - begin + 1)
    return most


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda each: f"{each.requests} in {each.seconds} s")
def test_in_no_stretch_of_time_is_more_asked_than_may_be(budget: AskingBudget) -> None:
    number = min(3 * budget.requests, 6_000)
    eager = asked_at(budget, iter([0.0] * number), number)
    rested = asked_at(budget, iter([0.0] * (number // 2) + [1e9] + [0.0] * number), number)
    for made in (eager, rested):
        assert most_in(made, budget.seconds) <= budget.requests
    assert eager[-1] <= 1.2 * budget.seconds * number / budget.requests, "and not much less"


class Clock:
    """Time that goes by when somebody waits."""

    def __init__(self) -> None:
        self.at = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def spent(budgets: ProviderBudgets, provider: str, user: str) -> bool:
    return asyncio.run(budgets.spend(provider, user))


def test_a_user_waits_for_that_users_requests_and_an_app_for_all_of_them() -> None:
    clock = Clock()
    budgets = ProviderBudgets(
        {"a": (AskingBudget(10, 10, per_user=True), AskingBudget(30, 10)), "b": (AskingBudget(10, 10),)},
        now=clock.now,
        sleep=clock.sleep,
    )
    assert [spent(budgets, "a", "ann") for _ in range(2)] == [False, True]
    assert not spent(budgets, "a", "bob"), "who has not asked waits for nobody else"
    assert spent(budgets, "a", "carol"), "but for the whole app"
    assert not spent(budgets, "b", "ann"), "another provider is another matter"
    assert not spent(budgets, "unknown", "ann")
    assert clock.waits == [pytest.approx(1.0), pytest.approx(10 / 28)]


def test_who_comes_together_is_let_through_one_after_the_other() -> None:
    clock = Clock()
    budgets = ProviderBudgets({"a": (AskingBudget(10, 10),)}, now=clock.now, sleep=clock.sleep)

    async def all_at_once() -> None:
        await asyncio.gather(*(budgets.spend("a", f"u{number}") for number in range(5)))

    asyncio.run(all_at_once())
    assert clock.waits == [pytest.approx(each) for each in accumulate([1.0] * 4)]


def test_what_has_been_spent_stays_spent_when_the_settings_are_read_anew() -> None:
    clock = Clock()
    budgets = ProviderBudgets({"a": (AskingBudget(10, 10),)}, now=clock.now, sleep=clock.sleep)
    assert not spent(budgets, "a", "ann")
    budgets.use({"a": (AskingBudget(10, 10),)})
    assert spent(budgets, "a", "ann")
