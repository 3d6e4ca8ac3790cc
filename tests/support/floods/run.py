"""One flood: attackers in a process of their own, a bystander whose PUBACKs are timed, a revocation in the middle."""

import math
import multiprocessing
import threading
import time
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.codec import encode_publish
from tests.support.floods.attack import Task, attack
from tests.support.floods.kinds import KINDS
from tests.support.service import Service
from tests.support.wire import Login, connect, read_exactly

WARM_S = 0.5
_LOOK_S = 0.25
_SETTLED = 0.1
"""The part of a core below which nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a bystander met: waits for PUBACKs by the service's own processor time and by the wall, in ms.

    ``revoked_s`` and ``revoked_cpu_s``: from the change in the registry to the end of the flooding connection; None
    when the flood has no login, infinite when it did not end.
    """

    kind: str
    connections: int
    waits: int
    cpu_p99_ms: float
    wall_p99_ms: float
    grown_mb: float
    disk_mb: float
    revoked_s: float | None
    revoked_cpu_s: float | None


def cpu_s(pid: int) -> float:
    """Processor seconds of all threads of a process, exact to the scheduler's nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1e9


def resident_mb(pid: int) -> float:
    """Memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def settle(service: Service, within_s: float = 5.0) -> None:
    """Wait until the service has done what a flood before left to do, or no longer: each kind is timed by itself."""
    until, quiet = time.monotonic() + within_s, threading.Event()
    while time.monotonic() < until:
        before, began = cpu_s(service.pid), time.monotonic()
        quiet.wait(_LOOK_S)
        if cpu_s(service.pid) - before < _SETTLED * (time.monotonic() - began):
            return


def disk_mb(data: Path) -> float:
    """Bytes of a data directory in MB."""
    return sum(each.stat().st_size for each in data.rglob("*") if each.is_file()) / 1e6


def flood(
    service: Service,
    kinds: tuple[str, ...],
    bystander: Login,
    attackers: tuple[Login, ...],
    *,
    seconds: float,
    pause_s: float = 0.01,
) -> Found:
    """Flood for ``seconds``; the attackers' user is suspended at the end. The bystander pauses between messages."""
    context = multiprocessing.get_context("spawn")
    ended_at, ready = context.Value("d", 0.0), context.Event()
    task = Task(
        kinds=kinds, logins=attackers, mqtt=service.mqtt, mqtts=service.mqtts, wss=service.wss, ca_file=service.ca_file,
        seconds=WARM_S + seconds + 60.0,
    )  # fmt: skip
    memory, disk = resident_mb(service.pid), disk_mb(service.data)
    process = context.Process(target=attack, args=(task, ended_at, ready), daemon=True)
    line = connect(service.mqtt, bystander, timeout=60)
    cpu: list[float] = []
    wall: list[float] = []
    try:
        process.start()
        ready.wait(60)
        time.sleep(WARM_S)
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until or len(cpu) < 20:
            number += 1
            body = b'{"id":"by-%d-%d","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
            packet = encode_publish(bystander.topic.encode(), body % (time.time_ns(), number), 1, False, False, 1)
            cpu_before, before = cpu_s(service.pid), time.monotonic()
            line.sendall(packet)
            read_exactly(line, 4)
            wall.append(time.monotonic() - before)
            cpu.append(cpu_s(service.pid) - cpu_before)
            time.sleep(pause_s)
        grown, disk = resident_mb(service.pid) - memory, disk_mb(service.data) - disk
        login = any(kind.login and not kind.churn for kind in KINDS if kind.name in kinds)
        revoked = _revoked(service, attackers[0].user, ended_at) if login else (None, None)
    finally:
        line.close()
        process.kill()
        process.join(10)
    return Found(
        kind="+".join(kinds),
        connections=len(attackers),
        waits=len(cpu),
        cpu_p99_ms=_p99(cpu) * 1000,
        wall_p99_ms=_p99(wall) * 1000,
        grown_mb=grown,
        disk_mb=disk,
        revoked_s=revoked[0],
        revoked_cpu_s=revoked[1],
    )


def _revoked(service: Service, user: str, ended_at: "Synchronized[float]") -> tuple[float, float]:
    """Suspend the attackers' user; seconds until the last of the connections ended, by the wall and by work."""
    registry = Registry.open(service.data / "registry.db")
    try:
        ended_at.value = 0.0
        registry.revocation.suspend_user(user, int(time.time() * 1e6))
        began, before = time.monotonic(), cpu_s(service.pid)
        spent, last, quiet = 0.0, 0.0, threading.Event()
        while not last or time.monotonic() - last < 0.7:
            quiet.wait(0.01)
            if ended_at.value > last:
                last, spent = ended_at.value, cpu_s(service.pid) - before
            if time.monotonic() - began > 30:
                return math.inf, cpu_s(service.pid) - before
        return max(0.0, last - began), spent
    finally:
        registry.revocation.resume_user(user)
        registry.close()


def _p99(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)]
