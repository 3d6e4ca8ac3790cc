"""Nothing that decoding makes is left to the collector of cycles, which holds everything up while it looks for them.

A refusal that was kept with its traceback kept the frame that kept the refusal, and with it the whole payload: a flood
of bad batches cost a collection of 100 ms now and then.
"""

import gc
import gzip
import json

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.text import printable
from tests.unit.bridge.decode.examples import NOW_US, ORIGIN, event, payload

GOOD = payload(event(id="good"))
BAD = {
    "no time": json.dumps([{"id": f"b{n}", "type": "heart_rate", "value": {"bpm": -1}} for n in range(50)]).encode(),
    "no value": json.dumps([{"id": f"b{n}"} for n in range(50)]).encode(),
    "range": payload(*[event(id=f"b{n}", value={"bpm": 900}) for n in range(50)]),
    "unclean": payload(*[event(id=f"b\x85{n}") for n in range(50)]),
    "inexact": b"[" + b",".join([GOOD.replace(b"72", b"NaN")] * 50) + b"]",
    "wrapper": b'{"batch":"b","more":1,"events":[{}]}',
    "not json": b"[" * 40,
    "nothing": b"",
    "many": b"[" + b",".join([b"{}"] * 501) + b"]",
}


@pytest.mark.parametrize("data", BAD.values(), ids=list(map(printable, BAD)))
@pytest.mark.parametrize("folded", [False, True])
def test_a_refusal_leaves_no_cycle_behind(data: bytes, folded: bool) -> None:
    sent = gzip.compress(data) if folded else data
    decode(sent, ORIGIN, NOW_US)
    gc.collect()
    gc.disable()
    try:
        got = decode(sent, ORIGIN, NOW_US)
        assert got.rejections
        del got
        assert gc.collect() == 0
    finally:
        gc.enable()
