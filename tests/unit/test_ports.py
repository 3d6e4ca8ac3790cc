"""The ports that servers of the tests are told: nobody else of the machine comes to have one."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import ports

_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_each_is_told_to_one_who_asks() -> None:
    with ThreadPoolExecutor(8) as asking:
        told = list(asking.map(lambda _: ports.free_port(), range(200)))
    assert len(set(told)) == len(told)


def test_none_is_one_that_the_system_gives_to_connections() -> None:
    first = int(_GIVEN.read_text().split()[0]) if _GIVEN.exists() else 49_152
    assert first >= ports._FIRST + ports._MANY


def test_one_at_which_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as taken:
        assert not ports._free(taken.getsockname()[1])
    monkeypatch.setattr(ports.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ports, "_free", lambda port: port > ports._FIRST + 2)
    (tmp_path / f"healthsync-tests-port-{os.getuid()}").write_text(str(ports._MANY - 1))
    assert [ports.free_port() for _ in range(3)] == [ports._FIRST + each for each in (ports._MANY - 1, 3, 4)]
