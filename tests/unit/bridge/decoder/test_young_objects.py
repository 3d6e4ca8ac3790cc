"""What comes from the reading process is never looked through a hundred thousand objects at a time."""

import gc

from bridge.decoder.frames import ReadOut, pieces
from healthsync_mqtt.model.event import Decoded, Event

_MOST = 5_000


def test_the_collector_looks_at_each_piece_of_a_long_answer() -> None:
    body = b'{"bpm":72}'
    events = [Event(f"e-{n}", "heart_rate", n, None, 0, 0, body, n) for n in range(20_000)]
    said = list(pieces(Decoded(None, events, [], len(events), 1, 1, None), b"payload"))
    thresholds, young = gc.get_threshold(), []
    gc.collect()
    gc.set_threshold(100_000, 20, 20)  # as the service has them
    try:
        answer = ReadOut(b"payload")
        for kind, data in said:
            answer.take(kind, data)
            young.append(gc.get_count()[0])
    finally:
        gc.set_threshold(*thresholds)
    assert answer.decoded is not None
    assert answer.decoded.events == events
    assert max(young) < _MOST
