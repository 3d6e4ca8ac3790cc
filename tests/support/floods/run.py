"""One flood: attackers in a process of their own, a bystander whose PUBACKs are timed, a revocation in the middle."""

import math
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.codec import encode_publish
from tests.support.floods.attack import Task, attack, source_of
from tests.support.floods.kinds import KINDS
from tests.support.floods.sums import stored_mb
from tests.support.service import Address, Service
from tests.support.wire import Login, connect, read_exactly

WARM_S = 0.5
_LOOK_S = 0.25
_NEVER_S = 30.0
_ESTABLISHED = "01"
_SETTLED = 0.1
"""The part of a core below which nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a bystander met: waits for PUBACKs by the service's own processor time and by the wall, in ms.

    ``revoked_s`` and ``revoked_cpu_s``: from the change in the registry to the end of the last flooding connection;
    None when none was logged in, infinite when one did not end.
    """

    kind: str
    connections: int
    users: int
    waits: int
    cpu_p99_ms: float
    wall_p99_ms: float
    grown_mb: float
    disk_mb: float
    #: the most memory that the process had meanwhile, and what its directory holds beside stored events
    peak_mb: float
    kept_mb: float
    revoked_s: float | None
    revoked_cpu_s: float | None
    #: the same of a device that did nothing meanwhile, of another user
    quiet_revoked_s: float


def cpu_s(pid: int) -> float:
    """Processor seconds of all threads of a process, exact to the scheduler's nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1e9


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(pid: int) -> None:
    """From now on ``VmHWM`` is the most memory of a process."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


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


def kept_mb(data: Path) -> float:
    """A data directory in MB, without stored events and what is counted from them."""
    derived = sum(each.stat().st_size for each in data.glob("summaries.db*")) / 1e6
    return disk_mb(data) - stored_mb(str(data / "events.db")) - derived


def flood(
    service: Service,
    kinds: tuple[str, ...],
    bystander: Login,
    attackers: tuple[Login, ...],
    *,
    quiet: Login,
    seconds: float,
    pause_s: float = 0.01,
) -> Found:
    """Flood for ``seconds``; ``quiet``'s user and then the attackers' are suspended at the end, while it goes on.

    The bystander pauses between messages.
    """
    context = multiprocessing.get_context("spawn")
    ports, ready = context.Array("i", len(attackers)), context.Event()
    task = Task(
        kinds=kinds, logins=attackers, mqtt=service.mqtt, mqtts=service.mqtts, wss=service.wss, ca_file=service.ca_file,
        seconds=WARM_S + seconds + 60.0,
    )  # fmt: skip
    users = sorted({each.user for each in attackers})
    memory, disk = resident_mb(service.pid), disk_mb(service.data)
    process = context.Process(target=attack, args=(task, ports, ready), daemon=True)
    line = connect(service.mqtt, bystander, timeout=60)
    silent = connect(service.mqtt, quiet, timeout=60)
    forget_peak(service.pid)
    cpu: list[float] = []
    wall: list[float] = []
    try:
        process.start()
        ready.wait(60)
        time.sleep(WARM_S)
        until = time.monotonic() + seconds

        def ask() -> None:
            body = b'{"id":"by-%d-%d","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
            packet = encode_publish(bystander.topic.encode(), body % (time.time_ns(), len(cpu)), 1, False, False, 1)
            cpu_before, before = cpu_s(service.pid), time.monotonic()
            line.sendall(packet)
            read_exactly(line, 4)
            wall.append(time.monotonic() - before)
            cpu.append(cpu_s(service.pid) - cpu_before)
            time.sleep(pause_s)

        while time.monotonic() < until or len(cpu) < 20:
            ask()
        here = silent.getsockname()
        quiet_revoked, _ = _revoked(service, [quiet.user], {(here[0], here[1])}, ask)
        grown, disk = resident_mb(service.pid) - memory, disk_mb(service.data) - disk
        login = any(kind.login and not kind.churn for kind in KINDS if kind.name in kinds)
        there = {(source_of(number), port) for number, port in enumerate(ports) if port} if login else set()
        revoked = _revoked(service, users, there, ask) if there else (None, None)
        peak, kept = resident_mb(service.pid, "VmHWM"), kept_mb(service.data)
    finally:
        silent.close()
        line.close()
        process.kill()
        process.join(10)
    return Found(
        kind="+".join(kinds),
        connections=len(attackers),
        users=len(users),
        waits=len(cpu),
        cpu_p99_ms=p99(cpu) * 1000,
        wall_p99_ms=p99(wall) * 1000,
        grown_mb=grown,
        disk_mb=disk,
        peak_mb=peak,
        kept_mb=kept,
        revoked_s=revoked[0],
        revoked_cpu_s=revoked[1],
        quiet_revoked_s=quiet_revoked,
    )


def _revoked(service: Service, users: list[str], there: set[Address], ask: Callable[[], None]) -> tuple[float, float]:
    """Suspend these users; seconds from the first to the end of their connections, by the wall and by work.

    The bystander goes on: so many ends at once may be as much for it as the flood was.
    """
    registry = Registry.open(service.data / "registry.db")
    try:
        there &= established(service)
        began, before = time.monotonic(), cpu_s(service.pid)
        for user in users:
            registry.revocation.suspend_user(user, int(time.time() * 1e6))
        while there & established(service):
            if time.monotonic() - began > _NEVER_S:
                return math.inf, cpu_s(service.pid) - before
            ask()
        return time.monotonic() - began, cpu_s(service.pid) - before
    finally:
        for user in users:
            registry.revocation.resume_user(user)
        registry.close()


def established(service: Service) -> set[Address]:
    """Who has a connection to the service that it has not closed.

    The system says that, and not the other end: an attacker has to read all that it was sent before it sees an end.
    """
    ports = {service.mqtt[1], service.mqtts[1], service.wss[1]}
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, ours, theirs, state, *_ = line.split()
        if state == _ESTABLISHED and int(ours.rpartition(":")[2], 16) in ports:
            address, _, port = theirs.partition(":")
            found.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return found


def p99(values: list[float]) -> float:
    """The least value that at least 99 in a hundred do not exceed: of fewer than 100 values, the largest."""
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]
