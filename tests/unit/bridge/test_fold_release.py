"""A refused message in a format of its own is tried again while others of the same app come in."""

import asyncio
import json
import threading
from functools import partial

import pytest

from bridge.jobs.release import Release
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.formats.port import AppMessage, Fold, Made, event_id
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError
from tests.support.consent import agreeing_to_all
from tests.support.patience import PATIENCE_S, until
from tests.unit.bridge.bench import Bench, delivery

TOPIC = "users/alice/devices/watch/formats/total"


class Total:
    """A running total. It refuses until it is ``mended``; the first that it takes then waits for a word."""

    name = "total"
    summary = "a running total"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.mended = False
        self.waits = False
        self.begun = False
        self.go_on = threading.Event()

    def takes(self) -> tuple[()]:
        return ()

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        words = json.loads(message.payload)
        if not self.mended:
            raise RefusedError(Reason.MALFORMED, None, "not yet")
        if self.waits and words["more"] == 1:
            self.begun = True
            assert self.go_on.wait(PATIENCE_S)
        total = int(state or b"0") + words["more"]
        made = {"type": "steps", "value": {"steps": words["more"]}, "start_time": "2026-05-03T06:00:00Z"}
        made |= {"end_time": "2026-05-03T07:00:00Z", "id": event_id(message.user, self.name, total)}
        yield Made(made, 0)
        return str(total).encode()


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> Total:
    total = Total()
    for place in ("bridge.pipeline.FORMATS", "bridge.jobs.release.FORMATS"):
        monkeypatch.setattr(place, {"total": total})
    return total


def message(bench: Bench, more: int) -> Delivery:
    made = delivery(bench.source(), more, json.dumps({"more": more}).encode())
    return made._replace(origin=Origin("alice", "watch", None, TOPIC), form="total")


async def test_what_came_in_between_is_not_overwritten_by_what_was_tried_again(form: Total) -> None:
    """The state that the released message was decoded on was another message's by the time it was stored."""
    bench = Bench(gate=agreeing_to_all("alice"))
    state = partial(bench.log.reader().format_state, "alice", "watch", "total")
    try:
        bench.pipeline.submit([message(bench, 1)])
        await bench.settle()
        form.mended = form.waits = True
        release = Release(bench.pipeline, bench.chores, bench.log.reader())
        trying = asyncio.ensure_future(release.release(1))
        await until(lambda: form.begun)
        bench.pipeline.submit([message(bench, 10)])
        await bench.settle()
        assert state() == b"10"
        form.go_on.set()
        with pytest.raises(UnavailableError, match="meanwhile"):
            await trying
        assert state() == b"10"
        assert await release.release(1) == {"number": 1, "outcome": "released"}
        assert state() == b"11"
        assert bench.balanced()
    finally:
        bench.close()
