"""The process that reads long messages: ``python -m bridge.decoder.child``.

It is asked on stdin and answers on stdout (``frames``), one question after the other, and says every half second that
it is at it. When stdin ends the service is gone, and so is this process. It keeps nothing between two questions.
"""

import contextlib
import os
import signal
import sys
import time
from typing import BinaryIO, Final

from bridge.decode.delivery import decode
from bridge.decoder.frames import PIECE, QUESTION, Kind, ReadRequest, pieces
from healthsync_mqtt.telemetry.parent import give_way

_NICE: Final = 5
_BEAT_S: Final = 0.5


class _Voice:
    """What is said on stdout."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._said_at = time.monotonic()

    def say(self, kind: Kind, data: bytes = b"") -> None:
        self._out.write(PIECE.pack(kind.value, len(data)) + data)
        self._out.flush()
        self._said_at = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._said_at > _BEAT_S:
            self.say(Kind.BEAT)


def main() -> None:
    """ReadOut until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal it is meant for the service
    give_way(_NICE)
    asked, voice = sys.stdin.buffer, _Voice(sys.stdout.buffer)
    sys.stdout = sys.stderr
    voice.say(Kind.BEAT)
    while len(head := asked.read(QUESTION.size)) == QUESTION.size:
        words, size = QUESTION.unpack(head)
        question = ReadRequest.unpacked(asked.read(words))
        payload = asked.read(size)
        if len(payload) < size:
            return
        origin, now_us, limits, form, told = question
        decoded = decode(payload, origin, now_us, limits, voice.beat, form, told)
        for kind, data in pieces(decoded, payload):
            voice.say(kind, data)
        del decoded, payload


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the service is gone
        main()
    # What is not flushed goes nowhere; the interpreter would try.
    os._exit(0)
