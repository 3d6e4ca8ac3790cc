"""Starts ``healthsync`` from a process that has imported it already: a fork instead of a new interpreter.

Tests start the program two thousand times, and most of what each costs is the import of the same modules. What comes of
a fork is a process as any: a child of the tests, with a number, signals, streams, directory and environment of its own.
It ends with what an interpreter does at its end, but for taking modules apart. Where a difference could be seen
(another interpreter or account, what an interpreter reads when it starts, more open files), it is started anew;
``HEALTHSYNC_TESTS_EXEC=1`` starts all so.
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
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from healthsync_mqtt.cli.main import COMMANDS, needed
from tests.support import zygote_program
from tests.support.zygote_program import exactly, ignored, send

PROGRAM: Final = [sys.executable, "-c", zygote_program.MAIN]
"""How tests start ``healthsync``."""
_CLI: Final = "healthsync_mqtt.cli"
_OURS: Final = ("healthsync_mqtt.", "bridge.")
_ROOT: Final = Path(__file__).parents[2]
_UNBUFFERED: Final = "PYTHONUNBUFFERED"
_FREE: Final = ("HEALTHSYNC_", "PYTEST_", "XDG_")
_FREE_NAMES: Final = frozenset({"HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "PAGER", _UNBUFFERED})
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
        self.began = _Beginning(dict(os.environ))
        self._folder = tempfile.TemporaryDirectory(prefix="zygote-")
        self.place = Path(self._folder.name) / "typed"
        self._line, theirs = socket.socketpair()
        with theirs, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.place))
            listener.listen()
            serve = f"from tests.support.zygote import run; run({theirs.fileno()}, {listener.fileno()})"
            self._process = _Popen(
                [sys.executable, "-c", serve],
                cwd=_ROOT,
                pass_fds=[theirs.fileno(), listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self._line.close()
        self._process.wait()
        self._folder.cleanup()

    def fork(self, request: dict[str, Any], streams: list[int]) -> int:
        """The number of a new child of this process."""
        with self._lock:
            send(self._line, request, streams)
            pid = int.from_bytes(exactly(self._line, _LENGTH_BYTES), "big")
        assert pid, "the zygote has ended"
        return pid


class _Beginning:
    """What an interpreter finds when it starts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ, self._limits = environ, _limits()

    def is_as_in(self, environ: Mapping[str, str]) -> bool:
        """Whether one that starts now, in this environment, finds the same."""
        names = {name for name, value in environ.items() if self._environ.get(name) != value}
        names |= self._environ.keys() - environ.keys()
        return _limits() == self._limits and all(name.startswith(_FREE) or name in _FREE_NAMES for name in names)


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
def _zygote(_of: int) -> _Zygote:
    return _Zygote()


def _wanted() -> bool:
    return sys.platform == "linux" and os.uname().machine in _CLONE and "HEALTHSYNC_TESTS_EXEC" not in os.environ


def install() -> None:
    """Have this process start ``healthsync`` so, wherever it does, asyncio included."""
    if _wanted():
        subprocess.Popen = Popen


def typed() -> list[str]:
    """The words before those of ``healthsync`` for a program of its own, which a shell starts by its name."""
    if not _wanted():
        return PROGRAM
    return [sys.executable, "-I", "-S", zygote_program.__file__, str(_zygote(os.getpid()).place), sys.executable]


def forked(words: list[Any], asked: Mapping[str, Any]) -> int | None:
    """The number of a process as ``Popen`` was asked for; None where it has to be started anew."""
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
    if Path(place, "healthsync_mqtt").exists() and Path(place) != _ROOT:
        return None  # another tree, whose modules would be imported
    zygote = _zygote(os.getpid())
    if not zygote.began.is_as_in(environ):
        return None
    request = {
        "words": words[len(PROGRAM) :],
        "environ": environ,
        "cwd": place,
        "session": bool(asked["session"]),
        "umask": int(Path("/proc/self/status").read_text(encoding="ascii").split("Umask:")[1].split()[0], 8),
        "ignored": ignored(),
    }
    given = [asked[name] for name in ("stdin", "stdout", "stderr")]
    return zygote.fork(request, [own if own != -1 else number for number, own in enumerate(given)])


def _asked(line: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    length, ancillary, _flags, _address = line.recvmsg(_LENGTH_BYTES, socket.CMSG_SPACE(_STREAMS * 4))
    if not length:
        return None
    return json.loads(exactly(line, int.from_bytes(length, "big"))), array.array("i", ancillary[0][2]).tolist()


class _Server:
    """The zygote's own side: forks for the process that tests, and for programs that are typed."""

    def __init__(self, line: socket.socket, listener: socket.socket) -> None:
        self._line, self._listener = line, listener
        self._began = _Beginning(dict(os.environ))
        self._clone = _Clone()
        self._known: set[str] = set()
        self._typed: dict[socket.socket, tuple[int, int]] = {}

    def serve(self) -> None:
        """Until the process that tests goes. Returns in each child, which is ready to run ``main``."""
        while True:
            ends = {end: line for line, (_, end) in self._typed.items()}
            for each in select.select([self._line, self._listener, *self._typed, *ends], [], [])[0]:
                if each is self._line:
                    if (asked := _asked(self._line)) is None:
                        os._exit(0)
                    if not (pid := self._fork(*asked, _CLONE_PARENT)):
                        return
                    self._line.sendall(pid.to_bytes(_LENGTH_BYTES, "big"))
                elif each is self._listener:
                    if not self._accept():
                        return
                elif each in ends:
                    self._tell(ends[each])
                elif each in self._typed:
                    self._pass_on(each)

    def _accept(self) -> bool:
        """False in the child."""
        line, _ = self._listener.accept()
        if (asked := _asked(line)) is None:
            line.close()
            return True
        request, streams = asked
        if not self._began.is_as_in(request["environ"]):
            line.close()
            for each in streams:
                os.close(each)
            return True
        if not (pid := self._fork(request, streams, 0)):
            line.close()
            return False
        self._typed[line] = (pid, os.pidfd_open(pid))
        line.sendall(pid.to_bytes(_LENGTH_BYTES, "big"))
        return True

    def _tell(self, line: socket.socket) -> None:
        pid, end = self._typed.pop(line)
        with line, contextlib.suppress(BrokenPipeError):
            line.sendall(os.waitpid(pid, 0)[1].to_bytes(_LENGTH_BYTES, "big"))
        os.close(end)

    def _pass_on(self, line: socket.socket) -> None:
        """Signals; who is killed instead of told takes what it stands for with it."""
        pid, end = self._typed[line]
        for number in line.recv(64) or bytes([signal.SIGKILL]):
            os.kill(pid, number)
            if number == signal.SIGKILL:
                os.waitpid(pid, 0)
                del self._typed[line]
                line.close()
                os.close(end)

    def _fork(self, request: dict[str, Any], streams: list[int], flags: int) -> int:
        """0 in the child."""
        for name in {*needed(request["words"])} - self._known:
            self._known.add(name)
            _import_command(COMMANDS[name])
        assert threading.active_count() == 1, threading.enumerate()
        if not (pid := self._clone(flags)):
            for line, (_, end) in self._typed.items():
                line.close()
                os.close(end)
            self._line.close()
            self._listener.close()
            _become(request, streams)
        for each in streams:
            os.close(each)
        return pid


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
    """``fork``. With ``_CLONE_PARENT`` the child's parent is the parent of this process: who asked waits for it."""

    def __init__(self) -> None:
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        self._number = _CLONE[os.uname().machine]
        self._flags = int(signal.SIGCHLD)
        tid = ctypes.c_void_p(0)
        # Where the C library keeps the number of this thread: it must be the child's in the child.
        if self._libc.prctl(_GET_TID_ADDRESS, ctypes.byref(tid), 0, 0, 0) == 0:
            self._flags |= _CLONE_SETTID | _CLONE_CLEARTID
        self._tid = tid.value or 0

    def __call__(self, flags: int) -> int:
        python = ctypes.pythonapi
        none, tid = ctypes.c_void_p(0), ctypes.c_void_p(self._tid)
        # The order of the last two differs from machine to machine: no new thread-local storage is asked for.
        last = (tid, none) if self._number == _CLONE["x86_64"] else (none, tid)
        python.PyOS_BeforeFork()
        pid = self._libc.syscall(ctypes.c_long(self._number), ctypes.c_ulong(self._flags | flags), none, none, *last)
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
    os.environ.clear()
    os.environ.update(request["environ"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in request["ignored"]:
        signal.signal(each, signal.SIG_IGN)
    sys.argv[:] = ["-c", *request["words"]]
    sys.orig_argv[:] = [*PROGRAM, *request["words"]]
    unbuffered = bool(os.environ.get(_UNBUFFERED))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        was = getattr(sys, f"__{name}__")
        kept = open(number, f"{was.mode}b", 0 if unbuffered and number else -1, closefd=False)  # noqa: SIM115
        raw = getattr(kept, "raw", kept)
        raw.name = f"<{name}>"
        lines = number == _STDERR or raw.isatty()
        stream = io.TextIOWrapper(
            kept, was.encoding, was.errors, newline="\n", line_buffering=lines, write_through=unbuffered
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


def run(line: int, listener: int) -> None:
    """Serve, and in a child run the program. What it raises but its exit is left to the interpreter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Server(socket.socket(fileno=line), socket.socket(fileno=listener)).serve()
    try:
        from healthsync_mqtt.cli.main import main

        sys.exit(main())
    except SystemExit as error:
        _leave(error)
