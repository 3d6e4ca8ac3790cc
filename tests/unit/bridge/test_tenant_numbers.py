"""Receipts and canonical events of a user are the same bytes whether other users are active or not."""

import json

from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.record import canonical_json
from tests.unit.bridge.bench import Bench, GatedLog, event, origin

#: What bob sends, commit by commit: new events, and repeats that store nothing.
OF_BOB = (["a"], ["a"], ["b", "c"], ["a", "b"], ["d"])


async def seen_by_bob(alice: int) -> tuple[list[bytes], list[bytes]]:
    """Bob's receipts and canonical events when Alice sends so many events before each commit of his."""
    log = GatedLog()
    log.epoch = "0" * 16
    bench = Bench(log=log)
    heard: list[tuple[str, bytes]] = []
    bench.outbox.send = lambda topic, payload: heard.append((topic, payload))  # type: ignore[method-assign]
    source = bench.source()
    try:
        for n, sent in enumerate(OF_BOB):
            for user, ids in (("alice", [f"{n}-{i}" for i in range(alice)]), ("bob", sent)):
                if ids:
                    payload = json.dumps([event(event_id) for event_id in ids]).encode()
                    bench.pipeline.submit([Delivery(source, 0, origin(user), payload)])
            await bench.settle()
    finally:
        bench.close()
    receipts = [payload for topic, payload in heard if topic == "users/bob/devices/watch/receipts"]
    return receipts, [canonical_json(row) for row in log.reader().read(0, 999, user="bob", history=True)]


async def test_what_bob_sees_does_not_depend_on_alice() -> None:
    together, alone = await seen_by_bob(alice=7), await seen_by_bob(alice=0)
    assert together == alone
    assert [json.loads(receipt)["seq"] for receipt in alone[0]] == [1, 1, 3, 3, 4]
    assert [json.loads(row)["seq"] for row in alone[1]] == [1, 2, 3, 4]
