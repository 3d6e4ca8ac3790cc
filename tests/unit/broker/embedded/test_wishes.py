"""What a SUBSCRIBE says beside its filters reaches the place where a subscriber's cursor is opened."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from healthsync_mqtt.broker.embedded.ports import Wish
from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.subscription_requests import SubscriptionRequests
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec.packets import Property, Subscribe
from healthsync_mqtt.telemetry.counters import Counters
from tests.unit.broker.embedded.sessions.test_sessions import RULES, FakeLink, sessions


class Feeder:
    """Says what it was asked for."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []

    def prepare(self, session: Session, wishes: Sequence[Wish], then: Callable[[], None]) -> None:
        self.wishes += wishes
        then()

    def refusal(self, session: Session, wish: Wish) -> None:
        """Everything is fed."""

    def attach(self, session: Session) -> None:
        """Nothing is fed here."""


def test_user_properties_and_the_identifier_come_with_each_granted_filter_that_is_fed() -> None:
    all_, feeder, answers = sessions(), Feeder(), list[Any]()
    subscription_requests = SubscriptionRequests(
        rules=RULES,
        limits=LimitSettings(),
        sessions=all_,
        embedded=cast("EmbeddedBroker", None),
        feeder=cast("Any", feeder),
        counters=Counters(),
    )
    filters = (
        ("users/alice/canonical/+", 1),
        ("users/bob/canonical/+", 1),
        ("users/alice/devices/w/commands", 1),
        ("users/alice/canonical/steps", 0),
    )
    about = {Property.SUBSCRIPTION_ID: (7,), Property.USER_PROPERTY: (("from", "earliest"), ("from", "12"))}
    subscription_requests.listen(FakeLink(all_).session, Subscribe(1, filters, about), answers.append)
    said = (("from", "earliest"), ("from", "12"))
    assert feeder.wishes == [
        Wish("users/alice/canonical/+", 1, 7, said),
        Wish("users/alice/canonical/steps", 0, 7, said),
    ]
    assert [(each.packet_id, each.codes) for each in answers] == [(1, (1, 0x87, 0x87, 0))]
    subscription_requests.listen(FakeLink(all_).session, Subscribe(2, filters[:1]), answers.append)
    assert feeder.wishes[2:] == [Wish("users/alice/canonical/+", 1)]
