"""What a SUBSCRIBE says beside its filters reaches the place where a subscriber's cursor is opened."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from healthsync_mqtt.broker.embedded.ports import Wish
from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.subscription_requests import SubscriptionRequests
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec.packets import Property, Subscribe, Unsubscribe
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


def test_giving_up_filters_that_are_not_there_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them in a packet were a thousand rows for the disk, with whatever names a client likes."""
    all_, answers, written = sessions(), list[Any](), list[str]()
    monkeypatch.setattr(all_.keep, "filter", lambda _no, name, _kept: written.append(name))
    requests = SubscriptionRequests(
        rules=RULES, limits=LimitSettings(), sessions=all_, embedded=cast("EmbeddedBroker", None),
        feeder=cast("Any", Leaving()), counters=Counters(),
    )  # fmt: skip
    session = FakeLink(all_).session
    all_.subscribe(session, "users/alice/devices/w/commands", GrantedQos.of(1))
    written.clear()
    asked = Unsubscribe(1, ("x" * 300, "users/alice/devices/w/commands", "users/bob/status"))
    requests.listen(session, asked, answers.append)
    assert written == ["users/alice/devices/w/commands"]
    assert answers[0].codes == (0x11, 0, 0x11)


class Leaving(Feeder):
    """Is told of filters that are given up."""

    def leave(self, session: Session, topic_filter: str) -> None:
        """Nothing follows from it here."""
