"""The rows: each starts what it needs on a fresh data directory, measures, and says how it was done."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import psutil

from tests.support.bench.load import fill, finish, flood_for, generate, start
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, floods, progress, throughput
from tests.support.identities import logins
from tests.support.identities import subscribers as readers
from tests.support.service import Service

MEBIBYTE = 1 << 20
OPEN_LIMITS = {"HEALTHSYNC_LIMITS__CONNECTIONS_PER_ADDRESS": "20000"}


def single(setting: Setting) -> list[Result]:
    """Single events at QoS 1 over ten plain connections; every PUBACK follows an fsynced commit."""
    work, target = "single-event QoS 1, 10 connections", "≥ 50,000/s, ≥ 8 x stock amqtt"
    measured, floors, stock = throughput(setting, "single", events_per_message=1, window=500)
    rates = [found["messages_per_second"] for found in measured]
    median = statistics.median(rates)
    return [
        Result(
            row="single",
            work=work,
            unit="msg/s",
            values=rates,
            target=target,
            met=median >= 50_000 and median >= 8 * stock,
            floor=statistics.median(floors["floor"]),
            own=statistics.median(floors["own"]),
            stock=stock,
            note=f"window 500 a connection, {measured[0]['bytes_per_message']} bytes a packet; amqtt is not durable",
            detail={"floods": measured, "floors": floors},
        )
    ]


def batch(setting: Setting) -> list[Result]:
    """Arrays of 50 events."""
    work, target = "batches of 50, 10 connections", "≥ 100,000 events/s, ≥ 0.6 of the floor"
    measured, floors, stock = throughput(setting, "batch", events_per_message=50, window=20)
    rates = [found["events_per_second"] for found in measured]
    median, floor = statistics.median(rates), statistics.median(floors["floor"])
    return [
        Result(
            row="batch",
            work=work,
            unit="events/s",
            values=rates,
            target=target,
            met=median >= 100_000 and median >= 0.6 * floor,
            floor=floor,
            own=statistics.median(floors["own"]),
            stock=stock,
            note="amqtt forwards the bytes and reads no event",
            detail={"floods": measured, "floors": floors},
        )
    ]


def single_of_five(setting: Setting) -> list[Result]:
    """Single events in MQTT 5, whose PUBACKs say what became of them, in turns with MQTT 3.1.1 on one service."""
    data = setting.data("five")
    who = logins(data, users=1, devices=10)
    ratios, rates = [], []
    with Service(data) as service:
        for turn in range(max(setting.repeats, 3)):
            old = flood_for(setting.seconds / 2, service.mqtt, who, f"o{turn}", guess=20_000)
            new = flood_for(setting.seconds / 2, service.mqtt, who, f"n{turn}", guess=20_000, version=5)
            rates.append(new["messages_per_second"])
            ratios.append(rates[-1] / old["messages_per_second"])
            progress(f"  {rates[-1]:,.0f} msg/s, {ratios[-1]:.2f} of MQTT 3.1.1")
    return [
        Result(
            row="single5",
            work="single events in MQTT 5 against MQTT 3.1.1",
            unit="of it",
            values=ratios,
            target="≥ 0.9",
            met=statistics.median(ratios) >= 0.9,
            note=f"{statistics.median(rates):,.0f} msg/s; each PUBACK has stored, duplicate, rejected, seq and epoch",
            detail={"rates": rates},
        )
    ]


def latency(setting: Setting) -> list[Result]:
    """1,000 events a second over 100 connections, timed from the moment each was due."""
    data = setting.data("latency")
    who = logins(data, users=10, devices=10)
    measured = []
    with Service(data, env=OPEN_LIMITS) as service:
        generate(service.mqtt, who, mode="paced", run="warm", rate=1000, messages=1000)
        for turn in range(setting.repeats):
            messages = int(1000 * setting.seconds)
            found = generate(service.mqtt, who, mode="paced", run=f"l{turn}", rate=1000, messages=messages)
            progress(f"  p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms")
            measured.append(found)
    work = "PUBACK latency, 1,000 events/s, 100 connections"
    rows = []
    for name, limit in (("p50", 3.0), ("p99", 15.0)):
        values = [found[f"{name}_ms"] for found in measured]
        rows.append(
            Result(
                row="latency",
                work=f"{work}: {name}",
                unit="ms",
                values=values,
                target=f"≤ {limit:.0f} ms",
                met=statistics.median(values) <= limit,
                note="from the due time",
                detail={"runs": measured},
            )
        )
    return rows


def subscribers(setting: Setting) -> list[Result]:
    """The same, while many listen to the canonical events of other users."""
    return [
        _held(setting, "subscribers", f"{count:,} subscribers of another user each", "≤ 3 ms", count)
        for count in (0, 300, 1_000)
    ]


def devices(setting: Setting) -> list[Result]:
    """The same, while many devices are connected that have a session and a subscription, and do nothing."""
    return [
        _held(setting, "devices", f"{count:,} more devices connected, each with a session", "≤ 3 ms, flat", count)
        for count in (0, 10_000 if setting.full else 2_000)
    ]


def _held(setting: Setting, row: str, beside: str, target: str, count: int) -> Result:
    """PUBACKs of a steady rate beside so many connections, and the service's processor time, which no load changes."""
    data = setting.data(f"{row}-{count}")
    who = logins(data, users=10, devices=10)
    held: list[dict[str, Any]]
    task: dict[str, Any] = {"mode": "hold", "subscribe": True}
    if row == "subscribers":
        held = [asdict(login) for login in readers(data, count)]
    else:
        others = logins(data, users=100, devices=count // 100, named="h") if count else []
        held = [asdict(each) | {"topic": each.receipts} for each in others]
        task["clean"] = False
    with Service(data, env=OPEN_LIMITS) as service:
        holding = start(task | {"address": service.mqtt, "logins": held})
        assert holding.stdout
        holding.stdout.readline()
        generate(service.mqtt, who, mode="paced", run="warm", rate=1000, messages=1000)
        measured, busy = [], []
        process = psutil.Process(service.pid)
        for turn in range(setting.repeats):
            before = sum(process.cpu_times()[:2])
            messages = int(1000 * setting.seconds)
            found = generate(service.mqtt, who, mode="paced", run=f"{row[0]}{turn}", rate=1000, messages=messages)
            busy.append((sum(process.cpu_times()[:2]) - before) / messages * 1e6)
            progress(f"  {count:,} {row}: p50 {found['p50_ms']:.2f} ms, {busy[-1]:.0f} us of CPU an event")
            measured.append(found)
        finish(holding)
    values = [found["p50_ms"] for found in measured]
    return Result(
        row=row,
        work=f"PUBACK p50, 1,000 events/s, {beside}",
        unit="ms",
        values=values,
        target=target,
        met=statistics.median(values) <= 3.0,
        note=f"{statistics.median(busy):.0f} us of the service's CPU an event",
        detail={"runs": measured, "cpu_us": busy},
    )


def depth(setting: Setting) -> list[Result]:
    """The single-event flood on a small and on a large log."""
    large = 20_000_000 if setting.full else 2_000_000
    rates: dict[int, list[float]] = {}
    note = []
    for stored in (100_000, large):
        data = setting.data(f"depth-{stored}")
        progress(f"  filling {stored:,} events")
        took = fill(data / "events.db", stored)
        note.append(f"{stored / 1e6:g} M filled in {took:.0f} s")
        who = logins(data, users=1, devices=10)
        with Service(data) as service:
            rates[stored] = [found["messages_per_second"] for found in floods(setting, service, who, "d", window=500)]
    base = statistics.median(rates[100_000])
    values = [rate / base for rate in rates[large]]
    return [
        Result(
            row="depth",
            work=f"throughput at {large / 1e6:g} M stored against 0.1 M",
            unit="of it",
            values=values,
            target="≥ 0.8 at 20 M",
            met=statistics.median(values) >= 0.8 if setting.full else None,
            note=f"{base:,.0f} msg/s at 0.1 M; {'; '.join(note)}" + ("" if setting.full else "; --full fills 20 M"),
            detail={"rates": rates},
        )
    ]


def idle(setting: Setting) -> list[Result]:
    """Idle TLS connections: resident memory of the service, above that of a service without connections."""
    count = 10_000 if setting.full else 2_000
    data = setting.data("idle")
    progress(f"  registering {count:,} devices")
    who = logins(data, users=100, devices=count // 100)
    with Service(data, env=OPEN_LIMITS) as service:
        process = psutil.Process(service.pid)
        empty = process.memory_info().rss
        generator = start(
            {
                "mode": "hold",
                "address": service.mqtts,
                "ca_file": str(service.ca_file),
                "logins": [asdict(login) for login in who],
            }
        )
        assert generator.stdout
        held = json.loads(generator.stdout.readline() or "{}")
        if held.get("connected") != count:
            finish(generator)
        full = process.memory_info().rss
        finish(generator)
    each = (full - empty) / count
    at_target = (empty + each * 10_000) / MEBIBYTE
    measured = f"{count:,} held: {full / MEBIBYTE:,.0f} MiB, {each / 1024:.1f} KiB each"
    return [
        Result(
            row="idle",
            work="10,000 idle TLS connections",
            unit="MiB",
            values=[at_target],
            target="≤ 1 GiB",
            met=at_target <= 1024 if setting.full else None,
            note=f"{measured}, {count / held['seconds']:,.0f} logins/s" + ("" if setting.full else "; extrapolated"),
            detail={"empty": empty, "full": full, "connections": count},
        )
    ]


def ready(setting: Setting) -> list[Result]:
    """From the start of the process to its ready line, on a directory that was used before."""
    data = setting.data("ready")
    with Service(data) as first:
        first.stop()
    values = []
    for _ in range(max(5, setting.repeats)):
        with Service(data) as service:
            values.append(service.started_in)
    return [
        Result(
            row="ready",
            work="start to ready",
            unit="s",
            values=values,
            target="≤ 1.5 s",
            met=statistics.median(values) <= 1.5,
        )
    ]


def start_of_a_log(setting: Setting) -> list[Result]:
    """From the start of the process to its ready line, with many stored events; and the first PUBACK after it."""
    results = []
    for events in (100_000, 1_000_000, *([20_000_000] if setting.full else [])):
        data = setting.data(f"start-{events}")
        progress(f"  filling {events:,} events")
        fill(data / "events.db", events)
        who = logins(data, users=1, devices=1)
        starts, acks = [], []
        for turn in range(max(5, setting.repeats)):
            began = time.perf_counter()
            with Service(data) as service:
                starts.append(service.started_in)
                generate(service.mqtt, who, run=f"s{turn}", messages=1)
                acks.append(time.perf_counter() - began)
        results.append(
            Result(
                row="start",
                work=f"start to ready with {events / 1e6:g} M stored",
                unit="s",
                values=starts,
                target="≤ 1.5 s",
                met=statistics.median(starts) <= 1.5,
                note=f"first PUBACK after {statistics.median(acks):.2f} s, generator included",
            )
        )
    return results


def recovery(setting: Setting) -> list[Result]:
    """Start to ready after a kill, with a million events that no reader has seen."""
    data = setting.data("recovery")
    progress("  filling 1,000,000 events")
    fill(data / "events.db", 1_000_000)
    who = logins(data, users=1, devices=10)
    values = []
    for turn in range(setting.repeats):
        service = Service(data).start()
        generate(service.mqtt, who, run=f"r{turn}", messages=20_000)
        service.kill()
        began = time.perf_counter()
        with Service(data) as again:
            generate(again.mqtt, who[:1], run=f"a{turn}", messages=1)
            values.append(time.perf_counter() - began)
    return [
        Result(
            row="recovery",
            work="recovery with 1 M events unshipped",
            unit="s",
            values=values,
            target="≤ 3 s",
            met=statistics.median(values) <= 3,
            note="from the start after kill -9 to the first PUBACK, generator included",
        )
    ]


ROWS: dict[str, Callable[[Setting], list[Result]]] = {
    "single": single,
    "single5": single_of_five,
    "batch": batch,
    "latency": latency,
    "subscribers": subscribers,
    "devices": devices,
    "depth": depth,
    "idle": idle,
    "ready": ready,
    "start": start_of_a_log,
    "recovery": recovery,
}
