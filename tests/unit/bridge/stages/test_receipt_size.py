"""No receipt is longer than any client takes, and nothing is left out but words."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.stages.acknowledge import Outcome, receipts
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.receipt import parse_receipt

ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")
MOST = 65_536


class Event:
    def __init__(self, name: str) -> None:
        self.id = name


def outcome(events: list[str], rejected: list[Rejection], *, batch: str | None = None) -> Outcome:
    decoded = Decoded(batch, [Event(name) for name in events], rejected, len(events) + len(rejected))  # type: ignore[arg-type]
    return Outcome(Delivery(None, 1, ORIGIN, b""), decoded, [n % 2 for n in range(len(events))])  # type: ignore[arg-type]


def refusal(index: int, name: str, message: str = "bpm 900 is above 300") -> Rejection:
    return Rejection(index=index, id=name, reason=Reason.OUT_OF_RANGE, field="value.bpm", message=message, raw=b"")


IDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=64)


@given(st.lists(IDS, max_size=40), st.integers(1, 60))
def test_ids_of_one_commit_are_told_in_receipts_of_a_size_that_all_take(names: list[str], times: int) -> None:
    told = [outcome([f"{n}{name}"[:64] for name in names] * 2, [refusal(0, "r" * 60)]) for n in range(times)]
    made = receipts(told, "epoch", 7)
    assert all(len(each) <= MOST for each in made)
    parsed = [parse_receipt(each) for each in made]
    ids = [name for each in told for name in (event.id for event in each.decoded.events)]
    stored = [name for each in parsed for name in each.stored]  # type: ignore[union-attr]
    duplicate = [name for each in parsed for name in each.duplicate]  # type: ignore[union-attr]
    assert sorted(stored + duplicate) == sorted(ids)
    assert sum(len(each.rejected) for each in parsed) == times
    assert len(made) <= 1 + sum(map(len, made)) // 30_000


def test_a_batch_of_refusals_stays_one_receipt_and_keeps_codes() -> None:
    rejected = [refusal(n, f"{n:064}", "x" * 400) for n in range(500)]
    (made,) = receipts([outcome([], rejected, batch="b-1")], "epoch", 7)
    assert len(made) <= MOST
    receipt = parse_receipt(made)
    assert receipt.batch == "b-1"
    assert [(each.index, each.id, each.code) for each in receipt.rejected] == [
        (n, f"{n:064}", "out_of_range") for n in range(500)
    ]


@given(st.integers(1, 3_000), st.integers(400, 70_000), st.integers(0, 400))
def test_a_batch_never_has_a_receipt_that_the_way_to_the_device_does_not_take(many: int, room: int, words: int) -> None:
    rejected = [refusal(n, f'"{n:062}"', "x" * words) for n in range(many)]
    (made,) = receipts([outcome(["a", "b"], rejected, batch="b-1")], "epoch", 7, room)
    assert len(made) <= min(room, MOST)
    receipt = parse_receipt(made)
    assert len(receipt.rejected) + receipt.unlisted == many
    assert [(each.index, each.code) for each in receipt.rejected] == [
        (n, "out_of_range") for n in range(len(receipt.rejected))
    ]


def test_a_short_receipt_says_everything() -> None:
    (made,) = receipts([outcome(["a", "b"], [refusal(2, "c")], batch="b-1")], "epoch", 7)
    assert parse_receipt(made).rejected[0].message == "bpm 900 is above 300"
