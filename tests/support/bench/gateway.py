"""Events through HTTP, durable when they are answered, beside the first API's list in memory; streams to many."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import psutil
from websockets.asyncio.client import ClientConnection, connect

from healthsync_mqtt.model.times import micros
from tests.support import child
from tests.support.bench.load import finish, generate, start, stored_events
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.bench.stock import wait_for
from tests.support.identities import logins
from tests.support.patience import wait_until
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.wire import Login

_LOAD = [sys.executable, "-m", "tests.support.bench.http_load"]
_FIRST = [sys.executable, "-m", "tests.support.bench.first_api"]
_PLAIN = {
    "HEALTHSYNC_GATEWAY__TLS": "false",
    "HEALTHSYNC_GATEWAY__HOST": "127.0.0.1",
    "HEALTHSYNC_GATEWAY__CONNECTIONS_PER_ADDRESS": "500",
}
_GUESS = 200
_STREAMS = 200
_RATE = 200
"""Events a second of ten users; a stream follows one of them."""
_AT_ONCE = 100


@dataclass(slots=True)
class Shape:
    """So many connections with so many events a request, and what was measured of it."""

    connections: int
    events: int
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def result(self) -> Result:
        rate, in_memory = statistics.median(self.ours), statistics.median(self.theirs)
        many = self.connections > 1
        target = f"≥ {30_000 if self.events > 1 else in_memory / 2:,.0f} events/s"
        met = rate >= 30_000 if self.events > 1 else rate >= 0.5 * in_memory
        return Result(
            row="http",
            work=f"HTTP: {self.connections} x POST /v1/events, {self.events} a request",
            unit="events/s",
            values=self.ours,
            target=target if many else "",
            met=met if many else None,
            note=(
                f"{rate / in_memory:.2f} of the first API's list in memory ({in_memory:,.0f}); "
                f"{statistics.median(self.cpu_us):.0f} µs of CPU an event, p99 {statistics.median(self.p99_ms):.1f} ms"
            ),
            detail={"first_api": self.theirs, "cpu_us": self.cpu_us, "p99_ms": self.p99_ms},
        )


def events_in(setting: Setting) -> list[Result]:
    """One event a request and a hundred, over one connection and several; in turns with the first API."""
    data = setting.data("http")
    who = logins(data, users=1, devices=20)
    shapes = [Shape(1, 1), Shape(20, 1), Shape(1, 100), Shape(8, 100)]
    with Service(data, "--http-port", "0", env=_PLAIN) as service, _first_api() as first:
        for turn in range(setting.repeats):
            for number, shape in enumerate(shapes):
                callers, run = who[: shape.connections], f"h{turn}{number}"
                before, worked = stored_events(data), _worked(service)
                found, sent = _flood(
                    setting.seconds, _where(service), callers, run, path="/v1/events", events=shape.events
                )
                worked = _worked(service) - worked
                # A gateway that stores nothing would be fast.
                gained = stored_events(data) - before
                assert gained == sent, f"{gained} of {sent} events are stored"
                old, _ = _flood(
                    setting.seconds, first, callers, run, path="/sync/events", events=shape.events, user_id=1
                )
                shape.ours.append(found["events_per_second"])
                shape.theirs.append(old["events_per_second"])
                shape.cpu_us.append(worked / sent * 1e6)
                shape.p99_ms.append(found["p99_ms"])
                progress(f"  {shape.result().work}: {shape.ours[-1]:,.0f} events/s, {shape.result().note}")
    return [shape.result() for shape in shapes]


def beside(setting: Setting) -> list[Result]:
    """What devices on MQTT notice of a flood over HTTP: of single events, and of batches."""
    data = setting.data("beside")
    who, callers = logins(data, users=10, devices=10), logins(data, users=1, devices=20, named="h")
    results = []
    with Service(data, "--http-port", "0", env=_PLAIN) as service:
        generate(service.mqtt, who, mode="paced", run="warm", rate=_RATE, messages=_RATE)
        alone = [_paced(setting, service, who, f"a{turn}")["p99_ms"] for turn in range(setting.repeats)]
        for connections, events in ((20, 1), (8, 100)):
            found, rates = list[float](), list[float]()
            task = {"path": "/v1/events", "events": events}
            for turn in range(setting.repeats):
                run, sending = f"b{connections}{turn}", callers[:connections]
                trial = _ask(_where(service), sending, f"{run}t", requests=_GUESS, **task)
                # It lasts longer than what is measured beside it.
                more = task | {"requests": int(trial["requests_per_second"] * setting.seconds * 2)}
                before = stored_events(data)
                flood = _asking(_where(service), sending, run, **more)
                wait_until(lambda before=before: stored_events(data) > before, "the flood begins")
                found.append(_paced(setting, service, who, run)["p99_ms"])
                rates.append(finish(flood)["events_per_second"])
                progress(f"  PUBACK p99 {found[-1]:.1f} ms beside {rates[-1]:,.0f} events/s over HTTP")
            results.append(
                Result(
                    row="beside",
                    work=f"PUBACK p99, {_RATE} events/s, beside {connections} x POST /v1/events, {events} a request",
                    unit="ms",
                    values=found,
                    target="≤ 15 ms",
                    met=statistics.median(found) <= 15,
                    note=f"{statistics.median(alone):.1f} ms alone; {statistics.median(rates):,.0f} events/s over HTTP",
                    detail={"alone": alone, "rates": rates},
                )
            )
    return results


def streams(setting: Setting) -> list[Result]:
    """Two hundred WebSockets that follow one of ten users each, and what devices notice of them."""
    data = setting.data("streams")
    who = logins(data, users=10, devices=10)
    with Service(data, "--http-port", "0", env=_PLAIN) as service:
        generate(service.mqtt, who, mode="paced", run="warm", rate=_RATE, messages=_RATE)
        alone = [_paced(setting, service, who, f"a{turn}")["p99_ms"] for turn in range(setting.repeats)]
        rates, delays, beside = asyncio.run(_fan_out(setting, service, who))
    return [
        Result(
            row="streams",
            work=f"{_STREAMS} WebSockets told of each of {_AT_ONCE} events",
            unit="messages/s",
            values=rates,
            target="",
            met=None,
            note="from one POST of all of them to the last message at the last stream",
        ),
        Result(
            row="streams",
            work=f"{_STREAMS} WebSockets, {_RATE} events/s of 10 users: from stored to told, p99",
            unit="ms",
            values=delays,
            target="",
            met=None,
            note="the log's end is looked at every 50 ms",
        ),
        Result(
            row="streams",
            work=f"PUBACK p99 beside {_STREAMS} WebSockets, {_RATE} events/s",
            unit="ms",
            values=beside,
            target="≤ 15 ms",
            met=statistics.median(beside) <= 15,
            note=f"{statistics.median(alone):.1f} ms without them",
            detail={"alone": alone},
        ),
    ]


async def _fan_out(
    setting: Setting, service: Service, who: Sequence[Login]
) -> tuple[list[float], list[float], list[float]]:
    host, port = _where(service)
    rates, delays, beside = list[float](), list[float](), list[float]()
    async with AsyncExitStack() as opened:
        sockets = []
        for number in range(_STREAMS):
            login = who[number % len(who)]
            url = f"ws://{host}:{port}/v1/stream?user={login.user}"
            headers = {"Authorization": f"Bearer {login.token}"}
            sockets.append(await opened.enter_async_context(connect(url, additional_headers=headers, compression=None)))
        for turn in range(setting.repeats):
            messages = int(_RATE * setting.seconds)
            each = messages // len(who) * 10  # what ten devices of its user send
            telling = asyncio.gather(*(_told(socket, each) for socket in sockets))
            found = await asyncio.to_thread(_paced, setting, service, who, f"s{turn}")
            beside.append(found["p99_ms"])
            took = sorted(delay for of_one in await telling for delay in of_one)
            delays.append(took[int(len(took) * 0.99)] * 1000)
            began = time.perf_counter()
            telling = asyncio.gather(*(_told(socket, _AT_ONCE) for socket in sockets))
            for first in who[::10]:
                await asyncio.to_thread(
                    _ask, (host, port), [first], f"f{turn}", path="/v1/events", events=_AT_ONCE, requests=1
                )
            await telling
            rates.append(_STREAMS * _AT_ONCE / (time.perf_counter() - began))
            progress(f"  {rates[-1]:,.0f} messages/s; p99 {delays[-1]:.0f} ms, of PUBACKs {beside[-1]:.1f} ms")
    return rates, delays, beside


async def _told(socket: ClientConnection, count: int) -> list[float]:
    """Seconds from the reception of each of so many events by the service to its arrival here."""
    delays = []
    for _ in range(count):
        text = await socket.recv()
        delays.append(time.time() - micros(datetime.fromisoformat(json.loads(text)["received_at"])) / 1e6)
    return delays


def _paced(setting: Setting, service: Service, who: Sequence[Login], run: str) -> dict[str, Any]:
    return generate(service.mqtt, who, mode="paced", run=run, rate=_RATE, messages=int(_RATE * setting.seconds))


def _ask(address: tuple[str, int], who: Sequence[Login], run: str, **task: Any) -> dict[str, Any]:
    return finish(_asking(address, who, run, **task))


def _asking(address: tuple[str, int], who: Sequence[Login], run: str, **task: Any) -> "subprocess.Popen[str]":
    whole = {"address": address, "logins": [asdict(each) for each in who], "run": run}
    return start(whole | task, _LOAD)


def _flood(
    seconds: float, address: tuple[str, int], who: Sequence[Login], run: str, **task: Any
) -> tuple[dict[str, Any], int]:
    """A flood of about ``seconds``, and the events that were sent in all: a short one first finds the rate."""
    trial = _ask(address, who, f"{run}t", requests=_GUESS, **task)
    most = max(len(who), int(trial["requests_per_second"] * seconds))
    found = _ask(address, who, run, requests=most, **task)
    return found, trial["events"] + found["events"]


@contextmanager
def _first_api() -> Iterator[tuple[str, int]]:
    address = ("127.0.0.1", free_port())
    with child.started([*_FIRST, str(address[1])]) as process:
        wait_for(address, process)
        yield address


def _where(service: Service) -> tuple[str, int]:
    there = urlsplit(service.ready["http"])
    assert there.hostname
    assert there.port
    return there.hostname, there.port


def _worked(service: Service) -> float:
    """Seconds of processor time of the service with all its processes."""
    whole = psutil.Process(service.pid)
    return float(sum(sum(each.cpu_times()[:2]) for each in [whole, *whole.children(recursive=True)]))


ROWS = {"http": events_in, "beside": beside, "streams": streams}
