"""The service's side of the process that reads long messages: asks it, and begins anew when it dies or hangs.

Nobody is told anything of a message before it was read here to the end, so a process that is killed costs time and
nothing else. Blocks: it is used in a thread.
"""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from bridge.decoder.frames import PIECE, QUESTION, Kind, ReadOut, ReadRequest
from bridge.stages.decode_lines import AbandonedError
from healthsync_mqtt.model.event import Decoded, Rejection
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_CHILD: Final = "bridge.decoder.child"
_ATTEMPTS: Final = 5
"""Processes that one message may end, before it is taken for the cause and refused."""
_AGAIN_S: Final = 0.1
_SILENT_S: Final = 60.0
_READ: Final = 262_144


class _EndedError(Exception):
    """The process has died, or said nothing for too long."""


class ReaderProcess:
    """A process that is started when there is something to read, and ended when there was nothing for a while."""

    def __init__(
        self,
        command: tuple[str, ...] = (sys.executable, "-m", _CHILD),
        *,
        silent_s: float = _SILENT_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        """``silent_s``: so long it may say nothing; ``again_s``: the first pause before another one, then doubled."""
        self._command = command
        self._silent_s = silent_s
        self._again_s = again_s
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        #: processes that ended before they had answered
        self.lost = 0

    @property
    def pid(self) -> int | None:
        """The process that there is now."""
        child = self._child
        return None if child is None else child.pid

    def read(self, payload: bytes, question: ReadRequest, pause: Callable[[], None]) -> Decoded:
        """What ``decode`` makes of it. ``pause`` is called between the pieces of the answer. AbandonedError."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._asked(payload, question, pause)
            except (OSError, _EndedError) as error:
                self.rest()
                self._go_on()
                self.lost += 1
                log.warning("bridge.reader_ended", attempt=attempt + 1, problem=str(error) or type(error).__name__)
                self._wait(self._again_s * 2**attempt)
        text = f"cannot be read: {_ATTEMPTS} processes ended over it"
        refusal = Rejection(0, None, Reason.MALFORMED, None, text, payload, form=question.form.name)
        return Decoded(None, [], [refusal], 1, len(payload), len(payload))

    def rest(self) -> None:
        """End the process: there is nothing to read. The next question starts another one."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def close(self) -> None:
        """From another thread: whoever reads gets AbandonedError soon. ``rest`` is still to be called."""
        self._closed = True
        if (child := self._child) is not None:
            child.kill()

    # -- inside

    def _asked(self, payload: bytes, question: ReadRequest, pause: Callable[[], None]) -> Decoded:
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        words = question.packed()
        self._send(child.stdin.fileno(), QUESTION.pack(len(words), len(payload)) + words, payload)
        answer, inbox = ReadOut(payload), bytearray()
        while answer.decoded is None:
            pause()
            while len(inbox) < PIECE.size or len(inbox) < PIECE.size + PIECE.unpack_from(inbox)[1]:
                inbox += self._received(child.stdout.fileno())
            kind, size = PIECE.unpack_from(inbox)
            answer.take(Kind(kind), bytes(inbox[PIECE.size : PIECE.size + size]))
            del inbox[: PIECE.size + size]
        return answer.decoded

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._child is not None and self._child.poll() is not None:
            self.rest()
        if self._child is None:
            self._go_on()
            self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603
            assert self._child.stdin is not None
            os.set_blocking(self._child.stdin.fileno(), False)
        self._go_on()  # ``close`` may have come before there was anything to kill
        return self._child

    def _send(self, pipe: int, *parts: bytes) -> None:
        for part in parts:
            left = memoryview(part)
            while left:
                self._ready(pipe, select.POLLOUT)
                left = left[os.write(pipe, left[:_READ]) :]

    def _received(self, pipe: int) -> bytes:
        self._ready(pipe, select.POLLIN)
        data = os.read(pipe, _READ)
        if not data:
            raise _EndedError("it died")
        return data

    def _ready(self, pipe: int, event: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(self._silent_s * 1000):
            raise _EndedError("it says nothing")
        self._go_on()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._go_on()
            time.sleep(min(left, 0.1))

    def _go_on(self) -> None:
        if self._closed:
            raise AbandonedError
