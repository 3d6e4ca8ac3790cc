# long: one rig of broker, bridges, devices and what is checked of them
"""A broker, its bridges and devices that never stop, and the comparison of what devices were told with the logs.

Devices are the real client: they delete an event when they have its receipt. Whatever is killed or cut, what a device
was told is stored, everything it sent is stored in the end, and each event is stored once in one log.
"""

import asyncio
import contextlib
import json
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.certificates.files import renew_server
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.links.client import MqttTransport
from healthsync_mqtt.mqtt.links.manners import BEST, OLD, Manners
from healthsync_mqtt.mqtt.links.port import ClientLogin
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.config import made as made_sink
from healthsync_mqtt.storage.anchor import AnchorFile
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.sqlite.comparison import anchor_path
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from tests.support.device import Device, Door
from tests.support.external_bridge import BridgeProcess, Proxy, Wire
from tests.support.history import History
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S
from tests.support.postgres import Postgres, database_of
from tests.support.rabbitmq import RabbitMq
from tests.support.shifted import WallClock
from tests.support.soak.putting_back import copy_log, put_back
from tests.support.soak.surroundings import shown_serial
from tests.support.wire import Login, tls_context

USERS = 4
MANNERS = (BEST, OLD)
"""How the clients of one user after the other greet the broker: in MQTT 5, and in 3.1.1 alone."""
UNSURE = {"z4": 4, "z5": 5}
"""Users whose devices send at QoS 0, by version of MQTT: a broker may lose it, unless it has a receipt."""
_RECEIPT_S = 3.0
WINDOW = 10
_ANSWER_S = 120.0
ORDERED = "seq"
"""A user whose device sends one after the other and never twice, as long as the broker lives."""
_AHEAD = 20_000
"""Messages that it is ahead of the log, at most: what a bridge that is killed again and again has before it at last."""


PAYLOAD = b'{"id":"%b","type":"heart_rate","start_time":"2025-11-23T06:00:00Z","value":{"bpm":60}}'


@dataclass(slots=True, kw_only=True)
class Rig:
    """One broker, its bridges, and devices that never stop."""

    root: Path
    rng: random.Random
    bridges: Sequence[tuple[str, str]] = (("main", ""),)
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    ordered: bool = True
    #: All bridges write one log there, share all messages, and have one registry there, too.
    postgres: Postgres | None = None
    #: the ports of all servers that may be the primary; else that one alone
    hosts: Sequence[int] = ()
    #: at which ports each bridge reaches them; else at their own
    bridge_hosts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: a file system of its own for the log's tables
    disk: Path | None = None
    #: The broker is a RabbitMQ, which speaks 3.1.1 alone.
    rabbitmq: bool = False
    #: Devices correct some of what they sent, and bridges ship it into files; all of them have the directory of sinks.
    corrections: bool = False
    ships: bool = False
    #: by user and id, the newest version that was receipted, where that is a correction
    corrected: dict[tuple[str, str], int] = field(default_factory=dict)
    #: the last row that has to be in the sink
    shipped_through: int = 0
    #: Bridges are ``healthsync bridge run``.
    by_command: bool = False
    #: Bridges try the broker's rules before they work.
    canary: bool = False
    sending: bool = True
    broker: Mosquitto = field(init=False)
    clock: WallClock = field(init=False)
    processes: dict[str, BridgeProcess] = field(default_factory=dict)
    #: of the devices, by user
    accounts: dict[str, ClientLogin] = field(default_factory=dict)
    #: what the devices of QoS 0 sent and heard
    unsure: History = field(default_factory=History)

    def __post_init__(self) -> None:
        names = tuple(name for name, _ in self.bridges)
        self.broker = RabbitMq(self.root, bridges=names) if self.rabbitmq else Mosquitto(self.root)
        self.clock = WallClock(self.root / "clock")
        now = time.time_ns() // 1000
        if self.postgres is not None:
            self.postgres.directory(self.root / "server", disk=self.disk)
            (self.root / "server" / "healthsync.toml").write_text(self._storage(self.hosts))
            with (self.broker.data / "healthsync.toml").open("a") as settings:
                settings.write(self._storage(self.hosts, shared=True))
        with DataDirectory(self.broker.data).changing() as change:
            for user in (*(f"u{number}" for number in range(USERS)), *UNSURE, ORDERED):
                change.registry.add_user(user, "all", now)
                change.registry.add_device(user, "d", now)
        if self.postgres is not None:  # bridges have the same keys: they are made before they are copied
            with self.broker.registry() as registry:
                DataDirectory(self.broker.data).device_identity(registry.device(ORDERED, "d"))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Broker, proxy and bridges; devices at work while the body runs, and until all of theirs is receipted."""
        self.broker.start()
        if not self.rabbitmq:
            await self.broker.provision(*(name for name, _ in self.bridges))
        for user in (*(f"u{number}" for number in range(USERS)), *UNSURE, ORDERED):
            self.accounts[user] = self.broker.device_account(user, "d")
        async with Proxy(self.broker.port) as proxy:
            for name, part in self.bridges:
                how = ["--shard", part] if part else []
                self.processes[name] = BridgeProcess(
                    self._data(name, proxy.port), *how, env=self.clock.env, by_command=self.by_command
                )
            tasks: list[asyncio.Task[None]] = []
            unsure: list[asyncio.Task[None]] = []
            try:
                for process in self.processes.values():
                    process.start(wait=False)
                for process in self.processes.values():
                    await asyncio.to_thread(process.wait_ready)
                tasks = [asyncio.create_task(self._device(number)) for number in range(USERS)]
                unsure = [asyncio.create_task(self._unsure(user).run()) for user in UNSURE]
                if self.ordered:
                    tasks.append(asyncio.create_task(self.in_order(0)))
                yield proxy
                self.sending = False
                async with asyncio.timeout(PATIENCE_S):
                    await asyncio.gather(*tasks)
                    # The ordered device waits for no receipt: what it sent may still wait at the broker.
                    while self.stored(ORDERED) < len(self.acknowledged.get(ORDERED, [])):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                    if self.ships:
                        await self._shipped_up()
            except TimeoutError:
                self.violations.append(
                    f"after {PATIENCE_S:g} s on a healthy system events have no receipt, or are not in the sink"
                )
            finally:
                for task in (*tasks, *unsure):
                    task.cancel()
                await asyncio.gather(*tasks, *unsure, return_exceptions=True)
                for process in self.processes.values():
                    await asyncio.to_thread(process.end)
                self.broker.end()

    def _data(self, name: str, port: int) -> Path:
        """The data directory of a bridge: its own log, the broker through the proxy."""
        data = self.broker.data if name == self.bridges[0][0] else self.root / f"data-{name}"
        if data != self.broker.data:
            data.mkdir(mode=0o700)
            credentials = data / "credentials"
            credentials.mkdir(mode=0o700)
            for file in self.broker.store.directory.iterdir():
                (credentials / file.name).touch(mode=0o600)
                (credentials / file.name).write_bytes(file.read_bytes())
        if self.ships and data == self.broker.data:
            Sinks(data).put(made_sink(kind="file", name="file", path=str(self.shipped)))
        elif self.ships:
            (data / "sinks").symlink_to(self.broker.data / "sinks")
        registry_file = f'registry_file = "{self.broker.settings.paths.registry_db}"'
        text = f"""
        [external]
        host = "localhost"
        port = {port}
        ca_file = "{self.broker.certificates.ca_cert}"
        {registry_file if self.postgres is None else ""}
        canary = {str(self.canary).lower()}
        keep_alive_s = 5
        [bridge]
        id = "{name}"
        """
        if self.postgres is not None:
            if not any(part for _, part in self.bridges):
                text = text.replace("[external]", '[external]\nshare = "all"')
            text += self._storage(self.bridge_hosts.get(name, self.hosts), shared=True, home=data == self.broker.data)
            if data != self.broker.data:
                shutil.copytree(self.broker.data / "keys", data / "keys")
        (data / "healthsync.toml").write_text(text)
        return data

    def _storage(self, hosts: Sequence[int], *, shared: bool = False, home: bool = True) -> str:
        """The settings of a log on the server behind these ports; ``shared``: and of a registry there."""
        assert self.postgres is not None
        secret = self.root / "server" / "secret"
        named = ",".join(f"127.0.0.1:{port}" for port in hosts or (self.postgres.port,))
        asked = "?target_session_attrs=read-write" if len(hosts) > 1 else ""
        url = f"postgresql://healthsync@{named}/{database_of(self.root / 'server')}{asked}"
        place = f'url = "{url}"\npassword_file = "{secret}"\n'
        registry = f"[registry]\n{place}home = {str(home).lower()}\n"
        return f"[storage]\n{place}" + (f"shared = true\n{registry}" if shared else "")

    @property
    def logs(self) -> dict[str, Path]:
        """The data directories of the logs there are, by the bridge; of a shared one the way around the bridges'."""
        if self.postgres is not None:
            return {self.bridges[0][0]: self.root / "server"}
        return {name: self.processes[name].data for name, _ in self.bridges}

    async def _device(self, number: int) -> None:
        user = f"u{number}"
        account = self.accounts[user]
        login = Credentials(
            user_id=user, device_id="d", client_id=account.client_id, username=account.username, token=account.password
        )
        self.acknowledged.setdefault(user, [])
        made = 0
        client = DeviceClient(
            "localhost",
            self.broker.port,
            credentials=login,
            ca_file=self.broker.certificates.ca_cert,
            receipt_timeout=_RECEIPT_S,
            keep_alive=5,
            batch_size=1,
            backoff=Backoff(first=0.1, longest=0.5),
            wait_connected=False,
        )
        assert isinstance(client._transport, MqttTransport)
        best = OLD if self.rabbitmq else MANNERS[number % len(MANNERS)]
        client._transport = replace(client._transport, manners=Manners(best))
        async with client:
            waiting: set[asyncio.Task[None]] = set()
            versions: dict[str, int] = {}
            while self.sending:
                names = [f"{user}-{made + place}" for place in range(self.rng.choice((1, 5, 20)))]
                made += len(names)
                sent = dict.fromkeys(names, 0)
                if self.corrections and self.rng.random() < 0.3:  # also of what is on its way
                    again = f"{user}-{self.rng.randrange(made)}"
                    sent[again] = versions[again] = versions.get(again, 0) + 1
                waiting.add(task := asyncio.create_task(self._publish(client, user, sent)))
                task.add_done_callback(waiting.discard)
                await asyncio.sleep(self.rng.uniform(0, 0.02) if len(waiting) < WINDOW else 0.1)
                while len(waiting) >= WINDOW and self.sending:
                    await asyncio.wait(waiting, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*waiting)
            await client.drain()  # and what a log that was put back made it send again

    async def _publish(self, client: DeviceClient, user: str, sent: Mapping[str, int]) -> None:
        """``sent``: ids and versions; one that is not 0 is a correction."""
        event = {"type": "heart_rate", "start_time": "2025-11-23T06:00:00Z"}
        events = [
            event | {"id": name, "value": {"bpm": 60 + version % 99}} | ({"version": version} if version else {})
            for name, version in sent.items()
        ]
        results = await client.publish(events)
        self.acknowledged[user] += sent
        for name, version in sent.items():
            if version > self.corrected.get((user, name), 0):
                self.corrected[user, name] = version
        if results.rejected:
            self.violations.append(f"{user}: events were rejected")

    def _unsure(self, user: str) -> Device:
        """A device of QoS 0: nothing but its receipt says that a message has come."""
        account = self.accounts[user]
        login = Login(client_id=account.client_id, token=account.password, user=user, device="d")
        context = tls_context(self.broker.certificates.ca_cert)
        door = Door(host="localhost", port=self.broker.port, context=context)
        rng = random.Random(self.rng.random())
        return Device(
            login=login, history=self.unsure, rng=rng, where=lambda: door, qos=0,
            version=4 if self.rabbitmq else UNSURE[user], silence=_RECEIPT_S,
        )  # fmt: skip

    async def in_order(self, messages: int) -> None:
        """Send while others send (or ``messages`` at once); the broker's PUBACK is what this device counts."""
        told = self.acknowledged.setdefault(ORDERED, [])
        # A loaded broker that answers late has lost nothing: only the length of the run bounds this wait.
        async with talk(replace(self.broker.address, timeout=_ANSWER_S)) as device:
            await device.login(self.accounts[ORDERED])
            goal, free, seen = len(told) + messages, len(told) + _AHEAD, dict.fromkeys(self.logs, (0, 0))
            while self.sending if not messages else len(told) < goal:
                names = [f"{ORDERED}-{len(told) + place}" for place in range(50 if messages else 10)]
                await device.publish_all(
                    f"users/{ORDERED}/devices/d/events", [PAYLOAD % name.encode() for name in names]
                )
                told += names
                await asyncio.sleep(0 if messages else 0.01)
                while not messages and len(told) >= free and self.sending:
                    free = await asyncio.to_thread(self._seen, seen) + _AHEAD
                    await asyncio.sleep(0 if len(told) < free else 0.2)

    def _seen(self, seen: dict[str, tuple[int, int]]) -> int:
        """How many events of the ordered device are stored, read in short steps: a bridge that starts waits for them.

        ``seen`` is how far this has come in each log, and how many it has found there.
        """
        for name, data in self.logs.items():
            place, found = seen[name]
            with contextlib.suppress(HealthSyncError), open_reader(data) as reader:  # its server may be killed now
                while rows := reader.read(place, 500, user=ORDERED):
                    place, found = rows[-1].seq, found + len(rows)
            seen[name] = place, found
        return sum(found for _, found in seen.values())

    def fault(self, name: str) -> None:
        self.faults[name] = self.faults.get(name, 0) + 1

    async def kill_bridge(self, name: str = "main", *, away: bool = False) -> None:
        self.fault("bridge kill -9")
        await asyncio.sleep(self.rng.uniform(0.02, 0.3))
        await asyncio.to_thread(self.processes[name].kill)
        if not away:
            await asyncio.to_thread(self.processes[name].start)

    async def kill_broker(self) -> None:
        self.fault("broker kill -9")
        await asyncio.sleep(self.rng.uniform(0.05, 0.5))
        await asyncio.to_thread(self.broker.kill)
        await asyncio.sleep(self.rng.uniform(0, 0.2))
        await asyncio.to_thread(self.broker.start)

    async def restore(self) -> None:
        """The bridge's log of some moments ago is put back: devices that know a receipt send again what it lacks."""
        bridge = self.processes["main"]
        log, copy = bridge.data / "events.db", self.root / "backup.db"
        await asyncio.sleep(self.rng.uniform(0.1, 0.5))
        await asyncio.to_thread(copy_log, log, copy)
        with SqliteLogReader.open(copy) as reader:
            copied = reader.head()
        until = time.monotonic() + PATIENCE_S
        while (anchor := AnchorFile(anchor_path(log)).read()) is None or anchor.head <= copied:
            assert time.monotonic() < until, "the anchor does not move on"
            await asyncio.sleep(0.05)
        await asyncio.to_thread(bridge.kill)
        put_back(copy, log)
        await asyncio.to_thread(bridge.start, wait=False)
        if await asyncio.to_thread(bridge.wait_end) == 0 or "--accept-restored" not in bridge.log():
            self.violations.append("a log that was put back was opened without a word")
        await asyncio.to_thread(bridge.start, "--accept-restored")
        self.fault("restore")

    async def hang(self, seconds: float) -> None:
        """The bridge is stopped, longer than its broker waits for a sign of life; then it goes on."""
        await asyncio.sleep(self.rng.uniform(0.1, 0.5))
        self.processes["main"].send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.processes["main"].send(signal.SIGCONT)
        self.fault("SIGSTOP")

    async def jump(self, seconds: float) -> None:
        """The bridge's clock moves under load, and is put right."""
        await asyncio.sleep(self.rng.uniform(0.1, 0.5))
        self.clock.shift(seconds)
        await asyncio.sleep(0.5)
        self.clock.shift(0)
        self.fault("clock jump")

    async def swap_certificate(self, proxy: Proxy) -> None:
        """The broker gets a new certificate, and everybody has to connect anew."""
        serial = renew_server(self.broker.data / "certs", ["localhost"], datetime.now(UTC)).serial_number
        assert self.broker.process
        self.broker.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE_S
        while await asyncio.to_thread(shown_serial, ("localhost", self.broker.port)) != serial:
            assert time.monotonic() < until, "the broker does not take its new certificate up"
            await asyncio.sleep(0.05)
        proxy.reset()
        self.fault("certificate swap")
        await asyncio.sleep(self.rng.uniform(0.1, 0.5))

    async def break_wire(self, proxy: Proxy) -> None:
        how = self.rng.choice(("reset", "slow", "silent"))
        self.fault(f"network {how}")
        if how == "reset":
            proxy.reset()
        else:
            proxy.wire = Wire.SLOW if how == "slow" else Wire.SILENT
            await asyncio.sleep(self.rng.uniform(0.5, 2.0 if how == "slow" else 12.0))
            proxy.wire = Wire.WHOLE
        await asyncio.sleep(self.rng.uniform(0.1, 0.5))

    def stored(self, user: str) -> int:
        """How many events of a user are in all logs together."""
        total = 0
        for data in self.logs.values():
            with open_reader(data) as reader:
                total += len(reader.read(0, 10_000_000, user=user))
        return total

    @property
    def shipped(self) -> Path:
        """Where the sink writes."""
        return self.root / "shipped"

    def _lines(self) -> list[dict[str, Any]]:
        """What the sink has written; the last line may be half of one while it writes."""
        found = []
        for file in sorted(self.shipped.glob("events-*.ndjson")):
            found += [json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return found

    async def _shipped_up(self) -> None:
        """Wait until what is stored now is in the sink; devices that are not sure of their messages still send."""
        (data,) = self.logs.values()
        with open_reader(data) as reader:
            self.shipped_through = reader.head()
            while (reader.cursor("sink:file") or 0) < self.shipped_through:  # noqa: ASYNC110  # another process ships
                await asyncio.sleep(0.2)

    def _check_corrections(self, latest: Mapping[tuple[str, str], Record]) -> None:
        """``latest``: by user and id, the row that the log calls so."""
        newest = {key: row.version for key, row in latest.items()}
        for key, version in self.corrected.items():
            if newest.get(key, -1) < version:
                self.violations.append(f"{key}: version {version} has a receipt, and the log has {newest.get(key)}")
        if not self.ships:
            return
        there: dict[tuple[str, str], int] = {}
        for line in self._lines():
            key = line["user_id"], line["id"]
            there[key] = max(line["version"], there.get(key, 0))
        for key, row in latest.items():
            if row.seq <= self.shipped_through and there.get(key, -1) < row.version:
                self.violations.append(f"{key}: the log has version {row.version}, and the sink {there.get(key)}")

    def check(self) -> int:
        """Compare what devices were told with what is in the logs; how many events are stored."""
        stored: dict[str, list[str]] = {}
        latest: dict[tuple[str, str], Record] = {}
        parts = dict(self.bridges)
        for name, data in self.logs.items():
            shard = parts[name] if self.postgres is None else ""
            with open_reader(data) as reader:
                rows = reader.read(0, 10_000_000, history=True)
                latest |= {(row.user, row.id): row for row in reader.read(0, 10_000_000)}
            if len(rows) != len({(row.user, row.id, row.version) for row in rows}):
                self.violations.append(f"{name}: an event is stored twice in one log")
            if not self.corrections and len(rows) != len({(row.user, row.id) for row in rows}):
                self.violations.append(f"{name}: an event has two versions, and nobody corrected it")
            positions: dict[str, list[int]] = {}
            for row in rows:
                positions.setdefault(row.user, []).append(row.position)
                if not Shard.parse(shard).owns(row.user):
                    self.violations.append(f"{name}: {row.user} belongs to another shard")
                stored.setdefault(row.user, []).append(row.id)
            for user, found in positions.items():
                if found != list(range(1, len(found) + 1)):
                    self.violations.append(f"{name}: the positions of {user} are not 1 to {len(found)}, in order")
        self._check_corrections(latest)
        self.violations += self.unsure.violations
        # A log that was put back lacks what only a device that is sure of its messages sends again.
        lossy = self.faults.keys() & {"restore", "failover that loses"}
        sure = () if lossy else UNSURE
        told_of = {user: [key.id for key in self.unsure.receipted if key.user == user] for user in sure}
        for user, told in (self.acknowledged | told_of).items():
            if missing := set(told) - set(stored.get(user, [])):
                self.violations.append(f"{user}: {len(missing)} events with a receipt are not stored")
            numbers = [int(name.rpartition("-")[2]) for name in stored.get(user, [])]
            if user == ORDERED and numbers != sorted(numbers):
                self.violations.append(f"{user}: the order of the events was not kept")
        for user in UNSURE:
            if unknown := set(stored.get(user, ())) - {key.id for key in self.unsure.sent if key.user == user}:
                self.violations.append(f"{user}: {len(unknown)} events are stored that were not sent")
        return sum(map(len, stored.values()))
