"""The passphrase of the keys is asked for at a terminal, and processes that are started from there have it, too."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from healthsync_mqtt.config.secrets import KEY_PASSPHRASE, KEY_PASSPHRASE_FILE
from healthsync_mqtt.keys.opening import ring_made_if_missing
from tests.support.patience import PATIENCE_S

ASKS = """
import subprocess, sys
from pathlib import Path
from healthsync_mqtt.cli.passphrase import asked_at_terminal
from healthsync_mqtt.config.secrets import ask_by
from healthsync_mqtt.keys.opening import ring_of
ask_by(asked_at_terminal)
data = Path(sys.argv[1])
def opened():
    return ring_of(data).open("alice", (data / "sealed").read_bytes(), b"place").decode()
if sys.argv[2:] == ["child"]:
    print("child:", opened(), flush=True)
else:
    print("here:", opened(), flush=True)
    again = [sys.executable, "-c", sys.orig_argv[2], str(data), "child"]
    sys.exit(subprocess.run(again, stdin=subprocess.DEVNULL).returncode)
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something is sealed, and the outer key is under a passphrase that the environment does not have any more."""
    monkeypatch.setenv(KEY_PASSPHRASE, "correct horse")
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    ring = ring_made_if_missing(place)
    assert ring.provider == "passphrase"
    (place / "sealed").write_bytes(ring.seal("alice", b"81.5 kg", b"place"))
    monkeypatch.delenv(KEY_PASSPHRASE)
    return place


def told_at_terminal(data: Path, typed: bytes) -> tuple[int, str]:
    """What the program says when this is typed at its terminal, once it asks."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASKS, str(data)])
    said = b""
    while b"Passphrase of the keys: " not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, typed + b"\n")
    while True:
        try:
            more = os.read(terminal, 1024)
        except OSError:
            break
        if not more:
            break
        said += more
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode()


def test_it_is_asked_once_and_lent_to_children(data: Path) -> None:
    code, said = told_at_terminal(data, b"correct horse")
    assert code == 0, said
    assert "here: 81.5 kg" in said
    assert "child: 81.5 kg" in said
    assert said.count("Passphrase of the keys") == 1
    assert "horse" not in said


def test_a_wrong_one_opens_nothing(data: Path) -> None:
    code, said = told_at_terminal(data, b"wrong horse")
    assert code != 0
    assert "the passphrase does not open the outer key" in said
    assert "81.5" not in said


def test_where_nobody_sits_nothing_is_asked(data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKS, str(data)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S,
        env={name: value for name, value in os.environ.items() if name != KEY_PASSPHRASE_FILE}, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "the outer key is under a passphrase, and there is none" in done.stderr
