"""``healthsync`` as a person types it in a test: has a zygote fork it, and ends as it ends.

``python -I -S zygote_program.py SOCKET PYTHON WORDS…``, so that it is there in a moment. Where the zygote is not for it
(it has another environment, a terminal, or is not there), it becomes the program itself.
"""

import array
import contextlib
import json
import os
import signal
import socket
import sys

MAIN = "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())"
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def exactly(line: socket.socket, count: int) -> bytes:
    """So many bytes; fewer at the end."""
    body = b""
    while len(body) < count and (part := line.recv(count - len(body))):
        body += part
    return body


def ignored() -> list[int]:
    """The signals that a program inherits as ignored; two are so in every Python."""
    every = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}
    return sorted(int(each) for each in every if signal.getsignal(each) is signal.SIG_IGN)


def send(line: socket.socket, request: dict[str, object], streams: list[int]) -> None:
    """Ask for a fork with these streams."""
    body = json.dumps(request).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
    line.sendmsg([len(body).to_bytes(4, "big")], rights)
    line.sendall(body)


def ended(line: socket.socket) -> int:
    """Pass on what comes while it runs; how it ended, as ``wait`` says it."""
    deaf = ignored()
    for each in PASSED_ON:
        if each not in deaf:
            signal.signal(each, lambda number, _frame: line.sendall(bytes([number])))
    return os.waitstatus_to_exitcode(int.from_bytes(exactly(line, 4), "big"))


def forked(place: str, words: tuple[str, ...]) -> socket.socket | None:
    """The line to the zygote that runs it now; None where it does not."""
    umask = os.umask(0o077)
    os.umask(umask)
    request = {"words": words, "environ": dict(os.environ), "cwd": os.getcwd(), "session": False, "umask": umask}  # noqa: PTH109
    line = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        line.connect(place)
        if not any(map(os.isatty, range(3))):
            send(line, request | {"ignored": ignored()}, [0, 1, 2])
            if int.from_bytes(exactly(line, 4), "big"):
                return line
    return None


def main(place: str, python: str, *words: str) -> None:
    """Never returns."""
    line = forked(place, words)
    if line is None:
        os.execv(python, [python, "-c", MAIN, *words])
    code = ended(line)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
