"""What senders are told of their messages, however many come in a row and whosever they are."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.stages.acknowledge import Outcome, acknowledge
from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict
from healthsync_mqtt.model.event import Decoded, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason

ORIGINS = [
    Origin(user, device, None, f"users/{user}/devices/{device}/events") for user in "ab" for device in ("x", "y")
]
POSITIONS = {"a": 7, "b": 9}


class Sender:
    def __init__(self, *, told: bool) -> None:
        self.told = told
        self.answers: list[tuple[int, DeliveryVerdict | None]] = []

    def acknowledge(self, tokens: Any, verdicts: Any = ()) -> None:
        assert len(verdicts) == (len(tokens) if self.told else 0)
        self.answers += zip(tokens, verdicts or [None] * len(tokens), strict=True)


def expected(outcome: Outcome) -> tuple[Any, ...]:
    delivery, decoded, seqs = outcome
    stored = len([seq for seq in seqs if seq])
    position = POSITIONS[delivery.origin.user]
    return (position, stored, len(seqs) - stored, len(decoded.rejections), "retain" if delivery.retained else "")


messages = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans(), st.lists(st.booleans(), max_size=3), st.booleans()),
    max_size=40,
)


@given(messages)
def test_each_message_is_answered_in_its_order_with_what_became_of_it(
    came: list[tuple[int, int, bool, list[bool], bool]],
) -> None:
    senders = [Sender(told=True), Sender(told=True), Sender(told=False)]
    outcomes: list[Outcome] = []
    for token, (sender, origin, retained, news, refused) in enumerate(came, 1):
        rejections = [Rejection(0, None, Reason.MALFORMED, None, "", b"")] if refused or not news else []
        nothing: Any = None
        decoded = Decoded(None, [nothing] * len(news), rejections, len(news) + len(rejections))
        source: Any = senders[sender]
        delivery = Delivery(source, token, ORIGINS[origin], b"", retained, senders[sender].told)
        outcomes.append(Outcome(delivery, decoded, [token if new else 0 for new in news]))
    acknowledge(outcomes, "e", POSITIONS.__getitem__)
    for sender in senders:
        own = [each for each in outcomes if each.delivery.source is sender]
        assert [token for token, _ in sender.answers] == [each.delivery.token for each in own]
        if sender.told:
            told = [(v.seq, v.stored, v.duplicate, v.rejected, v.ignored) for _, v in sender.answers if v is not None]
            assert told == list(map(expected, own))
