"""What subscribers take out of the log: one that replays it, and shared groups of one and four members."""

import asyncio
import contextlib
import time
from pathlib import Path

from healthsync_mqtt.mqtt.codec import Decoder, encode_pubacks, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Property, Publish, Suback, Subscribe
from tests.support.bench.load import fill
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

    def __init__(self, goal: int) -> None:
        self.goal = goal
        self.taken: list[int] = []
        self.done = asyncio.Event()

    async def run(self, number: int, address: tuple[str, int], login: Login, topic_filter: str) -> None:
        reader, writer = await asyncio.open_connection(*address)
        decoder = Decoder(1 << 24, server=False, versions=frozenset({5}))
        name = login.client_id
        asked = Connect(client_id=name, username=name, password=(login.token or "").encode(), protocol_level=5)
        past = {Property.USER_PROPERTY: (("from", "earliest"),)}
        writer.write(v5.encode(asked) + v5.encode(Subscribe(1, ((topic_filter, 1),), past)))
        while data := await reader.read(262_144):
            ids = []
            for packet in decoder.feed(data):
                if type(packet) is Publish:
                    ids.append(packet.packet_id)
                elif isinstance(packet, Connack) and packet.code:
                    raise ConnectionRefusedError(f"CONNACK {packet.code}")
                elif isinstance(packet, Suback) and packet.codes != (1,):
                    raise ConnectionRefusedError(f"SUBACK {packet.codes}")
            if ids:
                writer.write(encode_pubacks(ids))
                self.taken[number] += len(ids)
                if sum(self.taken) >= self.goal:
                    self.done.set()


async def _replayed(address: tuple[str, int], who: list[Login], topic_filter: str) -> tuple[float, list[int]]:
    """Events a second until all are taken, and how many each member took."""
    taking = Taking(EVENTS)
    taking.taken = [0] * len(who)
    began = time.perf_counter()
    tasks = [asyncio.create_task(taking.run(n, address, login, topic_filter)) for n, login in enumerate(who)]
    try:
        async with asyncio.timeout(WITHIN_S):
            await taking.done.wait()
        return EVENTS / (time.perf_counter() - began), taking.taken
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


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


ROWS = {"groups": groups}
