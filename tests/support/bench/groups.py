"""What subscribers and shared groups take: of the log from its beginning, and of what comes in while they are there."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from healthsync_mqtt.mqtt.codec import Decoder, encode_pubacks, v5
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Connack,
    Connect,
    Properties,
    Property,
    Publish,
    Suback,
    Subscribe,
)
from tests.support.bench.load import fill, generate
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.identities import everybody, logins
from tests.support.service import Service
from tests.support.wire import Login

EVENTS = 100_000
FILTER = "users/+/canonical/+"
WITHIN_S = 120


class Taking:
    """Members that acknowledge all they are given, each read in one packet, until so many events came."""

    def __init__(self, goal: int, members: int) -> None:
        self.goal = goal
        self.taken = [0] * members
        self.done = asyncio.Event()
        #: when the first event came, and when the last did
        self.began = self.ended = 0.0
        self._subscribed = asyncio.Semaphore(0)

    async def subscribed(self) -> None:
        """All members have their SUBACK."""
        for _ in self.taken:
            await self._subscribed.acquire()

    async def run(
        self, number: int, address: tuple[str, int], login: Login, topic_filter: str, about: Properties
    ) -> None:
        reader, writer = await asyncio.open_connection(*address)
        decoder = Decoder(1 << 24, server=False, versions=frozenset({5}))
        name = login.client_id
        asked = Connect(client_id=name, username=name, password=(login.token or "").encode(), protocol_level=5)
        writer.write(v5.encode(asked) + v5.encode(Subscribe(1, ((topic_filter, 1),), about)))
        while data := await reader.read(262_144):
            ids = []
            for packet in decoder.feed(data):
                if type(packet) is Publish:
                    ids.append(packet.packet_id)
                elif isinstance(packet, Connack) and packet.code:
                    raise ConnectionRefusedError(f"CONNACK {packet.code}")
                elif isinstance(packet, Suback):
                    if packet.codes != (1,):
                        raise ConnectionRefusedError(f"SUBACK {packet.codes}")
                    self._subscribed.release()
            if ids:
                writer.write(encode_pubacks(ids))
                self.taken[number] += len(ids)
                self.began = self.began or time.perf_counter()
                if sum(self.taken) >= self.goal:
                    self.ended = time.perf_counter()
                    self.done.set()


@contextlib.asynccontextmanager
async def _members(
    goal: int, address: tuple[str, int], who: list[Login], topic_filter: str, about: Properties = NO_PROPERTIES
) -> AsyncIterator[Taking]:
    """Members at work until they are left; what ends one of them ends the waiting for all."""
    taking = Taking(goal, len(who))
    async with asyncio.TaskGroup() as tasks:
        working = [
            tasks.create_task(taking.run(number, address, login, topic_filter, about))
            for number, login in enumerate(who)
        ]
        try:
            async with asyncio.timeout(WITHIN_S):
                yield taking
        finally:
            for task in working:
                task.cancel()


async def _replayed(address: tuple[str, int], who: list[Login], topic_filter: str) -> tuple[float, list[int]]:
    """Events a second until all are taken, and how many each member took."""
    past = {Property.USER_PROPERTY: (("from", "earliest"),)}
    began = time.perf_counter()
    async with _members(EVENTS, address, who, topic_filter, past) as taking:
        await taking.done.wait()
        return EVENTS / (time.perf_counter() - began), taking.taken


async def _live(
    address: tuple[str, int], who: list[Login], topic_filter: str, goal: int, flood: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """What a flood becomes while the members are there: its rate, theirs, and how much longer they took."""
    async with _members(goal, address, who, topic_filter) as taking:
        await taking.subscribed()
        found = await asyncio.to_thread(flood)
        await taking.done.wait()
    seconds = taking.ended - taking.began
    late_s = max(0.0, seconds - found["seconds"])
    return {
        "published": found["messages_per_second"], "given": goal / seconds, "late_s": late_s, "taken": taking.taken,
    }  # fmt: skip


def groups(setting: Setting) -> list[Result]:
    """The whole log from earliest, over plain connections at QoS 1; the members are in the generator's process."""
    data: Path = setting.data("groups")
    logins(data, users=50, devices=1)
    who = everybody(data, 4)
    progress(f"  filling {EVENTS:,} events")
    fill(data / "events.db", EVENTS)
    results = []
    with Service(data) as service:
        for members, work in ((0, "one subscriber"), (1, "a group of one"), (4, "a group of four")):
            rates, shares = [], []
            for turn in range(setting.repeats):
                name = f"$share/g{members}-{turn}/{FILTER}" if members else FILTER
                rate, taken = asyncio.run(_replayed(service.mqtt, who[: members or 1], name))
                rates.append(rate)
                shares.append(taken)
                progress(f"  {work}: {rate:,.0f} events/s, {taken}")
            results.append(
                Result(
                    row="groups",
                    work=f"{EVENTS:,} events from earliest to {work}",
                    unit="events/s",
                    values=rates,
                    target="none yet",
                    met=None,
                    note="QoS 1, send window 100, each event acknowledged",
                    detail={"taken": shares},
                )
            )
    return results


def fanout(setting: Setting) -> list[Result]:
    """Single events over ten connections, given live to whoever reads all of them; QoS 1 both ways."""
    data: Path = setting.data("fanout")
    devices = logins(data, users=10, devices=1)
    who = everybody(data, 4)
    messages = int(5_000 * setting.seconds)
    results = []
    with Service(data) as service:
        generate(service.mqtt, devices, run="warm", messages=5_000)
        process = psutil.Process(service.pid)
        for members, name, work in (
            (1, FILTER, "one live subscriber"),
            (4, FILTER, "each of four live subscribers"),
            (4, f"$share/live/{FILTER}", "a live group of four"),
        ):
            runs = []
            for turn in range(setting.repeats):
                run = f"{'g' if '$' in name else 'p'}{members}{turn}"
                flood = partial(generate, service.mqtt, devices, run=run, messages=messages)
                goal = messages * (1 if "$" in name else members)
                before = sum(process.cpu_times()[:2])
                found = asyncio.run(_live(service.mqtt, who[:members], name, goal, flood))
                found["cpu_us"] = (sum(process.cpu_times()[:2]) - before) / goal * 1e6
                progress(f"  {work}: {found['given']:,.0f} given/s, {found['published']:,.0f} published/s")
                runs.append(found)
            published = statistics.median(found["published"] for found in runs)
            busy = statistics.median(found["cpu_us"] for found in runs)
            late = statistics.median(found["late_s"] for found in runs)
            results.append(
                Result(
                    row="fanout",
                    work=f"{messages:,} single events, 10 connections, to {work}",
                    unit="given/s",
                    values=[found["given"] for found in runs],
                    target="none yet",
                    met=None,
                    note=f"published at {published:,.0f} msg/s; all given {late:.2f} s later; "
                    f"{busy:.0f} us of the service's CPU a given event",
                    detail={"runs": runs},
                )
            )
    return results


ROWS = {"groups": groups, "fanout": fanout}
