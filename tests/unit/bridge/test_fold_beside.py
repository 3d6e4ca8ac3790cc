"""Messages in formats that are read in two places at once: one of a device at a time, and nothing slow on the loop."""

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bridge.decode.delivery import decode
from bridge.decoder.frames import ReadRequest
from bridge.decoder.process import ReaderProcess
from bridge.folds import Folds
from bridge.pipeline import LONE_PART_EVENTS
from healthsync_mqtt.formats.port import AppMessage, Fold, Gone, Made
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.origin import Origin
from tests.support.consent import agreeing_to_all
from tests.support.patience import PATIENCE_S, until
from tests.unit.bridge.bench import Bench, delivery, event

LONG = " " * 70_000


class Names:
    """Each message names an event, or takes back all."""

    name = "names"
    summary = "a test's"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.folded: list[str] = []

    def takes(self) -> tuple[()]:
        return ()

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        words = json.loads(message.payload)
        self.folded.append(words["name"])
        for name in words.get("names", [words["name"]]):
            steps = {"type": "steps", "value": {"steps": 5}, "start_time": "2026-05-03T06:00:00Z"}
            yield Made(steps | {"end_time": "2026-05-03T07:00:00Z", "id": name}, 0, "", name)
        if words.get("gone"):
            yield Gone("")
        return state + words["name"].encode()


class HeldReader(ReaderProcess):
    """Reads here, when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def read(self, payload: bytes, question: ReadRequest, pause: Callable[[], None]) -> Decoded:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        origin, now_us, limits, form, told = question
        return decode(payload, origin, now_us, limits, pause, form, told)


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr("bridge.pipeline.FORMATS", {"names": names})
    return names


def message(bench: Bench, words: dict[str, Any], *, long: bool = False, user: str = "alice") -> Delivery:
    made = delivery(bench.source(), 1, (json.dumps(words) + LONG * long).encode())
    topic = f"users/{user}/devices/watch/formats/names"
    return made._replace(origin=Origin(user, "watch", None, topic), form="names")


async def test_a_short_message_waits_for_the_long_one_of_its_device_and_others_do_not(form: Names) -> None:
    """Read beside each other, the second would be folded on what was remembered before the first."""
    reader = HeldReader()
    bench = Bench(reader=reader)
    try:
        bench.pipeline.submit([message(bench, {"name": "long"}, long=True)])
        assert reader.begun.wait(PATIENCE_S)
        bench.pipeline.submit([message(bench, {"name": "short"})])
        bench.pipeline.submit([message(bench, {"name": "others"}, user="bob")])
        bench.pipeline.submit([delivery(bench.source(), 1, event("own"))])
        await until(lambda: set(bench.ids()) == {"others", "own"}, "who has nothing to do with it is stored")
        assert form.folded == ["others"]
        reader.go_on.set()
        await bench.settle()
        assert form.folded == ["others", "long", "short"]
        assert bench.log.reader().format_state("alice", "watch", "names") == b"longshort"
        assert bench.balanced()
    finally:
        bench.close()


async def test_what_an_emptied_app_takes_back_is_searched_beside_the_loop(
    form: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 records were 0.7 s in which nobody was acknowledged."""
    bench = Bench(gate=agreeing_to_all("alice"))
    searched: list[int] = []
    folds: Folds = bench.pipeline.folds
    find = folds._searching.find

    def found(user: str, event_id: str) -> Any:
        searched.append(threading.get_ident())
        return find(user, event_id)

    monkeypatch.setattr(folds._searching, "find", found)
    names = [f"n{number}" for number in range(1_500)]
    try:
        bench.pipeline.submit([message(bench, {"name": "all", "names": names})])
        await bench.settle()
        bench.pipeline.submit([message(bench, {"name": "none", "names": [], "gone": True})])
        await bench.settle()
        assert len(searched) == 1_500
        assert threading.get_ident() not in searched
        latest = {record.id: record.op for record in bench.log.committed.log}
        assert set(latest.values()) == {1}
        assert len(latest) == 1_500
        assert bench.balanced()
    finally:
        bench.close()


async def test_a_commit_of_very_much_is_written_in_small_portions(form: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stood still for 5,000 events without a version, a tenth of a second; see ``test_stored_in_parts.py``."""
    bench = Bench(gate=agreeing_to_all("alice"))
    sizes: list[int] = []
    stage = bench.log.stage

    def staged(items: Sequence[Any], *more: Any) -> Any:
        sizes.append(len(items))
        return stage(items, *more)

    monkeypatch.setattr(bench.log, "stage", staged)
    try:
        bench.pipeline.submit([message(bench, {"name": "all", "names": [f"n{n}" for n in range(6_200)]})])
        await bench.settle()
        assert sum(sizes) == 6_200
        assert max(sizes) <= LONE_PART_EVENTS
    finally:
        bench.close()
