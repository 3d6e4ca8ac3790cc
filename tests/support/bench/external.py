"""The external row of the benchmark: a bridge on a real Mosquitto.

Mosquitto, generator and bridge share the machine; a run counts until the last event is in the log, validated and
fsynced, and says which process was busy.
"""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healthsync_mqtt.storage.opening import open_reader
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.external_bridge import BridgeProcess
from tests.support.generator import flood, open_flows
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port

CONNECTIONS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def row(root: Path, *, protocol: str, tls: bool, canonical: bool, messages: int, events: int) -> dict[str, Any]:
    """One run: publishers as fast as Mosquitto takes them, on a loopback listener without TLS."""
    broker = Mosquitto(root, protocol=protocol, canonical=canonical)
    plain = free_port()
    now = time.time_ns() // 1000
    users = [f"u{number}" for number in range(CONNECTIONS)]
    with broker.registry() as registry:
        for user in users:
            registry.add_user(user, "all", now)
            registry.add_device(user, "d", now)
    config = broker.render()
    config.write_text(f"{config.read_text()}\nlistener {plain} 127.0.0.1\n")
    if not tls:
        file = broker.data / "healthsync.toml"
        text = file.read_text().replace(f"port = {broker.port}", f"port = {plain}")
        file.write_text(text.replace('"localhost"', '"127.0.0.1"') + "tls = false\n")
    with broker:
        asyncio.run(broker.provision())
        logins = [
            {"client_id": name, "token": broker.account(name).password, "topic": f"users/{user}/devices/d/events"}
            for user, name in ((user, f"{user}-d") for user in users)
        ]
        task = {"address": ["127.0.0.1", plain], "logins": logins, "run": "x"}
        task |= {"messages": messages, "events_per_message": events}
        with BridgeProcess(broker.data) as bridge, open_reader(broker.data) as reader:
            assert bridge.process
            assert broker.process
            flows = open_flows(task)
            pids = {"bridge": bridge.process.pid, "mosquitto": broker.process.pid}
            before = {name: cpu_s(pid) for name, pid in pids.items()}
            began = time.perf_counter()
            flood(flows, 100)
            while reader.head() < messages * events:
                time.sleep(0.005)
                assert time.perf_counter() - began < 120, bridge.log()
            seconds = time.perf_counter() - began
            busy = {name: round((cpu_s(pid) - before[name]) / seconds, 2) for name, pid in pids.items()}
            for flow in flows:
                flow.connection.close()
            bridge.end(signal.SIGTERM)
    return {
        "row": f"mosquitto, MQTT {protocol}{', TLS to the bridge' if tls else ''}",
        "events_a_message": events,
        "canonical": canonical,
        "messages_s": round(messages / seconds),
        "events_s": round(messages * events / seconds),
        "cores_busy": busy,
    }


def cpu_s(pid: int) -> float:
    """Processor seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


HOWS: tuple[dict[str, Any], ...] = (
    {"protocol": "5", "tls": False, "canonical": False, "events": 1},
    {"protocol": "3.1.1", "tls": False, "canonical": False, "events": 1},
    {"protocol": "5", "tls": False, "canonical": True, "events": 1},
    {"protocol": "5", "tls": True, "canonical": True, "events": 1},
    {"protocol": "5", "tls": True, "canonical": True, "events": 50},
)
GUESS = 30_000


def mosquitto(setting: Setting) -> list[Result]:
    """Through a real Mosquitto: validated, fsynced, acknowledged to it, and told to the devices."""
    results = []
    for place, how in enumerate(HOWS):
        messages = int(GUESS * setting.seconds / (20 if how["events"] > 1 else 1))
        found = [
            row(setting.data(f"external-{place}-{turn}"), messages=messages, **how) for turn in range(setting.repeats)
        ]
        rates = [each["events_s"] for each in found]
        progress(f"  {found[0]['row']}: {statistics.median(rates):,.0f} events/s")
        single = how["events"] == 1
        results.append(
            Result(
                row="mosquitto",
                work=found[0]["row"]
                + (", canonical events" if how["canonical"] else "")
                + ("" if single else ", of 50"),
                unit="events/s",
                values=rates,
                target="≥ 30,000/s" if single else "",
                met=statistics.median(rates) >= 30_000 if single else None,
                note=", ".join(f"{name} {busy:.2f} cores" for name, busy in found[0]["cores_busy"].items()),
                detail={"runs": found},
            )
        )
    return results


ROWS: dict[str, Callable[[Setting], list[Result]]] = {"mosquitto": mosquitto}
