"""Starts ``healthsync`` from a process that has imported it already: a fork instead of a new interpreter.

Tests start the program two thousand times, and most of what each costs is the import of the same modules. What comes of
a fork is a process as any: a child of the tests, with a number, signals, streams, directory and environment of its own,
and the interpreter ends it as it always does. Where a difference could be seen (another interpreter or account, what an
interpreter reads when it starts, more open files), it is started anew; ``HEALTHSYNC_TESTS_EXEC=1`` starts all so.
``tests/integration/test_zygote.py`` compares both.
"""

import array
import ast
import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from healthsync_mqtt.cli.main import COMMANDS, needed

PROGRAM: Final = [sys.executable, "-c", "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())"]
"""How tests start ``healthsync``."""
_CLI: Final = "healthsync_mqtt.cli"
_OURS: Final = ("healthsync_mqtt.", "bridge.")
_ROOT: Final = Path(__file__).parents[2]
_FREE: Final = ("HEALTHSYNC_", "PYTEST_", "XDG_")
_FREE_NAMES: Final = frozenset({"HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "PAGER"})
"""Variables that nobody reads before a command runs: all others have to be as the zygote has them."""
_CLONE_PARENT, _CLONE_SETTID, _CLONE_CLEARTID, _GET_TID_ADDRESS = 0x8000, 0x0100_0000, 0x0020_0000, 40
_CLONE: Final = {"x86_64": 56, "aarch64": 220}
_LENGTH_BYTES: Final = 4
_STREAMS: Final = 3
_STDERR: Final = 2
_NOT_FLUSHED: Final = 120
"""What an interpreter exits with that cannot write the last of what was printed."""
_Popen: Final = subprocess.Popen
PLAIN: Final[Mapping[str, Any]] = {
    "executable": None,
    "preexec_fn": None,
    "close_fds": True,
    "pass_fds": (),
    "shell": False,
    "restore_signals": True,
    "gid": None,
    "gids": None,
    "uid": None,
    "umask": -1,
    "group": -1,
}
"""What a process is asked for that can be forked, in the words of ``Popen``."""


class _Zygote:
    """The process that is forked, one for each that tests; made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._environ, self._limits = dict(os.environ), _limits()
        ours, theirs = socket.socketpair()
        self._line = ours
        serve = f"from tests.support.zygote import run; run({theirs.fileno()})"
        with theirs:
            self._process = _Popen(
                [sys.executable, "-c", serve],
                cwd=_ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environ,
            )
        atexit.register(self.close)

    def close(self) -> None:
        self._line.close()
        self._process.wait()

    def alike(self, environ: Mapping[str, str]) -> bool:
        """Whether a new interpreter would begin in this environment, and with our limits, as the zygote did."""
        if _limits() != self._limits:
            return False
        names = {name for name, value in environ.items() if self._environ.get(name) != value}
        names |= self._environ.keys() - environ.keys()
        return all(name.startswith(_FREE) or name in _FREE_NAMES for name in names)

    def fork(self, request: Mapping[str, Any], streams: list[int]) -> int:
        """The number of a new child of this process."""
        body = json.dumps(request, ensure_ascii=True).encode()
        with self._lock:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
            self._line.sendmsg([len(body).to_bytes(_LENGTH_BYTES, "big")], rights)
            self._line.sendall(body)
            return int.from_bytes(_exactly(self._line, _LENGTH_BYTES), "big")


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(each) for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS)]


class Popen(_Popen[Any]):
    """As ``subprocess.Popen``; ``healthsync`` is forked where nobody sees the difference."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        names = ("executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo", "creationflags")
        names += ("shell", "stdin", "_in", "_out", "stdout", "_err", "stderr", "restore_signals")
        names += ("gid", "gids", "uid", "umask", "session", "group")
        asked = dict(zip(names, rest, strict=True))
        pid = None if isinstance(args, str | bytes | os.PathLike) else forked(list(args), asked)
        if pid is None:
            super()._execute_child(args, *rest)
            return
        self.pid = pid
        self._child_created = True
        self._close_pipe_fds(*(asked[name] for name in ("stdin", "_in", "_out", "stdout", "_err", "stderr")))


@functools.cache
def _zygote() -> _Zygote:
    return _Zygote()


def install() -> None:
    """Have this process start ``healthsync`` so, wherever it does, asyncio included."""
    if sys.platform == "linux" and os.uname().machine in _CLONE and "HEALTHSYNC_TESTS_EXEC" not in os.environ:
        subprocess.Popen = Popen


def forked(words: list[Any], asked: Mapping[str, Any]) -> int | None:
    if words[: len(PROGRAM)] != PROGRAM or not all(isinstance(word, str) for word in words):
        return None
    if any((tuple(asked[name]) if name == "pass_fds" else asked[name]) != value for name, value in PLAIN.items()):
        return None
    environ = dict(os.environ if asked["env"] is None else asked["env"])
    if not all(isinstance(each, str) for pair in environ.items() for each in pair):
        return None
    place = os.fspath(asked["cwd"] or Path.cwd())
    if not isinstance(place, str) or not os.access(place, os.X_OK):
        return None
    if not _zygote().alike(environ):
        return None
    request = {
        "words": words[len(PROGRAM) :],
        "environ": environ,
        "cwd": place,
        "session": bool(asked["session"]),
        "umask": int(Path("/proc/self/status").read_text(encoding="ascii").split("Umask:")[1].split()[0], 8),
        "ignored": [int(each) for each in _SIGNALS if signal.getsignal(each) is signal.SIG_IGN],
    }
    given = [asked[name] for name in ("stdin", "stdout", "stderr")]
    return _zygote().fork(request, [own if own != -1 else number for number, own in enumerate(given)])


_SIGNALS: Final = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}


def _exactly(line: socket.socket, count: int) -> bytes:
    body = b""
    while len(body) < count:
        part = line.recv(count - len(body))
        if not part:
            raise EOFError
        body += part
    return body


def serve(descriptor: int) -> None:
    """Fork for whoever is at the other end, until it goes. Returns in each child, which is ready to run ``main``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = socket.socket(fileno=descriptor)
    clone, known = _Clone(), set[str]()
    while True:
        length, ancillary, _flags, _address = line.recvmsg(_LENGTH_BYTES, socket.CMSG_SPACE(_STREAMS * 4))
        if not length:
            os._exit(0)
        streams = array.array("i", ancillary[0][2]).tolist()
        request = json.loads(_exactly(line, int.from_bytes(length, "big")))
        for name in {*needed(request["words"])} - known:
            known.add(name)
            _import_command(COMMANDS[name])
        assert threading.active_count() == 1, threading.enumerate()
        pid = clone()
        if not pid:
            line.close()
            _become(request, streams)
            return
        for each in streams:
            os.close(each)
        line.sendall(pid.to_bytes(_LENGTH_BYTES, "big"))


def _import_command(place: str) -> None:
    """Import the module of a command, and what functions of the command line import when they are called."""
    before = set(sys.modules)
    importlib.import_module(f"{_CLI}.{place.rpartition('.')[0]}")
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if name.startswith(_CLI) and file:
            for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(_OURS):
                    with contextlib.suppress(ImportError):
                        importlib.import_module(node.module)
    gc.freeze()


class _Clone:
    """``fork``, but that the child's parent is the parent of this process: whoever asked for it waits for it."""

    def __init__(self) -> None:
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        self._number = _CLONE[os.uname().machine]
        self._flags = _CLONE_PARENT | signal.SIGCHLD
        tid = ctypes.c_void_p(0)
        # Where the C library keeps the number of this thread: it must be the child's in the child.
        if self._libc.prctl(_GET_TID_ADDRESS, ctypes.byref(tid), 0, 0, 0) == 0:
            self._flags |= _CLONE_SETTID | _CLONE_CLEARTID
        self._tid = tid.value or 0

    def __call__(self) -> int:
        python = ctypes.pythonapi
        none, tid = ctypes.c_void_p(0), ctypes.c_void_p(self._tid)
        # The order of the last two differs from machine to machine: no new thread-local storage is asked for.
        last = (tid, none) if self._number == _CLONE["x86_64"] else (none, tid)
        python.PyOS_BeforeFork()
        pid = self._libc.syscall(ctypes.c_long(self._number), ctypes.c_ulong(self._flags), none, none, *last)
        if pid == 0:
            python.PyOS_AfterFork_Child()
        else:
            python.PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return int(pid)


def _become(request: Mapping[str, Any], streams: list[int]) -> None:
    if request["session"]:
        os.setsid()
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(_STREAMS, max(streams) + 1)
    os.environ.clear()
    os.environ.update(request["environ"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in request["ignored"]:
        signal.signal(each, signal.SIG_IGN)
    sys.argv[:] = ["-c", *request["words"]]
    sys.orig_argv[:] = [*PROGRAM, *request["words"]]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        was = getattr(sys, f"__{name}__")
        kept = open(number, f"{was.mode}b", 0 if isinstance(was.buffer, io.RawIOBase) else -1, closefd=False)  # noqa: SIM115
        raw = getattr(kept, "raw", kept)
        raw.name = f"<{name}>"
        lines = number == _STDERR or raw.isatty()
        stream = io.TextIOWrapper(
            kept, was.encoding, was.errors, newline="\n", line_buffering=lines, write_through=was.write_through
        )
        stream.mode = was.mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _leave(error: SystemExit) -> NoReturn:
    """What the interpreter does then; but nothing is taken apart, which is half of what a short command costs."""
    code = 0 if error.code is None else error.code
    if not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = _NOT_FLUSHED
    os._exit(code & 0xFF)


def run(descriptor: int) -> None:
    """Serve, and in a child run the program. What it raises but its exit is left to the interpreter."""
    serve(descriptor)
    try:
        from healthsync_mqtt.cli.main import main

        sys.exit(main())
    except SystemExit as error:
        _leave(error)
