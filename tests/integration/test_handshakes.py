"""Three thousand TLS handshakes of one address that are never finished: bounded in number, memory and lines of log."""

import json
import socket
from collections import Counter, deque
from pathlib import Path

import pytest

from healthsync_mqtt.config.sections import LimitSettings
from tests.support.floods.kinds import half_hello
from tests.support.floods.run import resident_mb
from tests.support.identities import logins
from tests.support.patience import PATIENCE_S
from tests.support.service import Service
from tests.support.wire import connect

GROWN_MB = 60
LINES = 20


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_handshakes_that_are_never_finished(tmp_path: Path, loop: str) -> None:
    (login,) = logins(tmp_path / "data", users=1, devices=1)
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "uvloop.py").write_text("raise ImportError\n", encoding="utf-8")
    env = {"PYTHONPATH": str(tmp_path / "without")} if loop == "asyncio" else {}
    with Service(tmp_path / "data", env=env) as service:
        before = resident_mb(service.pid)
        said_before = len(service.log_path.read_text().splitlines())
        held: deque[socket.socket] = deque()
        for _ in range(3_000):
            held.append(socket.create_connection(service.mqtts, timeout=PATIENCE_S))
            held[-1].sendall(half_hello())
            if len(held) > 2 * LimitSettings().unauthenticated_per_address:  # it made room long ago
                held.popleft().close()
        connect(service.mqtt, login, timeout=PATIENCE_S).close()  # who logs in is let in
        assert resident_mb(service.pid) - before < GROWN_MB
        for each in held:
            each.close()
        lines = [json.loads(line)["event"] for line in service.log_path.read_text().splitlines()[said_before:]]
    said = Counter(lines)
    assert said["door.connection_limit"] >= 1
    assert sum(said.values()) <= LINES, said
