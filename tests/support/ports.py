"""Ports for servers that have to be told theirs: nobody else of the machine comes to have one."""

import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import Final

_FIRST: Final = 20_000
_MANY: Final = 12_768
"""All are below those that a system gives to whoever names none, connections too. One of these that is free now may be
another's a moment later: before the server listens, or while it is away."""


def free_port() -> int:
    """A port of which no process of the tests was told for thousands of calls, and at which nobody listens."""
    with (Path(tempfile.gettempdir()) / f"healthsync-tests-port-{os.getuid()}").open("a+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        number = int(turn.read() or secrets.randbelow(_MANY))
        while not _free(_FIRST + number):
            number = (number + 1) % _MANY
        turn.truncate(0)
        turn.write(str((number + 1) % _MANY))
    return _FIRST + number


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
