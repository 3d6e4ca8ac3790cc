"""The first day: a fresh account with an empty environment, on a fresh clone, types README and the tutorial whole.

Where the tests are root the account is a real one, made for this and removed afterwards; else it is the own one with an
empty home. Nothing is fetched: the packages of the lock file are packed again from the environment of the tests, so the
lock file of the clone has the hashes of those. Ports are free ones. Nothing else differs from what the pages say.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.test_package import run
from tests.support.accounts import interpreter, make_account, new_name, removed_after
from tests.support.pages import ROOT, Command, Swap, Typist, Walk, blocks
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.support.servers import Influxd
from tests.support.wheelhouse import locked_wheels

pytestmark = pytest.mark.real_server
ACCOUNT = new_name("first")
INSTALLING_S = 10 * PATIENCE_S
"""Sixty packages are unpacked: seconds where nothing else runs, minutes on a loaded machine with one core."""


@dataclass(frozen=True)
class Newcomer:
    """Whose the clone is, and what is known to their shell: nothing but a home and the system's programs."""

    checkout: Path
    become: tuple[str, ...]
    env: dict[str, str]

    def typist(self, swaps: dict[str, Swap], ready: dict) -> Typist:
        return Typist(
            cwd=self.checkout, env=self.env, swaps=swaps, stays=ready, become=self.become, patience_s=INSTALLING_S
        )


def real_account(home: Path) -> tuple[str, ...]:
    """The words before a program of the account that is made now; none where no other account can be taken on."""
    if interpreter(65_534) is None or shutil.which("useradd", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        home.mkdir()
        return ()
    make_account(ACCOUNT, "--create-home", "--home-dir", str(home), "--shell", "/bin/bash")
    return ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", "--no-new-privs")


@pytest.fixture(scope="module")
def newcomer() -> Iterator[Newcomer]:
    # Beside pytest's own directories, which no other account may enter.
    with tempfile.TemporaryDirectory(prefix="first-day-") as directory, removed_after(ACCOUNT):
        place, home = Path(directory), Path(directory) / "home"
        place.chmod(0o755)
        become = real_account(home)
        checkout = clone(home / "healthsync-mqtt")
        wheels = place / "wheels"
        wheels.mkdir()
        lock = checkout / "requirements.lock"
        lock.write_text(locked_wheels(lock.read_text(), wheels))
        python = Path(interpreter(65_534) if become else sys.executable)
        env = {
            "HOME": str(home),
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_COMPILE": "1",
        }
        if become:
            owner = pwd.getpwnam(ACCOUNT)
            for path in [checkout, *checkout.rglob("*")]:
                os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        yield Newcomer(checkout, become, env)


def clone(to: Path) -> Path:
    """What `git clone` brings, and what of it was changed here since the last commit."""
    run("git", "clone", "--quiet", ROOT, to, cwd=ROOT)
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
        else:
            (to / name).unlink(missing_ok=True)
    return to


def typed_python(typist: Typist, number: int, name: str, *words: str) -> str:
    """A program of README, saved as ``name`` and run as it says."""
    program = [block for block in blocks("README.md") if block.language == "python"][number]
    file = typist.cwd / name
    file.write_text(typist.swapped(program.text))
    file.chmod(0o644)
    return typist.run(Command(f".venv/bin/python {name} {' '.join(words)}")).out.strip()


def test_readme_and_tutorial_are_typed_by_a_newcomer(newcomer: Newcomer, tmp_path: Path) -> None:
    mqtts = str(free_port())
    own_ports = f"--mqtt-port 0 --mqtts-port {mqtts} --wss-port 0"
    with Influxd(tmp_path / "influxd") as server:
        swaps: dict[str, Swap] = {
            "scripts/up      #": f"scripts/up {own_ports} #",
            "scripts/test ": ": ",  # this one would run itself
            "-p 8883": f"-p {mqtts}",
            '"localhost", 8883': f'"localhost", {mqtts}',
            "localhost:8086": f"localhost:{server.port}",
        }
        typist = newcomer.typist(swaps, {"scripts/up": lambda: "Ctrl-C stops" in typist.said()})
        try:
            readme(Walk("README.md", typist), typist)
        finally:
            typist.close()
    charts = str(free_port())
    swaps = {
        "scripts/up": f"scripts/up {own_ports}",
        "127.0.0.1:8428": f"127.0.0.1:{charts} -memory.allowedPercent=10",
        "localhost:8428": f"127.0.0.1:{charts}",
    }
    ready = {
        "scripts/up": lambda: "Ctrl-C stops" in again.said(),
        "victoria-metrics -": lambda: listening(charts),
    }
    again = newcomer.typist(swaps, ready)
    try:
        walk = Walk("docs/tutorial.md", again)
        told = walk.go(sum(block.typed for block in blocks("docs/tutorial.md")))
        (drawn,) = (each.out for each in told if "query_range" in each.command.text)
        assert drawn.count("#") > 20
        walk.done()
    finally:
        again.close()
    if newcomer.become:
        uid = pwd.getpwnam(ACCOUNT).pw_uid
        assert {path.lstat().st_uid for path in (newcomer.checkout / "data").rglob("*")} == {uid}


def readme(walk: Walk, typist: Typist) -> None:
    walk.go(1)
    assert "installing requirements.lock" in typist.said()
    published, listed, shown = walk.go(3)
    assert (published.out, '"id":"readme-1"' in listed.out, "readme-1" in shown.out) == ("", True, True)
    (seen,) = walk.go(1)
    assert seen.out.startswith("users/demo/canonical/")
    walk.go(1)
    assert typed_python(typist, 0, "phone.py") == "1 stored, 0 known before, 0 rejected"
    (enrolled,) = walk.go(1)
    found = re.search(r"^code +(\S+)$", enrolled.out, re.MULTILINE)
    assert found
    assert typed_python(typist, 1, "ring.py", found[1]) == "stored"
    assert typed_python(typist, 1, "ring.py") == "stored"
    (ended,) = walk.go(1)
    assert "device.removed" in ended.out
    walk.go(1)
    count = next(block for block in blocks("README.md") if "SELECT count" in block.text)
    wait_until(lambda: '"values"' in typist.type(count)[0].out, "points in the database")
    walk.go(2)
    walk.done()


def listening(port: str) -> bool:
    return (
        subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/health"], capture_output=True, check=False).returncode
        == 0
    )
