"""Who may not send, though the broker lets them in: nothing of theirs is stored or kept, and the receipt says why."""

from pathlib import Path

import pytest

from bridge.jobs.consent_watch import ConsentWatch
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.people.senders import SenderChanges, SenderStanding
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.testing.log_items import NOW_US
from tests.support.consent import agreeing
from tests.unit.bridge.bench import Bench, delivery, event, origin, until

REMOVED = SenderChanges(1, {("alice", "watch"): SenderStanding.removed}, {})
SUSPENDED = SenderChanges(1, {("alice", "watch"): SenderStanding.suspended}, {})


def barring(changes: SenderChanges, *, only_known: bool = False) -> ConsentGate:
    gate = agreeing("alice", "bob")
    gate.bar(changes, only_known=only_known)
    return gate


async def test_what_a_removed_device_sends_is_refused_and_its_neighbours_is_stored() -> None:
    bench = Bench(gate=barring(REMOVED))
    try:
        source = bench.source()
        bench.pipeline.submit(
            [
                delivery(source, 1, event("a")),
                delivery(source, 2, event("b"), origin("alice", "ring")),
                delivery(source, 3, event("bad", bpm=900)),
            ]
        )
        await bench.settle()
        assert bench.ids() == ["b"]
        assert bench.counters.snapshot()["rejected_by_reason"] == {"not_allowed": 2}
        assert [(row.reason, row.raw) for row in bench.log.reader().rejected()] == [("not_allowed", b"")] * 2
        assert source.tokens == [1, 2, 3], "it is acknowledged: else the broker would send it for ever"
        assert bench.balanced()
    finally:
        bench.close()


async def test_a_removal_while_deliveries_wait_for_a_commit_is_honoured() -> None:
    gate = agreeing("alice")
    bench = Bench(gate=gate)
    try:
        bench.log.faults = [StoreError("the disk is full")]
        bench.pipeline.submit([delivery(bench.source(), 1, event("a"))])
        await until(lambda: not bench.pipeline.healthy)
        gate.bar(REMOVED, only_known=False)
        await bench.settle()
        assert bench.ids() == []
        assert bench.counters.snapshot()["rejected_by_reason"] == {"not_allowed": 1}
    finally:
        bench.close()


async def test_what_was_kept_is_taken_though_its_device_was_removed_since() -> None:
    bench = Bench(gate=barring(REMOVED))
    try:
        held = delivery(bench.source(), 1, event("a"))._replace(kept=True)
        bench.pipeline.submit([held, delivery(bench.source(), 2, event("b"))])
        await bench.settle()
        assert bench.ids() == ["a"]
    finally:
        bench.close()


async def test_the_receipt_says_that_a_suspended_device_may_send_it_again_later() -> None:
    for changes, again in ((REMOVED, False), (SUSPENDED, True)):
        bench = Bench(gate=barring(changes))
        try:
            bench.pipeline.submit([delivery(bench.source(), 1, event("a"))])
            await bench.settle()
            (said,) = [words for topic, words in bench.outbox.sent if topic.endswith("/receipts")]
            (rejected,) = said["rejected"]
            assert (rejected["code"], rejected["id"], rejected.get("retry", False)) == ("not_allowed", "a", again)
        finally:
            bench.close()


@pytest.mark.parametrize(
    ("sender", "only_known", "why"),
    [
        (origin("alice", "watch"), False, "was removed"),
        (origin("alice", "ring"), False, ""),
        (origin("alice", "ring"), True, "no such device"),
        (origin("alice", "band"), True, ""),
        (Origin("alice", None, None, "users/alice/events"), False, ""),
        (Origin("alice", None, None, "users/alice/events"), True, "does not say which device"),
        (Origin("alice", None, "oura", "users/alice/adapters/oura/events"), True, ""),
        (origin("carol", "watch"), False, "user is suspended"),
        (Origin("carol", None, "oura", "users/carol/adapters/oura/events"), True, "user is suspended"),
    ],
)
def test_whom_the_registry_knows(sender: Origin, only_known: bool, why: str) -> None:
    devices = {("alice", "watch"): SenderStanding.removed, ("alice", "band"): SenderStanding.active}
    gate = barring(SenderChanges(1, devices, {"carol": SenderStanding.suspended}, whole=True), only_known=only_known)
    found = gate.barred(sender.user, sender.device, by_provider=sender.provider is not None)
    assert why in (found.message if found else "")
    assert bool(found) is bool(why)


async def test_the_watch_follows_the_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with Registry.open(path) as registry:
        registry.add_user("alice", "all", NOW_US)
        registry.add_device("alice", "watch", NOW_US)
        registry.add_device("alice", "old", NOW_US)
        registry.remove_device("alice", "old", NOW_US)
        for only_registered in (False, True):
            gate = ConsentGate()
            watch = ConsentWatch(path, gate, only_registered=only_registered)
            try:

                def stand(device: str, gate: ConsentGate = gate) -> str:
                    found = gate.barred("alice", device)
                    return "" if found is None else found.message

                assert (stand("watch"), stand("old")) == ("", "this device was removed")
                assert bool(stand("never")) is only_registered
                registry.remove_device("alice", "watch", NOW_US)
                assert stand("watch") == "", "until it looks"
                await watch.look()
                assert stand("watch") == "this device was removed"
                registry.add_device("alice", "watch", NOW_US)
                registry.add_device("alice", f"new-{only_registered}", NOW_US)
                await watch.look()
                assert (stand("watch"), stand(f"new-{only_registered}")) == ("", "")
                registry.revocation.suspend_device("alice", "watch", NOW_US)
                await watch.look()
                assert "suspended" in stand("watch")
                registry.revocation.resume_device("alice", "watch")
                registry.revocation.suspend_user("alice", NOW_US)
                await watch.look()
                assert "this user is suspended" in stand("watch")
                registry.revocation.resume_user("alice")
                await watch.look()
                assert stand("watch") == ""
            finally:
                watch.close()
