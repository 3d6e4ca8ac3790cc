"""The process that reads long messages: it says what reading here would say, and may die at any of them."""

import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from bridge.decoder.frames import ReadOut, ReadRequest, pieces
from bridge.decoder.process import ReaderProcess
from bridge.stages.decode_lines import AbandonedError
from healthsync_mqtt.formats.catalogue import FORMATS, SHIPPED
from healthsync_mqtt.formats.mapping import read_mapping
from healthsync_mqtt.formats.port import Divisible, Format, Told
from healthsync_mqtt.model.event import Aftermath, Decoded
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from tests.support.app_login import MINUTES, exported
from tests.support.patience import PATIENCE_S

NOW_US = 1_795_413_600_000_000
MAPPING = """
summary: a scale
rules:
  - type: weight
    each: data
    time: {path: t, format: epoch_s}
    value: {kg: {path: w, unit: kg}}
"""


def question(form: Format, state: bytes = b"") -> ReadRequest:
    origin = Origin("alice", "phone", None, f"users/alice/devices/phone/formats/{form.name}")
    return ReadRequest(origin, NOW_US, Limits(), form, Told(state, declared=MINUTES, at_us=NOW_US))


def here(payload: bytes, asked: ReadRequest) -> Decoded:
    origin, now_us, limits, form, told = asked
    return decode(payload, origin, now_us, limits, form=form, told=told)


def messages() -> list[tuple[bytes, ReadRequest]]:
    export = question(FORMATS["health_auto_export"])
    scale = read_mapping("my_scale", MAPPING)
    weighings = [{"t": 1_700_000_000 + n, "w": 70 + n % 5 if n % 7 else "heavy"} for n in range(1_300)]
    openscale = question(FORMATS["openscale"])
    openscale = openscale._replace(told=openscale.told._replace(topic="1/measurements/clear"))
    return [
        (exported(700), export),
        (b"no JSON at all", export),
        (json.dumps({"data": weighings}).encode(), question(scale)),
        (b"{}", openscale),
    ]


def test_the_answer_is_what_reading_here_comes_to() -> None:
    reader = ReaderProcess()
    try:
        for payload, asked in messages():
            found = here(payload, asked)
            assert reader.read(payload, asked, lambda: None) == found
            assert found.events or found.rejections or found.aftermath
        assert reader.lost == 0
    finally:
        reader.rest()


def test_an_answer_comes_in_pieces_that_are_soon_unpacked() -> None:
    payload, asked = messages()[0]
    found = here(payload, asked)
    answer, sizes = ReadOut(payload), list[int]()
    for kind, data in pieces(found, payload):
        sizes.append(len(data))
        answer.take(kind, data)
    assert answer.decoded == found
    assert max(sizes) < 400_000
    assert len(sizes) >= len(found.events) // 500


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_replaced_and_the_message_is_read(number: int) -> None:
    payload, asked = exported(3_000), question(FORMATS["health_auto_export"])
    reader = ReaderProcess()
    hit: list[int] = []

    def hits() -> None:
        pid = reader.pid
        if pid is not None and not hit:
            hit.append(pid)
            os.kill(pid, number)
            reader._silent_s = 0.2

    def wait(_seconds: float) -> None:
        reader._silent_s = PATIENCE_S  # the next one may take its time to start

    reader._wait = wait  # type: ignore[method-assign]
    try:
        assert reader.read(payload, asked, hits) == here(payload, asked)
        assert reader.lost >= 1
        assert reader.pid not in hit
    finally:
        reader.rest()


def test_a_message_that_ends_every_process_is_refused_and_the_next_one_read() -> None:
    fatal = ReaderProcess((sys.executable, "-c", "import sys; sys.stdin.buffer.read(8)"), again_s=0.001)
    payload, asked = messages()[0]
    try:
        found = fatal.read(payload, asked, lambda: None)
        (refusal,) = found.rejections
        assert (refusal.reason, refusal.raw, refusal.form) == (Reason.MALFORMED, payload, "health_auto_export")
        assert (found.total, fatal.lost, found.aftermath) == (1, 5, None)
    finally:
        fatal.rest()


def test_closed_from_outside_it_stops_waiting(tmp_path: Path) -> None:
    silent = ReaderProcess((sys.executable, "-c", "import time; time.sleep(600)"))
    payload, asked = exported(5_000), question(FORMATS["health_auto_export"])
    ended: list[type[BaseException]] = []

    def read() -> None:
        try:
            silent.read(payload, asked, lambda: None)
        except AbandonedError as error:
            ended.append(type(error))

    thread = threading.Thread(target=read)
    thread.start()
    while silent.pid is None:
        time.sleep(0.001)
    silent.close()
    thread.join()
    assert ended == [AbandonedError]
    silent.rest()
    assert silent.pid is None


def test_it_ends_with_its_service() -> None:
    reader = ReaderProcess()
    payload, asked = messages()[0]
    reader.read(payload, asked, lambda: None)
    child = reader._child
    assert child is not None
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait() == 0
    reader.rest()


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_a_format_says_with_its_state_crosses_too(name: str) -> None:
    """What is left of a state without some types is asked of the format when the commit is written."""
    form = SHIPPED[name]
    after = Aftermath(b"", rest=partial(form.without, b"")) if isinstance(form, Divisible) else Aftermath(b"")
    found = Decoded(name, [], [], 0, aftermath=after)
    answer = ReadOut(b"")
    for kind, data in pieces(found, b""):
        answer.take(kind, data)
    assert answer.decoded is not None
    crossed = answer.decoded.aftermath
    assert crossed is not None
    assert (crossed.rest is None) == (after.rest is None)
