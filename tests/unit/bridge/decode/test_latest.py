"""``"version": "latest"``: taken by the decoder, counted by the log."""

import json

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.event import LATEST, Event
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.storage.latest_version import Held, version_after
from tests.unit.bridge.bench import NOW_US, Bench, delivery, event

ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")


@pytest.mark.parametrize("spaces", [None, 2], ids=["quick", "exact"])
def test_the_word_is_taken_on_both_ways_of_the_decoder(spaces: int | None) -> None:
    (found,) = decode(json.dumps(event("a", version="latest"), indent=spaces).encode(), ORIGIN, NOW_US).events
    assert found.version == LATEST


@pytest.mark.parametrize("word", ["newest", "", "Latest", "7"])
def test_another_word_is_not(word: str) -> None:
    (found,) = decode(json.dumps(event("a", version=word)).encode(), ORIGIN, NOW_US).rejections
    assert (found.reason, found.field) == (Reason.WRONG_TYPE, "version")


async def test_a_repeat_is_a_duplicate_and_a_correction_supersedes() -> None:
    bench = Bench()
    for token, bpm in enumerate((60, 60.0, 61), 1):
        bench.pipeline.submit([delivery(bench.source(), token, event("a", bpm=bpm, version="latest"))])
        await bench.settle()
    assert [(row.version, row.body) for row in bench.log.committed.log] == [
        (0, b'{"value":{"bpm":60}}'),
        (1, b'{"value":{"bpm":61}}'),
    ]
    assert bench.balanced()
    bench.close()


def test_an_empty_body_tells_nothing() -> None:
    held = Held("weight", 4, 0, 1, None, b"")
    assert version_after(held, Event("a", "weight", 1, None, LATEST, 0, b'{"value":{"kg":71}}', 0)) is None
