"""Running the load generator, and filling stores without it."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.decode.delivery import decode
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from tests.support import child
from tests.support.wire import Login
from tests.support.workload import payloads

GENERATOR = [sys.executable, "-m", "tests.support.generator"]
ROOT = Path(__file__).parents[3]
EVENTS_AT_ONCE = 500
GROUP = 10_000


class GeneratorError(Exception):
    """The generator ended without a result; the message is what it said."""


def start(task: dict[str, Any], command: Sequence[str] = GENERATOR) -> "subprocess.Popen[str]":
    """The generator at work on ``task``; its result comes as a JSON line on stdout."""
    process = child.start(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
    except BaseException:
        child.end(process)
        raise
    return process


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The generator's result; raises GeneratorError when it failed."""
    try:
        output, errors = process.communicate(timeout=600)
    finally:
        child.end(process)
    if process.returncode:
        raise GeneratorError(errors.strip()[-1500:])
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def generate(
    address: tuple[str, int], logins: Sequence[Login], *, ca_file: Path | None = None, **task: Any
) -> dict[str, Any]:
    """One run of the generator, from start to result."""
    return finish(begin(address, logins, ca_file=ca_file, **task))


def begin(
    address: tuple[str, int], logins: Sequence[Login], *, ca_file: Path | None = None, **task: Any
) -> "subprocess.Popen[str]":
    """A run that goes on beside whatever is done until ``finish`` is asked for its result."""
    whole = {
        "address": address,
        "logins": [asdict(login) for login in logins],
        "ca_file": str(ca_file) if ca_file else None,
        "mode": "flood",
        "window": 500,
    }
    return start(whole | task)


def flood_for(
    seconds: float, address: tuple[str, int], logins: Sequence[Login], run: str, *, guess: float, **task: Any
) -> dict[str, Any]:
    """A flood of about ``seconds``: a short one first finds the rate (``guess`` is messages a second)."""
    trial = generate(address, logins, run=f"{run}t", messages=int(guess / 2), **task)
    messages = max(len(logins), int(trial["messages_per_second"] * seconds))
    return generate(address, logins, run=run, messages=messages, **task) | {"trial_events": trial["events"]}


def fill(path: Path, events: int, *, run: str = "fill", users: int = 50, codec: BodyCodec | None = None) -> float:
    """Store ``events`` events at ``path`` through the storage port; the seconds it took."""
    origins = [
        Origin(user=f"u{n}", device="d0", provider=None, topic=f"users/u{n}/devices/d0/events") for n in range(users)
    ]
    log = SqliteEventLog.open(path, codec=codec)
    began, before = time.perf_counter(), log.head()
    staged = 0
    for number, payload in enumerate(payloads(run, 0, events // EVENTS_AT_ONCE, EVENTS_AT_ONCE)):
        origin = origins[number % users]
        now_us = time.time_ns() // 1000
        log.stage([Item(origin, event) for event in decode(payload, origin, now_us).events], [], now_us)
        staged += EVENTS_AT_ONCE
        if staged % GROUP == 0:
            log.commit()
    log.commit()
    took, stored = time.perf_counter() - began, log.head() - before
    log.close()
    assert stored == events, f"only {stored} of {events} events were stored"
    return took


def stored_events(data: Path) -> int:
    """How many events the log of a running service holds."""
    reader = open_reader(data)
    try:
        return reader.head()
    finally:
        reader.close()
