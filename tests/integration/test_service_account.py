"""docs/howto/systemd.md typed as root with a real account, and the lines that a wrong account is told.

There is no systemd here: ``systemctl`` is a double that reads the installed unit and starts its ExecStart as the unit's
account, with its umask, environment and no new privileges. What the unit says is judged by systemd itself in
``tests/unit/test_units_verify.py``. ``sudo`` is a double where it is not installed.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_package import run
from tests.support.accounts import (
    NO_PYTHON,
    SITE,
    interpreter,
    make_account,
    need_root,
    new_name,
    patient_useradd,
    removed_after,
)
from tests.support.pages import ROOT, Typist, Walk
from tests.support.patience import wait_until

PAGE = "docs/howto/systemd.md"
ACCOUNT = new_name("test")
SYSTEMCTL = """
import configparser, os, shlex, signal, subprocess, sys

place, account = sys.argv[1:3]
match sys.argv[3:]:
    case ["daemon-reload"]:
        pass
    case ["enable", "--now", name]:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(f"{place}/system/{name}.service")
        service = unit["Service"]
        assert service["User"] == service["Group"] == name
        key, _, value = service["Environment"].partition("=")
        os.umask(int(service["UMask"], 8))
        command = [word.replace("/opt/healthsync", f"{place}/opt") for word in shlex.split(service["ExecStart"])]
        become = ["setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups", "--no-new-privs"]
        environment = {key: value.replace("/var/lib/healthsync", f"{place}/var"), "PATH": os.environ["PATH"]}
        log = open(f"{place}/service.log", "ab")
        started = subprocess.Popen(
            [*become, "--inh-caps=-all", "--bounding-set=-all", *command],
            env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )
        open(f"{place}/service.pid", "w").write(str(started.pid))
    case ["reload", name]:
        os.kill(int(open(f"{place}/service.pid").read()), signal.SIGHUP)
"""
SUDO = """
import os, pwd, sys

flag, account, *command = sys.argv[1:]
assert flag == "-u"
named = pwd.getpwnam(account)
os.environ |= {"SUDO_UID": str(os.getuid()), "SUDO_USER": "root"}
os.initgroups(account, named.pw_gid)
os.setgid(named.pw_gid)
os.setuid(named.pw_uid)
os.execvp(command[0], command)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's pip line installs."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=ROOT)
    return next(out.glob("*.whl"))


@pytest.fixture
def place() -> Iterator[Path]:
    """Beside pytest's own directories, which no other account may enter."""
    need_root("useradd", "userdel", "setpriv")
    if interpreter(65_534) is None:
        pytest.skip(NO_PYTHON)
    with tempfile.TemporaryDirectory(prefix="systemd-") as directory, removed_after(ACCOUNT):
        made = Path(directory)
        made.chmod(0o755)
        yield made
        pid = made / "service.pid"
        if pid.exists():
            subprocess.run(["kill", "-KILL", pid.read_text()], capture_output=True, check=False)


def doubles(place: Path) -> str:
    """The PATH with the doubles of what is not here."""
    programs = {"systemctl": SYSTEMCTL} if shutil.which("sudo") else {"systemctl": SYSTEMCTL, "sudo": SUDO}
    (place / "bin").mkdir()
    for name, text in programs.items():
        (place / "bin" / f"{name}.py").write_text(text)
        before = f"{place} {ACCOUNT}" if name == "systemctl" else ""
        (place / "bin" / name).write_text(f'#!/bin/sh\nexec /usr/bin/env python3 {place}/bin/{name}.py {before} "$@"\n')
        (place / "bin" / name).chmod(0o755)
    patient_useradd(place / "bin")
    return f"{place / 'bin'}:{os.environ['PATH']}:/usr/sbin"


def state(place: Path, path: str) -> dict:
    """What the service says of itself."""
    return dict(json.loads((place / "var" / path).read_text()))


def test_the_page_is_typed_with_a_real_account(place: Path, wheel: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HEALTHSYNC_DATA"}
    python, path = interpreter(65_534), doubles(place)
    see = f"echo {SITE} > {place}/opt/lib/python3.{sys.version_info[1]}/site-packages/dependencies.pth"
    swaps = {
        "/var/lib/healthsync": f"{place}/var",
        "python3 -m venv /opt/healthsync": f"{python} -m venv {place}/opt && {see}",
        "pip install '.[all]'": f"pip install -q --disable-pip-version-check --no-deps --no-index {wheel}",
        "/opt/healthsync": f"{place}/opt",
        "/etc/systemd/system/": f"{place}/system/",
        "deploy/systemd/": f"{ROOT}/deploy/systemd/",
        "nologin healthsync": f"nologin {ACCOUNT}",
        "-o healthsync -g healthsync": f"-o {ACCOUNT} -g {ACCOUNT}",
        "sudo -u healthsync": f"sudo -u {ACCOUNT}",
        # Free ports, where the page says that settings are.
        "systemctl daemon-reload": f"install -o {ACCOUNT} {place}/ports.toml {place}/var/healthsync.toml\n"
        "systemctl daemon-reload",
    }
    (place / "system").mkdir()
    (place / "ports.toml").write_text("[broker]\nmqtt_port = 0\nmqtts_port = 0\nwss_port = 0\n")
    walk = Walk(PAGE, Typist(cwd=place, env=environment | {"PATH": path}, swaps=swaps))
    walk.go(1)
    program, data = place / "opt/bin/healthsync", place / "var"
    uid = pwd.getpwnam(ACCOUNT).pw_uid
    pid = int((place / "service.pid").read_text())
    wait_until((data / "service.json").exists, "the service")
    walk.go(1)
    walk.done()
    assert state(place, "service.json")["pid"] == pid
    assert {path.stat().st_uid for path in [data, *data.rglob("*")]} == {uid}
    assert data.stat().st_mode & 0o777 == 0o700

    # Root, who forgot sudo, is told the line that works; and it does.
    words = ["user", "add", "bob", "--consent", "all", "--data", str(data)]
    refused = subprocess.run(
        [program, *words], env=environment | {"PATH": path}, cwd="/", capture_output=True, text=True, check=False
    )
    assert refused.returncode == 78, refused.stderr
    fix = refused.stderr.partition("fix: ")[2].strip()
    assert fix == f"sudo -u {ACCOUNT} {program} {' '.join(words)}"
    added = subprocess.run(
        ["sh", "-c", fix], env=environment | {"PATH": path}, cwd="/", capture_output=True, text=True, check=False
    )
    assert added.returncode == 0, added.stderr
    # What is told to do next is a whole line as well.
    assert added.stderr.endswith(f"next: sudo -u {ACCOUNT} {program} device add --data {data} bob watch\n")
    assert {path.stat().st_uid for path in data.rglob("*")} == {uid}

    os.kill(pid, signal.SIGHUP)  # ExecReload
    os.kill(pid, signal.SIGTERM)  # as systemd stops it
    wait_until(lambda: not (data / "service.json").exists(), "the service")
    wait_until(lambda: not running(pid), "its end")
    log = (place / "service.log").read_text()
    assert "Traceback" not in log
    assert "bridge.stopped" in log


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_root_renders_a_broker_s_files_from_a_directory_of_the_service(place: Path) -> None:
    """docs/howto/mosquitto.md on a machine with the unit: the broker's files are the broker's, ours stay ours."""
    make_account(ACCOUNT, "--system")
    account, data = pwd.getpwnam(ACCOUNT), place / "data"
    data.mkdir(mode=0o700)
    os.chown(data, account.pw_uid, account.pw_gid)
    out = place / "mosquitto"
    words = ["broker", "render", "mosquitto", "--out", str(out), "--user", "nobody", "--data", str(data)]
    for _ in range(2):  # the second time there are secrets to read
        run(sys.executable, "-c", "from healthsync_mqtt.cli.main import main; main()", *words, cwd=ROOT)
    assert {path.stat().st_uid for path in data.rglob("*")} == {account.pw_uid}
    assert {path.stat().st_uid for path in [out, *out.iterdir()]} == {pwd.getpwnam("nobody").pw_uid}
