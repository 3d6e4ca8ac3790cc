"""What is forked from the zygote is what a new interpreter would be, as far as anybody can see."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt import __version__
from tests.support import child, zygote
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import HEALTHSYNC, Address, Service, address

Start = Callable[..., "subprocess.Popen[Any]"]
SIGNALS = re.compile(r"^(?:Umask|SigBlk|SigIgn|SigCgt|NoNewPrivs|Seccomp):.*$", re.MULTILINE)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way each process was started that the test has started."""
    taken: list[str] = []
    real = zygote.forked

    def noted(words: Sequence[Any], asked: Any) -> int | None:
        pid = real(words, asked)
        taken.append("anew" if pid is None else "forked")
        return pid

    monkeypatch.setattr(zygote, "forked", noted)
    return taken


@contextlib.contextmanager
def anew() -> Iterator[None]:
    """As without a zygote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", zygote.Popen.__base__)
        yield


def both(run: Callable[[], Any]) -> tuple[Any, Any]:
    forked = run()
    with anew():
        return forked, run()


@pytest.mark.parametrize(
    "words",
    [
        ["usr", "lst"],
        ["topic", "list", "--json"],
        ["user", "list", "--data", "nowhere"],
        ["publish", "-", "--data", "nowhere", "--user", "a", "--device", "b"],
    ],
)
def test_a_command_says_and_exits_the_same(words: list[str], tmp_path: Path, ways: list[str]) -> None:
    env = os.environ | {"HEALTHSYNC_DATA": str(tmp_path / "set"), "HOME": str(tmp_path)}

    def run() -> tuple[int, bytes, bytes]:
        command = [*HEALTHSYNC, *words]
        done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, env=env, input=b"{}\nno\n")
        return done.returncode, done.stdout, done.stderr

    forked, exec_ = both(run)
    assert forked == exec_
    assert ways == ["forked"]


def test_a_reader_that_leaves_is_seen(ways: list[str]) -> None:
    def run() -> tuple[int, bytes]:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            process = child.start([*HEALTHSYNC, "topic", "list"], stdout=writing, stderr=subprocess.PIPE)
        finally:
            os.close(writing)
        said = process.communicate(timeout=PATIENCE_S)[1]
        return process.returncode, said

    forked, exec_ = both(run)
    assert forked == exec_
    assert ways == ["forked"]


def seen(service: Service) -> dict[str, Any]:
    """What the kernel knows of the process."""
    proc = Path("/proc") / str(service.pid)
    _name, _, after = (proc / "stat").read_text().rpartition(")")
    _state, parent, group, session, terminal, *_ = after.split()
    return {
        "parent": int(parent) == os.getpid(),
        "group": int(group) == os.getpgid(0),
        "session": int(session) == os.getsid(0),
        "terminal": terminal,
        "signals": SIGNALS.findall((proc / "status").read_text()),
        "limits": (proc / "limits").read_text(),
        "cwd": (proc / "cwd").readlink(),
    }


def opened(service: Service) -> list[str]:
    """The files that it has open, whichever directory and number are its own."""
    found = []
    for each in (Path("/proc") / str(service.pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(re.sub(r"\d+|forked|anew", "N", str(each.readlink())))
    return sorted(found)


def test_a_service_is_the_same_process_and_ends_the_same(tmp_path: Path, ways: list[str]) -> None:
    with Service(tmp_path / "forked") as forked:
        with anew():
            other = Service(tmp_path / "anew").start()
        with other:
            wait_until(lambda: opened(forked) == opened(other), "the same open files")
            assert seen(forked) == seen(other)
            assert forked.stop() == other.stop()
    assert ways == ["forked"]


@pytest.mark.parametrize("change", ["LANG", "PYTHONHASHSEED", "NO_COLOR", "TZ", "SSL_CERT_FILE", "PASSWORD"])
def test_what_an_interpreter_may_read_when_it_starts_is_read_by_a_new_one(change: str, ways: list[str]) -> None:
    env = os.environ | {change: "other"}
    asked = {"env": env, "cwd": None, "session": False, "stdin": -1, "stdout": -1, "stderr": -1} | zygote.PLAIN
    assert zygote.forked([*HEALTHSYNC, "version"], asked) is None
    assert ways == ["anew"]


def refused(place: Address) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(place) != 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, 128 + signal.SIGKILL)])
def test_what_a_shell_starts_is_the_program_and_gets_its_signals(number: int, code: int, tmp_path: Path) -> None:
    healthsync = shlex.join(zygote.typed())
    script = f"""
        {healthsync} usr 2>/dev/null || echo $?
        {healthsync} --version | cat
        {healthsync} up --data data --mqtt-port 0 --mqtts-port 0 --wss-port 0 --json >ready &
        until grep -q '"ready"' ready; do kill -0 $!; sleep 0.1; done
        kill -{number:d} $!
        wait $! && echo 0 || echo $?
    """
    said = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:-1] == ["2", f"healthsync  {__version__}", str(code)], said.stderr
    ready = json.loads((tmp_path / "ready").read_text())
    wait_until(lambda: refused(address(ready["mqtt"])), "the end of the service")


def test_many_at_once_are_told_apart(ways: list[str]) -> None:
    said: list[tuple[str, int]] = []

    def ask(name: str) -> None:
        done = subprocess.run([*HEALTHSYNC, name], capture_output=True, text=True, check=False)
        said.append((name, done.returncode if name in done.stderr else -1))

    threads = [threading.Thread(target=ask, args=(f"no{number}",)) for number in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(said) == [(f"no{number}", 2) for number in range(3)]
    assert ways == ["forked"] * 3
