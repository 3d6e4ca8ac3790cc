"""Kill -9 of the gateway, of the service and of both under load of HTTP: senders, streams and a webhook's receiver.

What was answered with 2xx is stored once. A stream that goes on behind its last event is given each event once, in
order; a webhook's receiver each at least once.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from healthsync_mqtt.storage.opening import open_reader
from tests.support.history import Key
from tests.support.identities import everybody, logins
from tests.support.loopback import served
from tests.support.patience import PATIENCE_S
from tests.support.service import Service
from tests.support.web import Web
from tests.support.wire import Login

_PLAIN: Final = {
    "HEALTHSYNC_GATEWAY__TLS": "false",
    "HEALTHSYNC_GATEWAY__HOST": "127.0.0.1",
    "HEALTHSYNC_GATEWAY__WEBHOOK_HOSTS": "127.0.0.1",
}
_SILENT_S: Final = 5.0
_AGAIN_S: Final = 0.05
_MODULE: Final = "healthsync_mqtt.gateway"
_GONE: Final = (OSError, http.client.HTTPException, WebSocketException, ValueError, EOFError)
WAYS: Final = ("gateway", "service", "both")


class HttpSoakError(Exception):
    """The service did not do what it must for the soak to go on; the message says what."""


@dataclass(slots=True)
class Told:
    """What somebody who listens was told, in order; ``again`` allows for the same twice."""

    name: str
    again: bool
    #: whose events it is told of; everybody's without one
    user: str | None = None
    keys: list[Key] = field(default_factory=list)
    seqs: list[tuple[str, int]] = field(default_factory=list)
    lives: int = 0

    def take(self, event: dict[str, Any]) -> None:
        self.keys.append(Key(event["user_id"], event["id"]))
        self.seqs.append((event["user_id"], event["seq"]))

    def misses(self, stored: Iterable[Key]) -> set[Key]:
        """What it has to be told of yet."""
        return {key for key in stored if self.user in {None, key.user}} - set(self.keys)

    def wrong(self, stored: dict[Key, int]) -> Iterator[str]:
        """Compare with what the log has."""
        if missing := self.misses(stored):
            yield f"{self.name} was not told of {len(missing)} events, such as {sorted(missing)[:3]}"
        if not self.again and len(set(self.keys)) != len(self.keys):
            yield f"{self.name} was told of {len(self.keys) - len(set(self.keys))} events twice"
        if invented := set(self.keys) - stored.keys():
            yield f"{self.name} was told of {len(invented)} events that are not stored"
        if not self.again:
            last: dict[str, int] = {}
            for user, seq in self.seqs:
                if seq <= last.get(user, 0):
                    yield f"{self.name} was told of seq {seq} of {user} behind {last[user]}"
                last[user] = seq


@dataclass(slots=True, kw_only=True)
class HttpSoak:
    """One run on one data directory; ``with`` starts the load, and ends it."""

    data: Path
    rng: random.Random
    sent: set[Key] = field(default_factory=set)
    answered: set[Key] = field(default_factory=set)
    told: list[Told] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    violations: list[str] = field(default_factory=list)
    _service: Service = field(init=False)
    _url: str = ""
    _sending: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._service = Service(self.data, "--http-port", "0", env=_PLAIN)

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Senders, streams and a receiver at work; in the end everything is sent, told and compared."""
        who = logins(self.data, users=2, devices=2)
        (reader,) = everybody(self.data, 1)
        with _receiver(self._told("the webhook", again=True), self.rng) as hook:
            try:
                self.start()
                admin = Web(self._url, "").as_(self._service.cli("admin", "add", "root")[0]["token"])
                made = admin.post("/v1/webhooks", {"name": "hook", "subscriber": reader.client_id, "url": hook})
                assert made.status == 200, made.body
                self._sending.set()
                for login in who:
                    self._work(self._send, login, random.Random(self.rng.random()))
                for user, login in (("u0", who[0]), ("u1", who[2]), (None, reader)):
                    told = self._told(f"the stream of {user or 'all'}", user=user)
                    self._work(self._listen, told, login, random.Random(self.rng.random()))
                told = self._told("the WebSocket of u0", user="u0")
                self._work(self._talk, told, who[0], random.Random(self.rng.random()))
                yield
                self._sending.clear()
                self._until(lambda: self.sent == self.answered, "everything that was sent is answered")
                self._compare()
            finally:
                self._sending.clear()
                self._over.set()
                for thread in self._threads:
                    thread.join(PATIENCE_S)
                if self._service.running:
                    self._service.kill()

    def start(self) -> None:
        """Start the service, and tell the load where it is."""
        self._service.start()
        self._url = self._service.ready["http"]

    def kill(self, way: str) -> None:
        """One fault under load, and what it takes until HTTP is answered again."""
        before = len(self.answered)
        self._until(lambda: len(self.answered) > before, "events are answered")
        time.sleep(self.rng.uniform(0, 0.4))
        if way in {"gateway", "both"}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._gateway(), signal.SIGKILL)
        if way in {"service", "both"}:
            if way == "both":
                time.sleep(self.rng.uniform(0, 0.6))  # the next gateway may be starting
            self._url = ""
            self._service.kill()
            self.start()
        self.faults[way] += 1
        before = len(self.answered)
        self._until(lambda: len(self.answered) > before, f"events are answered after the end of {way}")

    def _gateway(self) -> int:
        found: list[int] = []

        def alive() -> bool:
            asked = subprocess.run(
                ["ps", "-o", "pid=,args=", "--ppid", str(self._service.pid)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            found[:] = [int(line.split()[0]) for line in asked.stdout.splitlines() if _MODULE in line]
            return bool(found)

        self._until(alive, "there is a gateway")
        return found[0]

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > until:
                raise HttpSoakError(f"not within {PATIENCE_S} s: {what}\n{self._service.log_tail()}")
            time.sleep(0.02)

    def _compare(self) -> None:
        stored: dict[Key, int] = {}
        with open_reader(self.data) as reader:
            at = 0
            while rows := reader.read(at, 5_000, history=True):
                for row in rows:
                    key = Key(row.user, row.id)
                    if key in stored:
                        self.violations.append(f"{key} is stored twice")
                    stored[key] = at = row.seq
        for key in self.answered - stored.keys():
            self.violations.append(f"{key} was answered with 2xx and is not stored")
        for told in self.told:
            with contextlib.suppress(HttpSoakError):
                self._until(lambda told=told: not told.misses(stored), f"{told.name} is told of all")
            self.violations += told.wrong(stored)

    def _told(self, name: str, *, again: bool = False, user: str | None = None) -> Told:
        self.told.append(Told(name, again, user))
        return self.told[-1]

    def _work(self, work: Callable[..., None], *about: Any) -> None:
        thread = threading.Thread(target=work, args=about, name=work.__name__)
        self._threads.append(thread)
        thread.start()

    def _send(self, login: Login, rng: random.Random) -> None:
        """Batches, each again until it is answered with 2xx, now and then on a new connection."""
        count, connection, url = 0, None, ""
        while self._sending.is_set() and not self._over.is_set():
            names = [f"{login.device}-{count + place}" for place in range(rng.choice((1, 1, 7, 40)))]
            count += len(names)
            keys = {Key(login.user, name) for name in names}
            self.sent |= keys
            body = json.dumps([_event(name) for name in names])
            while not self._over.is_set():
                try:
                    if connection is None or url != self._url or rng.random() < 0.1:
                        connection, url = _closed(connection), self._url
                        connection = _connection(url, login)
                    connection.request("POST", "/v1/events", body, _authorization(login))
                    answer = connection.getresponse()
                    answer.read()
                    if 200 <= answer.status < 300:
                        self.answered |= keys
                        break
                    if answer.status not in {401, 429, 503}:
                        self.violations.append(f"a good batch was answered with {answer.status}")
                except _GONE:
                    connection = _closed(connection)
                time.sleep(_AGAIN_S)
            time.sleep(rng.uniform(0, 0.05))
        _closed(connection)

    def _listen(self, told: Told, login: Login, rng: random.Random) -> None:
        """Server-Sent Events, from the earliest on; it goes away now and then, and goes on behind the last event."""
        last = ""
        while not self._over.is_set():
            connection: http.client.HTTPConnection | None = None
            with contextlib.suppress(*_GONE):
                connection = _connection(self._url, login)
                headers = _authorization(login) | ({"Last-Event-ID": last} if last else {})
                connection.request("GET", f"/v1/stream?from=earliest{_of(told)}", headers=headers)
                answer = connection.getresponse()
                told.lives += 1
                until = time.monotonic() + rng.choice((0.5, 3.0, 30.0))
                for name, event in _frames(answer):
                    told.take(event)
                    last = name
                    if self._over.is_set() or time.monotonic() > until:
                        break
            _closed(connection)
            time.sleep(_AGAIN_S)

    def _talk(self, told: Told, login: Login, rng: random.Random) -> None:
        """The same by WebSocket."""
        last = ""
        while not self._over.is_set():
            with contextlib.suppress(*_GONE):
                begins = f"last_event_id={last}" if last else "from=earliest"
                url = f"{self._url.replace('http', 'ws', 1)}/v1/stream?{begins}{_of(told)}"
                with connect(url, additional_headers=_authorization(login), compression=None) as talk:
                    told.lives += 1
                    until = time.monotonic() + rng.choice((0.5, 3.0, 30.0))
                    while time.monotonic() < until and not self._over.is_set():
                        event = json.loads(talk.recv(_SILENT_S))
                        told.take(event)
                        last = str(event["seq"])
            time.sleep(_AGAIN_S)


def _event(name: str) -> dict[str, Any]:
    return {"id": name, "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 70}}


def _of(told: Told) -> str:
    return f"&user={told.user}" if told.user else ""


def _authorization(login: Login) -> dict[str, str]:
    return {"Authorization": f"Bearer {login.token}"}


def _connection(url: str, login: Login) -> http.client.HTTPConnection:
    if not url:
        raise ConnectionRefusedError
    connection = Web(url, "").as_(login.token or "").connection()
    connection.timeout = _SILENT_S
    return connection


def _closed(connection: http.client.HTTPConnection | None) -> None:
    if connection is not None:
        connection.close()


def _frames(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whole events: what ends within one has not come."""
    name, data = "", ""
    for raw in answer:
        line = raw.decode()
        if line.startswith("id: "):
            name = line[4:].strip()
        elif line.startswith("data: "):
            data = line[6:]
        elif line == "\n" and data:
            yield name, json.loads(data)
            data = ""


@contextlib.contextmanager
def _receiver(told: Told, rng: random.Random) -> Iterator[str]:
    """The URL of a webhook's other side: it takes events, and at times takes them and answers nothing."""
    chance = random.Random(rng.random())

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            for event in said.get("data", {}).get("events", ()):
                told.take(event)
            told.lives += 1
            if chance.random() < 0.02:
                self.close_connection = True
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with served(Receiver) as url:
        yield f"{url}/hook"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOutcome:
    """The figures of a run; ``violations`` is empty when every promise held."""

    faults: dict[str, int]
    answered: int
    streams: int
    deliveries: int
    violations: tuple[str, ...]


def run_http(seed: int, kills: int, directory: Path, say: Callable[[str], None]) -> HttpOutcome:
    """``kills`` of the gateway, the service and both, in an order that the seed decides; each way at least once."""
    rng = random.Random(seed)
    ways = [WAYS[number % len(WAYS)] for number in range(kills)]
    rng.shuffle(ways)
    soak = HttpSoak(data=directory / "data", rng=rng)
    with soak.load():
        for number, way in enumerate(ways, 1):
            soak.kill(way)
            if number % 10 == 0:
                say(f"{number} kills, {len(soak.answered)} answered, {len(soak.violations)} violations")
                for line in soak.violations:
                    say(f"  {line}")
    return HttpOutcome(
        faults=soak.faults,
        answered=len(soak.answered),
        streams=sum(told.lives for told in soak.told if not told.again),
        deliveries=sum(told.lives for told in soak.told if told.again),
        violations=tuple(soak.violations),
    )
