"""A log on a real PostgreSQL beside one in SQLite: what one service takes, and what bridges that share it take.

Server, broker, bridges and generator share the machine; a run says which of them was busy.
"""

import asyncio
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.bench.external import CONNECTIONS
from tests.support.bench.load import generate
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, floods, progress
from tests.support.external_bridge import BridgeProcess
from tests.support.generator import flood, open_flows
from tests.support.identities import logins
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.postgres import Postgres
from tests.support.service import Service
from tests.support.wire import Login

SIZES: tuple[tuple[int, int, int], ...] = ((1, 500, 40_000), (50, 20, 60_000))
"""Events a message, messages on the way on each connection, and the rate that is wanted on a server."""
BRIDGES = (1, 2, 4)
GUESS = 20_000
PACE = 1_000
"""Single events a second, far from what a log takes."""
WITHIN_S = 120
_GROUP, _PAGE = 1_000, 500


def server() -> Postgres:
    """As an operator would give it room: the tests' own is a small one."""
    return Postgres(shared_buffers="256MB", max_wal_size="2GB")


def stores(setting: Setting) -> list[Result]:
    """One service, its own broker: PUBACKs after the commit, in SQLite and on the server, one after the other.

    As much as it takes, and then 1,000 single events a second, which tells what one commit costs a device.
    """
    results = []
    with server() as postgres:
        for size, window, wanted in SIZES:
            for store in ("SQLite", "PostgreSQL"):
                root = setting.directory / f"store-{store}-{size}"
                root.mkdir()
                data = root / "data" if store == "SQLite" else postgres.directory(root / "data")
                who = logins(data, users=1, devices=10)
                progress(f"  {store}, messages of {size}")
                with Service(data) as service:
                    measured = floods(setting, service, who, "s", events_per_message=size, window=window)
                    paced = _paced(setting, service, who) if size == 1 else []
                results.append(_store_result(store, size, wanted, measured))
                results += [_latency_result(store, name, paced) for name in ("p50", "p99") if paced]
    return results


def _paced(setting: Setting, service: Service, who: Sequence[Login]) -> list[dict[str, Any]]:
    generate(service.mqtt, who, mode="paced", run="warm", rate=PACE, messages=PACE)
    return [
        generate(service.mqtt, who, mode="paced", run=f"p{turn}", rate=PACE, messages=int(PACE * setting.seconds))
        for turn in range(setting.repeats)
    ]


def _latency_result(store: str, name: str, paced: Sequence[dict[str, Any]]) -> Result:
    values = [found[f"{name}_ms"] for found in paced]
    return Result(
        row="stores",
        work=f"PUBACK {name}, {PACE:,} events/s, log on {store}",
        unit="ms",
        values=values,
        target="",
        met=None,
        detail={"paced": paced},
    )


def _store_result(store: str, size: int, wanted: int, measured: list[dict[str, Any]]) -> Result:
    rates = [found["events_per_second"] for found in measured]
    times = [f"{name} {statistics.median(found[f'{name}_ms'] for found in measured):.0f} ms" for name in ("p50", "p99")]
    on_server = store == "PostgreSQL"
    return Result(
        row="stores",
        work=f"one service, log on {store}, messages of {size}",
        unit="events/s",
        values=rates,
        target=f"≥ {wanted:,}/s" if on_server else "",
        met=statistics.median(rates) >= wanted if on_server else None,
        note=f"PUBACK {', '.join(times)}",
        detail={"floods": measured},
    )


def reads(setting: Setting) -> list[Result]:
    """What one follower reads, page after page, of a log that nobody writes."""
    results, events = [], 100_000
    with server() as postgres:
        for store in ("SQLite", "PostgreSQL"):
            root = setting.directory / f"reads-{store}"
            root.mkdir()
            data = setting.data("reads") if store == "SQLite" else postgres.directory(root / "data")
            with open_log(data, seal_new=False) as log:
                for first in range(0, events, _GROUP):
                    group = [item(f"e{n}", f"user{n % 100}") for n in range(first, first + _GROUP)]
                    log.stage(group, [], NOW_US)
                    log.commit()
            rates = []
            with open_reader(data) as reader:
                for _ in range(setting.repeats):
                    began, at = time.perf_counter(), 0
                    while rows := reader.read(at, _PAGE):
                        at = rows[-1].seq
                    assert at == events
                    rates.append(events / (time.perf_counter() - began))
            progress(f"  {store}: {statistics.median(rates):,.0f} events/s read")
            work = f"one follower, log on {store}, pages of {_PAGE}"
            results.append(Result(row="reads", work=work, unit="events/s", values=rates, target="", met=None))
    return results


def bridges(setting: Setting) -> list[Result]:
    """1, 2 and 4 bridges on one log and one Mosquitto, which share all messages."""
    results = []
    for size, _, wanted in SIZES:
        for count in BRIDGES:
            messages = int(GUESS * setting.seconds / (10 if size > 1 else 1))
            found = [
                _shared(setting.directory / f"bridges-{size}-{count}-{turn}", count, messages, size)
                for turn in range(setting.repeats)
            ]
            rates = [each["events_s"] for each in found]
            progress(f"  {count} bridges, messages of {size}: {statistics.median(rates):,.0f} events/s")
            results.append(
                Result(
                    row="bridges",
                    work=f"{count} bridge(s) on one PostgreSQL and one Mosquitto, messages of {size}",
                    unit="events/s",
                    values=rates,
                    target=f"≥ {wanted:,}/s",
                    met=statistics.median(rates) >= wanted,
                    note=", ".join(f"{name} {busy:.2f} cores" for name, busy in found[0]["cores_busy"].items()),
                    detail={"runs": found},
                )
            )
    return results


def _shared(root: Path, count: int, messages: int, events: int) -> dict[str, Any]:
    """One run, until the last event is in the log."""
    root.mkdir()
    broker, plain = Mosquitto(root), free_port()
    users, now = [f"u{number}" for number in range(CONNECTIONS)], time.time_ns() // 1000
    with broker.registry() as registry:
        for user in users:
            registry.add_user(user, "all", now)
            registry.add_device(user, "d", now)
    config = broker.render()
    config.write_text(f"{config.read_text()}\nlistener {plain} 127.0.0.1\n")
    names = ["main", *(f"bridge{number}" for number in range(1, count))]
    with ExitStack() as stack:
        postgres = stack.enter_context(server())
        settings = (postgres.directory(root / "server") / "healthsync.toml").read_text()
        stack.enter_context(broker)
        asyncio.run(broker.provision(*names))
        places = [_place(broker, root, name, plain, settings) for name in names]
        running = [stack.enter_context(BridgeProcess(place)) for place in places]
        reader = stack.enter_context(open_reader(places[0]))
        accounts = [(user, broker.account(f"{user}-d")) for user in users]
        task: dict[str, Any] = {
            "address": ["127.0.0.1", plain], "run": "x", "messages": messages, "events_per_message": events,
            "logins": [
                {"client_id": f"{user}-d", "token": account.password, "topic": f"users/{user}/devices/d/events"}
                for user, account in accounts
            ],
        }  # fmt: skip
        flows = open_flows(task)
        at_work: dict[str, Sequence[subprocess.Popen[Any] | None]] = {
            "postgres": [postgres.process],
            "mosquitto": [broker.process],
            "bridges": [each.process for each in running],
        }
        before = {name: _cpu_s(processes) for name, processes in at_work.items()}
        began = time.perf_counter()
        flood(flows, 100)
        while reader.head() < messages * events:
            time.sleep(0.02)
            assert time.perf_counter() - began < WITHIN_S, running[0].log()
        seconds = time.perf_counter() - began
        busy = {name: round((_cpu_s(each) - before[name]) / seconds, 2) for name, each in at_work.items()}
        for flow in flows:
            flow.connection.close()
    return {
        "bridges": count,
        "events_a_message": events,
        "events_s": round(messages * events / seconds),
        "cores_busy": busy,
    }


def _place(broker: Mosquitto, root: Path, name: str, port: int, settings: str) -> Path:
    """The data directory of a bridge: all have the same broker, registry and server."""
    data = broker.data if name == "main" else root / f"data-{name}"
    if data != broker.data:
        (data / "credentials").mkdir(mode=0o700, parents=True)
        data.chmod(0o700)
        for file in broker.store.directory.iterdir():
            (data / "credentials" / file.name).touch(mode=0o600)
            (data / "credentials" / file.name).write_bytes(file.read_bytes())
    text = f"""
    [external]
    host = "127.0.0.1"
    port = {port}
    tls = false
    share = "all"
    registry_file = "{broker.settings.paths.registry_db}"
    canary = false
    [bridge]
    id = "{name}"
    """
    (data / "healthsync.toml").write_text(f"{text}\n{settings}shared = true\n")
    return data


def _cpu_s(processes: Sequence["subprocess.Popen[Any] | None"]) -> float:
    """Processor seconds that these and what they started have used."""
    wholes = [psutil.Process(each.pid) for each in processes if each is not None]
    used = [each.cpu_times() for whole in wholes for each in (whole, *whole.children(recursive=True))]
    return float(sum(each.user + each.system for each in used))


ROWS: dict[str, Callable[[Setting], list[Result]]] = {"stores": stores, "reads": reads, "bridges": bridges}
