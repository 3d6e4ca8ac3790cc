"""Clocks that are off, ours and every provider's, and are put right: nothing is lost, double, or kept waiting."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest

from healthsync_mqtt.adapters.cloud import CloudFault, clock_of, judged
from healthsync_mqtt.adapters.worker import Breaker
from healthsync_mqtt.cloud_links.inbox import Delivered
from tests.support.clouds import answer
from tests.unit.adapters.test_clock_changes import SAID
from tests.unit.adapters.test_fetch import NOW_US, Rig, weighing

HOUR_S, DAY_S = 3_600, 86_400
ASKED = sorted(set(SAID) - {"garmin"})
RENEWED = [name for name in ASKED if name != "polar"]


class Clocks:
    """A provider that keeps to the windows that it is asked for, and a machine whose clock is off by some seconds."""

    def __init__(self, here: Rig, off_s: int, cloud_off_s: int = 0) -> None:
        self.here, self.off_s, self.cloud_off_s = here, off_s, cloud_off_s
        self.kind, self._record, _ = SAID[here.provider]
        cloud = here.ready.cloud
        own = tuple(each for each in cloud.endpoints if each.kind == self.kind)
        here.ready = replace(here.ready, cloud=replace(cloud, endpoints=own))
        here.worker = here.new_worker()
        self._times: dict[int, tuple[float, float]] = {}
        self.records: list[dict[str, Any]] = []
        here.cloud.clock = lambda: self.right_s + self.cloud_off_s
        here.cloud.times = lambda record: self._times[id(record)]
        self.right_s = NOW_US // 1_000_000 - 10 * DAY_S
        self.later(0)

    def later(self, seconds: int) -> None:
        """Time goes by."""
        self.right_s += seconds
        self.here.now_us = (self.right_s + self.off_s) * 1_000_000

    def add(self) -> None:
        """Something was measured, and arrived at the provider ten minutes later."""
        began = self.right_s - 600
        record = self._record("x" * (len(self.records) + 1), datetime.fromtimestamp(began, UTC), 3_600)
        self.records.append(record)
        self._times[id(record)] = (began, self.right_s + self.cloud_off_s)
        if "modified" in record:
            record["modified"] = self.right_s + self.cloud_off_s
        self.here.cloud.records[self.kind] = self.records
        if self.here.provider == "strava":
            self.here.cloud.records |= {"details": self.records, "streams": []}

    def missing(self) -> set[float]:
        """When what the provider has began, of what is not in the log."""
        there = {each["start"] / 1e6 for each in self.here.log.events.values()}
        return {start for start, _ in self._times.values()} - there


@pytest.mark.parametrize("off_s", [7 * HOUR_S, 5 * DAY_S, -7 * HOUR_S], ids=["7h-ahead", "5d-ahead", "7h-behind"])
@pytest.mark.parametrize("provider", ASKED)
def test_a_machine_whose_clock_is_off_loses_nothing(rig: Callable[..., Rig], provider: str, off_s: int) -> None:
    """From the link on, through days of polls, and when the clock is put right amid them."""
    at = Clocks(rig(provider, 30), off_s)
    at.add()
    at.here.link()
    for _ in range(5):
        assert at.here.sync()["state"] == "ok"
        if off_s > 0:
            assert at.missing() == set(), "nothing waits for the clock"
        at.later(17 * HOUR_S)
        at.add()
    at.off_s = 0
    at.later(HOUR_S)
    assert at.here.sync()["state"] == "ok"
    assert at.missing() == set()
    at.later(HOUR_S)
    at.add()
    assert at.here.sync()["state"] == "ok"
    assert at.missing() == set()
    assert at.here.sync()["stored"] == 0


@pytest.mark.parametrize("cloud_off_s", [-7 * HOUR_S, 7 * HOUR_S], ids=["behind", "ahead"])
@pytest.mark.parametrize("provider", ASKED)
def test_a_provider_whose_clock_is_hours_off_loses_nothing(
    rig: Callable[..., Rig], provider: str, cloud_off_s: int
) -> None:
    at = Clocks(rig(provider, 30), 0, cloud_off_s)
    at.here.link()
    for _ in range(3):
        at.add()
        assert at.here.sync()["state"] == "ok"
        assert at.missing() == set()
        at.later(5 * HOUR_S)


@pytest.mark.parametrize("expires_s", [0, -3_600, 30])
@pytest.mark.parametrize("provider", RENEWED)
def test_an_expiry_that_lies_in_the_past_is_no_reason_to_renew_for_ever(
    rig: Callable[..., Rig], provider: str, expires_s: int
) -> None:
    here = rig(provider)
    here.cloud.expires_s = expires_s
    here.link()
    assert [here.sync()["state"] for _ in range(3)] == ["ok"] * 3
    assert here.cloud.refreshes <= 3, "once a fetch at most"
    here.cloud.expire()
    assert here.sync()["state"] == "ok"


@pytest.mark.parametrize("provider", RENEWED)
def test_a_clock_that_was_set_back_finds_out_that_a_token_is_over(rig: Callable[..., Rig], provider: str) -> None:
    here = rig(provider)
    here.link()
    here.cloud.expire()
    here.now_us -= 30 * DAY_S * 1_000_000
    assert here.sync()["state"] == "ok"
    assert here.cloud.refreshes == 1


def look(here: Rig, worker: Any = None) -> None:
    async def once() -> None:
        async with asyncio.TaskGroup() as group:
            (worker or here.worker).look(group)

    asyncio.run(once())


@pytest.mark.parametrize("anew", [False, True], ids=["while it runs", "before it began"])
def test_nothing_waits_for_what_a_clock_showed_that_was_set_back(rig: Callable[..., Rig], anew: bool) -> None:
    """A year ahead, everything that waits is put off by that clock; it is set back, and nothing waits for a year."""
    here = rig("withings")
    right_us, year_us = here.now_us, 365 * DAY_S * 1_000_000
    here.now_us += year_us
    look(here)
    link = here.link()
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    look(here)
    assert here.log.told("weight") == [{"kg": 72}]
    here.inbox.put("withings", b"userid=41234567&appli=1", here.now_us)
    (waits,) = here.inbox.due(here.now_us, 8)
    here.inbox.again(waits, here.now_us + 60_000_000)
    here.inbox.looked("withings", hint="", now_us=here.now_us, due_us=here.now_us + DAY_S * 1_000_000)
    here.book.hooked(here.book.of("ann", "withings"), here.now_us + DAY_S * 1_000_000)
    here.now_us = right_us
    worker = here.new_worker() if anew else here.worker
    look(here, worker)
    now = here.book.of("ann", "withings")
    assert (now.id, now.state) == (link.id, "ok")
    assert now.due_us < right_us + 2 * DAY_S * 1_000_000
    within_us = right_us + 25 * HOUR_S * 1_000_000
    assert here.book.due("withings", within_us, 8) != []
    assert here.book.unhooked("withings", within_us, 8) != []
    assert [each.due_us <= within_us for each in here.inbox.standings()] == [True]
    assert here.inbox.waiting() == {} or [type(each) for each in here.inbox.due(within_us, 8)] == [Delivered]
    here.cloud.records["measure"] = [weighing(1, 72_000), weighing(2, 72_500)]
    here.now_us += 1_000_000_000
    look(here, worker)
    assert here.log.told("weight") == [{"kg": 72}, {"kg": 72.5}]


def test_a_clock_that_goes_as_it_should_puts_nothing_off_and_nothing_forward(rig: Callable[..., Rig]) -> None:
    here = rig("withings")
    here.link()
    look(here)
    due_us = here.book.of("ann", "withings").due_us
    assert due_us > here.now_us
    for seconds in (0, 1, 30):
        here.now_us += seconds * 1_000_000
        look(here)
        assert here.book.of("ann", "withings").due_us == due_us
    here.now_us -= 20_000_000
    look(here)
    assert here.book.of("ann", "withings").due_us == due_us - 20_000_000, "it waits for as long as before"


def test_a_provider_that_is_left_alone_is_so_for_as_long_as_it_said(rig: Callable[..., Rig]) -> None:
    breaker = Breaker()
    breaker.failed(1_000_000.0, 600.0)
    breaker.set_back(500_000.0)
    assert breaker.open(500_000.0) == 600.0
    here = rig("oura")
    here.link()
    look(here)
    here.cloud.faults = [answer(429, {}, **{"retry-after": "7200"})]
    assert here.sync(asked=False)["state"] == "rate_limited"
    here.now_us -= 5 * HOUR_S * 1_000_000
    look(here)
    assert here.sync(asked=False) == {"state": "rate_limited"}
    here.now_us += 7_201 * 1_000_000
    assert here.sync(asked=False)["state"] == "ok"


def at(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": at(1_795_000_120), "date": at(1_795_000_000)}, 120.0),
        ({"retry-after": at(1_795_000_000), "date": at(1_795_000_120)}, 0.0),
        ({"retry-after": at(1_895_000_000), "date": at(1_795_000_000)}, 86_400.0),
        ({"retry-after": at(1_795_000_120)}, 0.0),
        ({"retry-after": "soon", "date": at(1_795_000_000)}, 0.0),
        ({"retry-after": "17", "date": "never"}, 17.0),
    ],
)
def test_a_time_until_which_to_wait_is_one_of_the_providers_clock(headers: dict[str, str], wait_s: float) -> None:
    failed = judged(answer(429, {}, **headers), {})
    assert failed is not None
    assert (failed.fault, failed.wait_s) == (CloudFault.rate_limited, wait_s)


@pytest.mark.parametrize("said", ["", "yesterday", at(0), "Thu, 99 Nov 2026 11:06:40 GMT", "\x00", "9" * 400])
def test_a_clock_that_was_never_set_says_nothing(said: str) -> None:
    assert clock_of(answer(200, {}, date=said)) is None
    assert math.isclose(clock_of(answer(200, {}, date=at(1_795_000_000))) or 0, 1_795_000_000)
