"""A real systemd, as process 1 of namespaces of its own: units are enabled, started, reloaded and stopped by it.

What is written to ``/etc``, ``/opt`` and ``/var`` in there is written beside this machine (overlays on a tmpfs) and
gone afterwards; there is a network of its own, with nothing but loopback, so that every port is free; ``/tmp`` and all
programs are this machine's. systemd has its own hierarchy of cgroups and sees no unit of this machine:
``/etc/systemd/system`` is empty but for the targets that every service waits for.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import child
from tests.support.accounts import ONLY_ROOT
from tests.support.patience import PATIENCE_S, wait_until

NOBODY_BOOTS = "this machine lets nobody boot systemd in namespaces"
_PROGRAM = Path("/lib/systemd/systemd")
_CGROUPS = Path("/sys/fs/cgroup")
_NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--cgroup", "--net")
_INSIDE = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/lock /run/over
for top in etc opt var; do
    mkdir -p /run/over/$top/upper /run/over/$top/work
    mount -t overlay overlay -o "lowerdir=/$top,upperdir=/run/over/$top/upper,workdir=/run/over/$top/work" /$top
done
if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
python3 -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x49))'
rm -rf /etc/systemd/system /opt/healthsync /var/lib/healthsync
mkdir -p /etc/systemd/system/service.d
for target in sysinit basic network network-online multi-user shutdown umount final emergency rescue; do
    printf '[Unit]\\nDefaultDependencies=no\\n' > /etc/systemd/system/$target.target
done
printf '[Service]\\nStandardOutput=append:/var/log/units.log\\nStandardError=inherit\\n' \\
    > /etc/systemd/system/service.d/log.conf
exec "$1" --system --unit=multi-user.target --log-target=console --show-status=no
"""


@dataclass(frozen=True)
class Booted:
    """It runs. ``enter`` are the words before a program that runs in there, as root."""

    enter: tuple[str, ...]

    def at(self, folder: Path) -> tuple[str, ...]:
        """The words before a program that runs in ``folder``: who enters stands at the root."""
        return (*self.enter, "sh", "-c", 'cd "$0" && exec "$@"', str(folder))

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program in there, to its end."""
        done = subprocess.run(
            [*self.enter, *words], capture_output=True, text=True, check=False, timeout=PATIENCE_S * 2
        )
        assert not check or done.returncode == 0, f"{shlex.join(words)}: {done.stdout}{done.stderr}{self.log()}"
        return done

    def state(self, unit: str) -> dict[str, str]:
        """What systemd says of a unit."""
        names = "ActiveState,SubState,Result,MainPID,ExecMainStatus"
        said = self.run("systemctl", "show", unit, f"--property={names}").stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def log(self) -> str:
        """What all units have said."""
        said = subprocess.run([*self.enter, "cat", "/var/log/units.log"], capture_output=True, text=True, check=False)
        return said.stdout


@contextlib.contextmanager
def booted(console: Path) -> Iterator[Booted]:
    """Boot it; what it says itself goes to ``console``. Skips where this machine lets nobody do so."""
    if os.geteuid() != 0:
        pytest.skip(f"boots a systemd of its own: {ONLY_ROOT}")
    missing = [name for name in ("unshare", "nsenter", "systemctl") if shutil.which(name) is None]
    if missing or not _PROGRAM.exists():
        pytest.skip("systemd is not installed: scripts/test installs it where it can")
    group = (_CGROUPS / "systemd" if (_CGROUPS / "systemd").is_dir() else _CGROUPS) / f"healthsync-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"{NOBODY_BOOTS}: {error.strerror}")
    try:
        yield from _boot(group, console)
    finally:
        _removed(group)


def _boot(group: Path, console: Path) -> Iterator[Booted]:
    inside = ["unshare", *_NAMESPACES, "--fork", "--kill-child=SIGKILL", "sh", "-c", _INSIDE, "sh", str(_PROGRAM)]
    join = f"echo $$ > {group}/cgroup.procs && exec {shlex.join(inside)}"
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "container": "healthsync-test"}
    environment |= {"SYSTEMD_UNIT_PATH": "/etc/systemd/system", "LANG": "C.UTF-8"}
    with console.open("wb") as said:
        outer = child.start(["sh", "-c", join], env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        until = time.monotonic() + PATIENCE_S
        while (first := _child_of(outer.pid)) is None and outer.poll() is None:
            assert time.monotonic() < until, "no process 1"
            time.sleep(0.02)
        enter = ("nsenter", f"--target={first}", *_NAMESPACES, "--")
        running = Booted(enter)
        wait_until(lambda: outer.poll() is not None or _answers(running), "systemd")
        if outer.poll() is not None:
            pytest.skip(f"{NOBODY_BOOTS}: {console.read_text()[-300:]}")
        yield running
    finally:
        child.end(outer)


def _answers(running: Booted) -> bool:
    said = running.run("systemctl", "is-system-running", check=False).stdout.strip()
    return said in {"running", "degraded"}


def _child_of(pid: int) -> int | None:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(words[0]) if words else None


def _removed(group: Path) -> None:
    """Its processes end a moment after process 1."""

    def gone() -> bool:
        for each in sorted([group, *(path for path in group.rglob("*") if path.is_dir())], reverse=True):
            with contextlib.suppress(OSError):
                each.rmdir()
        return not group.exists()

    wait_until(gone, "the end of what systemd started")
