"""The attackers: a process of its own, so that its work is not taken for the bystander's wait."""

import contextlib
import re
import selectors
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.sharedctypes import SynchronizedArray
from multiprocessing.synchronize import Event
from pathlib import Path

from healthsync_mqtt.mqtt.codec import encode, v5
from healthsync_mqtt.mqtt.codec.packets import Connect, Property
from tests.support.floods.frames import frame
from tests.support.floods.kind import Kind, Over
from tests.support.floods.kinds import KINDS
from tests.support.wire import Login, tls_context

_UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)
_ACCEPTED = b"\x20\x02\x00\x00"
_ACCEPTED5 = re.compile(rb"\x20.\x00\x00", re.DOTALL)
_BUSY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_AGAIN_S = 0.02
_PIECES = 500
"""Pieces that one connection writes before the others have their turn."""
_OVER_TLS = {Over.TLS, Over.WEB, Over.HTTP}
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to send where. ``kinds`` go round by connection."""

    kinds: tuple[str, ...]
    logins: tuple[Login, ...]
    mqtt: tuple[str, int]
    mqtts: tuple[str, int]
    wss: tuple[str, int]
    ca_file: Path
    seconds: float


class Attacker:
    """One connection that writes its block again and again and throws away what it is sent.

    Each has an address of its own, so that limits by address do not protect the service from all of them together.
    """

    def __init__(self, task: Task, kind: Kind, login: Login, number: int) -> None:
        self.kind = kind
        self._port = {Over.TCP: task.mqtt, Over.WEB: task.wss, Over.HTTP: task.wss}.get(kind.over, task.mqtts)
        self._source = (source_of(number), 0)
        self._tls = tls_context(task.ca_file)
        self._blocks = cycle(kind.blocks(login))
        self._block = b""
        self._greeting = greeting(kind, login)
        self._out = memoryview(b"")
        self._greeted = False
        self.number = number
        #: whether it has logged in, on this connection; a refused login is not tried again
        self.accepted = False
        self.socket = self._opened()

    def _opened(self) -> socket.socket:
        raw = socket.create_connection(self._port, timeout=10, source_address=self._source)
        try:
            if self.kind.churn:  # leave no port waiting behind
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if self.kind.piece:  # a segment for each, as far as the system goes along
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.kind.over in _OVER_TLS:
                raw = self._tls.wrap_socket(raw, server_hostname="localhost")
            if self.kind.over is Over.WEB:
                raw.sendall(_UPGRADE)
                raw.recv(4096)
            raw.setblocking(False)
        except BaseException:
            raw.close()
            raise
        self._out, self._greeted, self.accepted = memoryview(self._greeting), False, False
        self._block = next(self._blocks)
        return raw

    def again(self) -> None:
        """Leave and come back."""
        self.socket.close()
        self.socket = self._opened()

    def write(self) -> bool:
        """Write what the socket takes; False when this connection has had its time."""
        if not self._out:
            if self._greeted and self.kind.churn:
                return False
            if self.kind.login and not self.accepted:
                return True
            self._greeted = True
            self._out = memoryview(self._block)
            if not self._out:
                return not self.kind.churn
        with contextlib.suppress(*_BUSY):
            for _ in range(_PIECES if self.kind.piece else 1):
                self._out = self._out[self.socket.send(self._out[: self.kind.piece or None]) :]
                if not self._out:
                    break
        return True

    def read(self) -> bool:
        """Read and throw away; False at the end."""
        with contextlib.suppress(*_BUSY):
            data = self.socket.recv(1 << 20)
            self.accepted = self.accepted or (
                self.kind.login and (_ACCEPTED in data or _ACCEPTED5.match(data) is not None)
            )
            return bool(data)
        return True


def source_of(number: int) -> str:
    """The address that an attacker comes from."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def greeting(kind: Kind, login: Login) -> bytes:
    """What comes before the block: the login, for a kind that has one."""
    if not kind.login:
        return b""
    asked = Connect(login.client_id, True, 600, login.client_id, (login.token or "").encode())
    if kind.version < 5:
        said = encode(asked)
    else:
        method = {Property.AUTHENTICATION_METHOD: "healthsync-token"}  # so that AUTH is not refused for that
        said = v5.encode(asked._replace(protocol_level=kind.version, properties=method))
    return frame(2, said) if kind.over is Over.WEB else said


def attack(task: Task, ports: "SynchronizedArray[int]", ready: Event) -> None:
    """Flood for the task's time; ``ready`` is set when all have connected.

    ``ports``: of each attacker that has logged in to stay the port of its connection, else 0.
    """
    kinds = {kind.name: kind for kind in KINDS}
    selector = selectors.DefaultSelector()
    until = time.monotonic() + task.seconds
    away: list[tuple[float, Attacker]] = []
    for number, login in enumerate(task.logins):
        with contextlib.suppress(OSError):
            attacker = Attacker(task, kinds[task.kinds[number % len(task.kinds)]], login, number)
            selector.register(attacker.socket, _BOTH, attacker)
    ready.set()
    while time.monotonic() < until:
        for key, mask in selector.select(_AGAIN_S):
            attacker = key.data
            done = False
            try:
                alive = attacker.read() if mask & selectors.EVENT_READ else True
                if alive and mask & selectors.EVENT_WRITE:
                    done = not attacker.write()
            except OSError:
                alive = False
            if alive and not done:
                if attacker.accepted and not attacker.kind.churn and not ports[attacker.number]:
                    ports[attacker.number] = attacker.socket.getsockname()[1]
                continue
            selector.unregister(attacker.socket)
            ports[attacker.number] = 0
            away.append((time.monotonic() + (0.0 if done else _AGAIN_S), attacker))
        now = time.monotonic()
        back, away = [each for at, each in away if at <= now], [(at, each) for at, each in away if at > now]
        for attacker in back:
            try:
                attacker.again()
                selector.register(attacker.socket, _BOTH, attacker)
            except OSError:
                away.append((now + _AGAIN_S, attacker))
        if not selector.get_map():
            time.sleep(0.005)
