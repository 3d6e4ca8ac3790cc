"""Accounts of the machine that tests take on, where they are root: what runs under another account than pytest's.

``setpriv`` changes the account and nothing else: it becomes the program itself, so that signals reach it.
"""

import contextlib
import functools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import wait_until

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


_NO_SUCH_ACCOUNT = 6
"""What userdel(8) ends with then."""


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
