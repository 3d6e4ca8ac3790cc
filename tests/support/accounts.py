"""Accounts of the machine that tests take on, where they are root: what runs under another account than pytest's.

``setpriv`` changes the account and nothing else: it becomes the program itself, so that signals reach it.
"""

import contextlib
import functools
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S, wait_until

SITE = next(path for path in sys.path if path.endswith("site-packages"))
"""Where the dependencies of this environment are."""
ONLY_ROOT = "only root can"
"""Why a test is skipped under another account."""
NO_PYTHON = "no Python here that another account can start, with our dependencies"


def taken_on(uid: int) -> list[str]:
    """The words before a program that runs as ``uid``; they need root."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


@functools.cache
def interpreter(uid: int) -> str | None:
    """A Python like ours that ``uid`` can start and that finds our dependencies: ours may be in a home. Or None."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    like = f"import sys, ensurepip; sys.path.append({SITE!r}); import apsw"
    like += f"; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        # By a shell of that account: what setpriv itself starts is looked up with more rights on some systems.
        words = [*taken_on(uid), "sh", "-c", shlex.join([python, "-c", like])]
        if subprocess.run(words, capture_output=True, check=False, cwd="/").returncode == 0:
            return python
    return None


_LOCKED = frozenset({1, 10})
"""What useradd(8) ends with while somebody else changes accounts: /etc/passwd or /etc/group is locked."""
_NO_SUCH_ACCOUNT = 6
"""What userdel(8) ends with then."""
USERADD = """#!/bin/sh
left={tries}
while :; do
  PATH="$PATH:/usr/sbin" {useradd} "$@" && exit 0
  code=$?
  left=$((left - 1))
  case $code in {locked}) [ "$left" -gt 0 ] || exit $code; sleep 0.2 ;; *) exit $code ;; esac
done
"""


def new_name(what: str) -> str:
    """A name that no account has: not even one that a test was killed with, whose process had our number."""
    return f"hs-{what}-{secrets.token_hex(4)}"


def patient_useradd(to: Path) -> Path:
    """A ``useradd`` in ``to`` for pages that type it: it tries again while the accounts are locked."""
    program = shutil.which("useradd", path=f"{os.environ['PATH']}:/usr/sbin")
    tries, locked = int(PATIENCE_S / 0.2), "|".join(map(str, sorted(_LOCKED)))
    made = to / "useradd"
    made.write_text(USERADD.format(tries=tries, useradd=program, locked=locked))
    made.chmod(0o755)
    return made


def make_account(name: str, *options: str) -> None:
    """Add an account of the machine; tries again while another process changes accounts."""
    with tempfile.TemporaryDirectory() as place:
        words = [str(patient_useradd(Path(place))), *options, name]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def removed_after(name: str) -> Iterator[None]:
    """An account that a test makes is gone afterwards."""
    try:
        yield
    finally:
        # Refused while a process of it is still ending, or another test changes accounts.
        wait_until(lambda: _userdel(name) in {0, _NO_SUCH_ACCOUNT}, f"userdel {name}")


def _userdel(name: str) -> int:
    if shutil.which("userdel") is None:
        return _NO_SUCH_ACCOUNT
    return subprocess.run(["userdel", name], capture_output=True, check=False).returncode


def need_root(*programs: str) -> None:
    """Skip the test for others than root; real accounts are root's to make."""
    if os.geteuid() != 0:
        pytest.skip(f"makes an account of the machine: {ONLY_ROOT}")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


def put_dependencies(environment: Path) -> None:
    """Let a virtual environment see our dependencies, but nothing of this checkout."""
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{SITE}\n")
