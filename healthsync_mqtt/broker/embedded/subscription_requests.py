"""SUBSCRIBE and UNSUBSCRIBE: each filter is decided, added, and followed by what is retained and what is fed."""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from healthsync_mqtt.broker.embedded.ports import Feeder, Wish
from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    RETAIN_HANDLING_SHIFT,
    Property,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.topics.access import AccessDecision, AccessGround, AccessRules
from healthsync_mqtt.topics.registry import Channel

log = get_logger("door")

_CODES: Final = {
    AccessGround.bad_topic: ReasonCode.TOPIC_FILTER_INVALID,
    AccessGround.unknown_topic: ReasonCode.TOPIC_FILTER_INVALID,
    "shared": ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
    "max_filters": ReasonCode.QUOTA_EXCEEDED,
    "group_full": ReasonCode.QUOTA_EXCEEDED,
    "max_groups": ReasonCode.QUOTA_EXCEEDED,
    "bad_from": ReasonCode.IMPLEMENTATION_SPECIFIC,
}
"""The reason codes of filters that are refused; all others are not authorized."""

_SHARED: Final = "$share/"

Answer = Callable[[Suback | Unsuback], None]


class _Followed(NamedTuple):
    """A granted filter: its channel (None: several), and whether what is retained for it is wanted."""

    channel: Channel | None
    retained: bool


class SubscriptionRequests:
    """The filters of all sessions."""

    def __init__(
        self,
        *,
        rules: AccessRules,
        limits: LimitSettings,
        sessions: Sessions,
        embedded: EmbeddedBroker,
        feeder: Feeder,
        counters: Counters,
    ) -> None:
        self._rules = rules
        self._limits = limits
        self._sessions = sessions
        self._embedded = embedded
        self._feeder = feeder
        self._counters = counters
        self._notices = Notices()

    def listen(self, session: Session, asked: Subscribe | Unsubscribe, answer: Answer) -> None:
        """Add or take away filters; the codes of the answer are those of MQTT 5.

        It comes once the filters outlast a crash, before anything that follows from them. That includes the place in
        the log from which canonical events are read: a client that has its SUBACK gets every event from then on.
        """
        if isinstance(asked, Unsubscribe):
            self._sessions.durable(session, partial(answer, self._unsubscribed(session, asked)))
            return
        codes: list[int] = []
        granted: dict[str, _Followed] = {}
        refused: Counter[str] = Counter()
        rule = ""
        identifier = asked.properties.get(Property.SUBSCRIPTION_ID, (0,))[0]
        properties = asked.properties.get(Property.USER_PROPERTY, ())
        wishes: dict[str, Wish] = {}
        for topic_filter, options in asked.filters[: self._most(session, self._limits.filters_per_subscribe)]:
            decision = self._decision(session, topic_filter)
            wish = Wish(topic_filter, options & 3, identifier, properties)
            reason, said = self._refusal(session, wish, decision)
            if reason:
                refused[reason] += 1
                rule = rule or said
                codes.append(_CODES.get(reason, ReasonCode.NOT_AUTHORIZED))
                continue
            codes.append(options & 3)
            handling = options >> RETAIN_HANDLING_SHIFT
            fresh = self._sessions.index.granted(session, topic_filter) is None
            self._sessions.subscribe(session, topic_filter, GrantedQos.of(options, identifier))
            granted[topic_filter] = _Followed(decision.channel, not handling or (fresh and handling == 1))
            if _feeds(decision.channel):
                wishes[topic_filter] = wish
        if unread := len(asked.filters) - len(codes):
            refused["filters_per_subscribe"] += unread
            codes += [ReasonCode.QUOTA_EXCEEDED] * unread
            rule = rule or "filters_per_subscribe"
        if refused:
            self._refused(session, refused, rule)

        def kept() -> None:
            about = {Property.REASON_STRING: rule} if rule else NO_PROPERTIES
            answer(Suback(asked.packet_id, tuple(codes), about))
            for topic_filter, followed in granted.items():  # once, however often the packet names it
                self._follow(session, topic_filter, followed)

        if wishes:
            self._feeder.prepare(session, list(wishes.values()), partial(self._sessions.durable, session, kept))
        elif granted:
            self._sessions.durable(session, kept)
        else:
            kept()

    def feeds(self, session: Session) -> bool:
        """Whether a filter of the session's own, which it has now, brings it canonical events."""
        return any(
            _feeds(self._rules.may_subscribe(session.principal, topic_filter).channel)
            for topic_filter in self._sessions.index.filters(session)
            if not topic_filter.startswith(_SHARED)
        )

    def resume(self, session: Session) -> None:
        """A session goes on: canonical events, too, when it has a filter for them."""
        for topic_filter, granted in self._sessions.index.filters(session).items():
            if topic_filter.startswith(_SHARED):
                self._feeder.join(session, topic_filter, granted)
        if self.feeds(session):
            self._feeder.attach(session)

    def _unsubscribed(self, session: Session, asked: Unsubscribe) -> Unsuback:
        codes = []
        for topic_filter in asked.filters:
            there = self._sessions.index.granted(session, topic_filter) is not None
            if there:  # else nothing changes, and nothing is written
                self._sessions.unsubscribe(session, topic_filter)
                self._feeder.leave(session, topic_filter)
            codes.append(ReasonCode.SUCCESS if there else ReasonCode.NO_SUBSCRIPTION_EXISTED)
        return Unsuback(asked.packet_id, tuple(codes))

    def _follow(self, session: Session, topic_filter: str, followed: "_Followed") -> None:
        """What a new filter brings: retained messages and canonical events. Both are queued, and sent later."""
        granted = self._sessions.index.granted(session, topic_filter)
        if granted is None:
            return  # given up in the meantime, or the session is over
        channel = followed.channel
        if followed.retained and (channel is None or channel.retain):
            self._sessions.replay(session, topic_filter, self._embedded.delivered)
        if session.connected and topic_filter.startswith(_SHARED):
            self._feeder.join(session, topic_filter, granted)
        elif session.connected and _feeds(channel):
            self._feeder.attach(session)

    def _most(self, session: Session, usual: int) -> int:
        """A limit of filters: a subscriber, which an operator has registered by hand, may have more than a device."""
        return max(usual, self._limits.subscriber_filters) if session.principal.role is Role.subscriber else usual

    def _decision(self, session: Session, topic_filter: str) -> AccessDecision:
        """Whether the session may have this filter; shared ones are MQTT 5's."""
        decide = self._rules.may_listen if session.modern else self._rules.may_subscribe
        return decide(session.principal, topic_filter)

    def _refused(self, session: Session, refused: Counter[str], rule: str) -> None:
        """Count the filters of a packet that were refused, and say so: one line a client once in a while."""
        self._counters.subscriptions_refused += refused.total()
        left_out = self._notices.due(session.client_id, time.monotonic())
        if left_out is not None:
            log.warning(
                "door.subscribe_refused",
                client_id=session.client_id,
                reason=refused.most_common(1)[0][0],
                filters=refused.total(),
                rule=rule,
                left_out=left_out,
            )

    def _refusal(self, session: Session, wish: Wish, decision: AccessDecision) -> tuple[str, str]:
        """Why a filter is refused, as a word and in words; two empty ones when it is granted."""
        topic_filter = wish.topic_filter
        if not decision.allowed:
            shared = decision.reason is AccessGround.reserved and topic_filter.startswith(_SHARED)
            return "shared" if shared else decision.reason.value, decision.rule
        index = self._sessions.index
        most = self._most(session, self._limits.max_filters)
        if index.granted(session, topic_filter) is None and index.count(session) >= most:
            return "max_filters", f"a session has at most {most} filters"
        if _feeds(decision.channel) and (unfed := self._feeder.refusal(session, wish)) is not None:
            return unfed
        return "", ""


def _feeds(channel: Channel | None) -> bool:
    """Whether a filter of this channel, or of all, brings canonical events."""
    return channel is None or channel.key == "canonical"
