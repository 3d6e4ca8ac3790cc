"""The attackers: a process of its own, so that its work is not taken for the bystander's wait."""

import contextlib
import selectors
import socket
import ssl
import time
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Connect
from tests.support.floods.kinds import KINDS, Kind
from tests.support.wire import Login, tls_context

_UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to send where. ``kinds`` go round by connection."""

    kinds: tuple[str, ...]
    logins: tuple[Login, ...]
    mqtt: tuple[str, int]
    wss: tuple[str, int]
    ca_file: Path
    seconds: float


class Attacker:
    """One connection that writes its block again and again and throws away what it is sent."""

    def __init__(self, task: Task, kind: Kind, login: Login) -> None:
        self.task = task
        self.kind = kind
        self.login = login
        self.block = kind.block(login)
        self.at = 0
        self.socket = self._opened()

    def _opened(self) -> socket.socket:
        task, kind = self.task, self.kind
        raw = socket.create_connection(task.wss if kind.web else task.mqtt, timeout=10)
        if kind.web:
            raw = tls_context(task.ca_file).wrap_socket(raw, server_hostname="localhost")
            raw.sendall(_UPGRADE)
            raw.recv(4096)
        if kind.login:
            name, token = self.login.client_id, (self.login.token or "").encode()
            asked = encode(Connect(name, True, 600, name, token))
            raw.sendall(b"\x82\xfe" + len(asked).to_bytes(2, "big") + b"\0\0\0\0" + asked if kind.web else asked)
            raw.recv(64)
        raw.setblocking(False)
        return raw

    def write(self) -> None:
        """Write what the socket takes."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self.at = (self.at + self.socket.send(self.block[self.at :])) % len(self.block)

    def read(self) -> bool:
        """Read and throw away; False at the end."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return bool(self.socket.recv(1 << 20))
        return True


def attack(task: Task, ended_at: "Synchronized[float]") -> None:
    """Flood for the task's time. ``ended_at``: when (monotonic) the service last closed one of the connections."""
    kinds = {kind.name: kind for kind in KINDS}
    selector = selectors.DefaultSelector()
    until = time.monotonic() + task.seconds
    for number, login in enumerate(task.logins):
        with contextlib.suppress(OSError):
            attacker = Attacker(task, kinds[task.kinds[number % len(task.kinds)]], login)
            selector.register(attacker.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, attacker)
    while time.monotonic() < until:
        for key, mask in selector.select(0.1):
            attacker = key.data
            try:
                alive = attacker.read() if mask & selectors.EVENT_READ else True
                if mask & selectors.EVENT_WRITE:
                    attacker.write()
            except OSError:
                alive = False
            if not alive:
                ended_at.value = time.monotonic()
                selector.unregister(attacker.socket)
                attacker.socket.close()
                if not attacker.kind.login:
                    with contextlib.suppress(OSError):
                        attacker.socket = attacker._opened()
                        selector.register(attacker.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, attacker)
        if not selector.get_map():
            time.sleep(0.05)
