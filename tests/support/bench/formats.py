"""What messages of apps in their own formats cost, and what somebody else notices of long ones."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import paho.mqtt.client as paho

from bridge.pipeline import LONE_PART_EVENTS, PART_EVENTS
from tests.support.app_login import exported, minutes_of
from tests.support.bench.external import cpu_s
from tests.support.bench.load import generate
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.generator import percentile
from tests.support.identities import logins
from tests.support.patience import PATIENCE_S
from tests.support.service import Service, run_cli

_LONG = 5_000_000
_DAYS = minutes_of(_LONG) // 1440 + 1
_RATE = 500
_PAIRS = 4
"""Of each repeat: so many stretches without long messages and beside them, in turns, as the machine changes."""
_AHEAD = 3
_IDLE = 0.1
_ENV = {"HEALTHSYNC_LIMITS__CONNECTIONS_PER_ADDRESS": "20000"}


class _App:
    """An app that sends a message of five megabytes when the last one is acknowledged, each of other days."""

    def __init__(self, service: Service, login: dict[str, Any]) -> None:
        self._topic = login["topics"][0]
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bench")
        self._client.username_pw_set(login["username"], login["password"])
        self._client.max_inflight_messages_set(1)
        self._client.connect(*service.mqtt)
        self._client.loop_start()
        self._made: deque[bytes] = deque()
        self.made = self.sent = 0

    def make(self) -> None:
        """The next messages: an app is another machine, so nothing is measured while one is made."""
        while len(self._made) < _AHEAD:
            self._made.append(exported(minutes_of(_LONG), days=self.made * _DAYS))
            self.made += 1

    def send(self) -> int:
        """One message, until it is acknowledged; its values."""
        if not self._made:
            self.make()
        self._client.publish(self._topic, self._made.popleft(), 1).wait_for_publish(PATIENCE_S)
        self.sent += 1
        return 3 * minutes_of(_LONG)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def formats(setting: Setting) -> list[Result]:
    """Values a second of one app, and the bystander's p99 without and with it."""
    data = setting.data("formats")
    who = logins(data, users=10, devices=2)
    run_cli(data, "user", "add", "alice", "--consent", "all")
    words = ("--format", "health_auto_export", "--bucket", "minute")
    (login,) = run_cli(data, "app", "add", "alice", "phone", *words)
    paced: dict[str, Any] = {
        "mode": "paced",
        "rate": _RATE,
        "messages": int(_RATE * max(5.0, setting.seconds)),
        "latencies": True,
    }
    rates: list[float] = []
    quiet: list[list[float]] = []
    beside: list[list[float]] = []
    messages = 0
    with Service(data, env=_ENV) as service:
        app = _App(service, login)
        app.send()
        for turn in range(setting.repeats):
            app.make()
            _settle(service)
            began = time.perf_counter()
            values = app.send()
            rates.append(values / (time.perf_counter() - began))
            progress(f"  {rates[-1]:,.0f} values/s")
            quiet.append([])
            beside.append([])
            for pair in range(_PAIRS):
                app.make()
                _settle(service)
                quiet[-1] += generate(service.mqtt, who, run=f"q{turn}.{pair}", **paced)["latencies"]
                sent = app.sent
                with _sending(app):
                    beside[-1] += generate(service.mqtt, who, run=f"b{turn}.{pair}", **paced)["latencies"]
                messages += app.sent - sent
            progress(f"  p99 of others {_p99_ms(quiet[-1]):.1f} ms, {_p99_ms(beside[-1]):.1f} ms beside long messages")
        app.close()
    ratios = [_p99_ms(with_it) / _p99_ms(without) for with_it, without in zip(beside, quiet, strict=True)]
    without, with_it = list(chain.from_iterable(quiet)), list(chain.from_iterable(beside))
    return [
        Result(
            row="formats",
            work="Health Auto Export, messages of 5 MB, one after the other",
            unit="values/s",
            values=rates,
            target="open",
            met=None,
            note=f"{3 * minutes_of(_LONG):,} values a message, folded in a process of its own, "
            f"{LONE_PART_EVENTS} a commit",
        ),
        Result(
            row="formats",
            work=f"PUBACK p99 of others, {_RATE} events/s, while such messages arrive",
            unit="of it without",
            values=ratios,
            target="≤ 2",
            met=statistics.median(ratios) <= 2,
            note=f"p99 of all {_p99_ms(without):.1f} ms without, {_p99_ms(with_it):.1f} ms with, at most "
            f"{max(with_it) * 1000:.0f} ms, of {len(with_it):,} events; {messages} such messages meanwhile, "
            f"{PART_EVENTS} a commit",
            detail={
                "quiet_ms": [_p99_ms(each) for each in quiet],
                "beside_ms": [_p99_ms(each) for each in beside],
                "quiet_p50_ms": percentile(without, 0.5) * 1000,
                "beside_p50_ms": percentile(with_it, 0.5) * 1000,
                "messages": messages,
            },
        ),
    ]


def _p99_ms(latencies: list[float]) -> float:
    return percentile(latencies, 0.99) * 1000


def _settle(service: Service) -> None:
    """Wait until what follows the log has read the last messages: it is no part of what is measured next."""
    for _ in range(60):
        before = cpu_s(service.pid)
        time.sleep(1)
        if cpu_s(service.pid) - before < _IDLE:
            return


@contextmanager
def _sending(app: _App) -> Iterator[None]:
    """Long messages without a pause."""
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            app.send()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


ROWS = {"formats": formats}
