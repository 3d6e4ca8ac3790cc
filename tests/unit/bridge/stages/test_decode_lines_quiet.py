"""While the loop writes rows, nothing is decoded beside it: each of its statements would wait for the interpreter."""

import threading
from collections.abc import Callable
from typing import Any

from bridge.courtesy import Courtesy
from bridge.stages.decode_lines import Aside
from healthsync_mqtt.formats.port import Told
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.origin import Origin
from tests.support.patience import PATIENCE_S


async def test_the_decoder_waits_while_rows_are_written() -> None:
    order: list[str] = []
    started, decoded = threading.Event(), threading.Event()

    def decode(_: Delivery, _told: Told, pause: Callable[[], None]) -> Decoded:
        started.set()
        pause()
        order.append("decoded")
        decoded.set()
        return Decoded(None, [], [], 0)

    source: Any = object()
    courtesy = Courtesy()
    aside = Aside(decode=decode, quick=lambda _: None, ready=lambda *_: None, failed=lambda _: None, courtesy=courtesy)
    with courtesy.quiet():
        aside.put(Delivery(source, 1, Origin("alice", "watch", None, "t"), b""), 0)
        assert started.wait(PATIENCE_S)
        decoded.wait(0.1)
        order.append("written")
    assert decoded.wait(PATIENCE_S)
    assert order == ["written", "decoded"]
    aside.close()
