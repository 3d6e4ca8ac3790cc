"""What messages of apps in their own formats cost, and what somebody else notices of long ones."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho

from bridge.pipeline import PART_EVENTS
from tests.support.app_login import exported, minutes_of
from tests.support.bench.load import generate
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.identities import logins
from tests.support.patience import PATIENCE_S
from tests.support.service import Service, run_cli

_LONG = 5_000_000
_DAYS = minutes_of(_LONG) // 1440 + 1
_RATE = 500
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
        self.sent = 0

    def send(self) -> int:
        """One message, until it is acknowledged; its values."""
        minutes = minutes_of(_LONG)
        self._client.publish(self._topic, exported(minutes, days=self.sent * _DAYS), 1).wait_for_publish(PATIENCE_S)
        self.sent += 1
        return 3 * minutes

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
    rates: list[float] = []
    quiet: list[float] = []
    beside: list[float] = []
    most: list[float] = []
    messages: list[int] = []
    with Service(data, env=_ENV) as service:
        app = _App(service, login)
        app.send()
        for turn in range(setting.repeats):
            began = time.perf_counter()
            values = app.send()
            rates.append(values / (time.perf_counter() - began))
            progress(f"  {rates[-1]:,.0f} values/s")
            paced = {"mode": "paced", "rate": _RATE, "messages": int(_RATE * max(10.0, setting.seconds))}
            quiet.append(generate(service.mqtt, who, run=f"q{turn}", **paced)["p99_ms"])
            sent = app.sent
            with _sending(app):
                found = generate(service.mqtt, who, run=f"b{turn}", **paced)
                messages.append(app.sent - sent)
            beside.append(found["p99_ms"])
            most.append(found["max_ms"])
            progress(f"  p99 of others {quiet[-1]:.1f} ms, {beside[-1]:.1f} ms beside long messages")
        app.close()
    ratios = [with_it / without for with_it, without in zip(beside, quiet, strict=True)]
    return [
        Result(
            row="formats",
            work="Health Auto Export, messages of 5 MB, one after the other",
            unit="values/s",
            values=rates,
            target="open",
            met=None,
            note=f"{3 * minutes_of(_LONG):,} values a message, folded in a process of its own, {PART_EVENTS} a commit",
        ),
        Result(
            row="formats",
            work=f"PUBACK p99 of others, {_RATE} events/s, while such messages arrive",
            unit="of it without",
            values=ratios,
            target="≤ 2",
            met=statistics.median(ratios) <= 2,
            note=f"p99 {statistics.median(quiet):.1f} ms without, {statistics.median(beside):.1f} ms with, "
            f"at most {max(most):.0f} ms; {sum(messages)} such messages meanwhile",
            detail={"quiet_ms": quiet, "beside_ms": beside, "most_ms": most, "messages": messages},
        ),
    ]


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
