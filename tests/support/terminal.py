"""A person's terminal: a pseudo terminal that a command is run on, and one in the tests' own process with its clock."""

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress

from tests.support import child
from tests.support.patience import PATIENCE_S


def on_terminal(
    command: Sequence[str], env: Mapping[str, str], *, stdout: IO[bytes] | None = None, lines: int = 24
) -> tuple[int, str]:
    """The exit code of a command, and what a person sees on 80 columns; stdout may go elsewhere, as by ``> FILE``."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
    env = {**env, "TERM": "xterm"}
    env.pop("COLUMNS", None), env.pop("LINES", None)
    process = child.start(command, stdin=theirs, stdout=theirs if stdout is None else stdout, stderr=theirs, env=env)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65_536):
            seen += chunk
    except OSError:  # Linux's end of a terminal
        pass
    finally:
        os.close(ours)
        code = process.wait(PATIENCE_S)
    return code, seen.decode()


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class DrawnTerminal:
    """A terminal of 120 columns on stderr; a bar on it is drawn when it is told to only."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._made = io.StringIO()
        self.bar: Progress | None = None

    def console(self, *, stderr: bool = False) -> Console:
        """As ``output.console``."""
        assert stderr, "stdout is for programs"
        time = self.clock.monotonic
        return Console(file=self._made, width=120, force_terminal=True, color_system=None, get_time=time)

    def progress(self, *columns: Any, **more: Any) -> Progress:
        """As ``Progress``."""
        self.bar = Progress(*columns, **(more | {"auto_refresh": False, "get_time": self.clock.monotonic}))
        return self.bar

    def shown(self) -> str:
        """What it was sent since this was last asked."""
        found = self._made.getvalue()
        self._made.seek(0)
        self._made.truncate()
        return found

    def drawn(self) -> str:
        """The bar as it is now."""
        assert self.bar is not None
        self.shown()
        self.bar.refresh()
        return self.shown()
