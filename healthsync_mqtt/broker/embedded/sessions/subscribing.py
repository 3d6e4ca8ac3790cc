"""SUBSCRIBE and UNSUBSCRIBE: each filter is decided, added, and followed by what is retained and what is fed."""

from collections.abc import Sequence
from functools import partial

from healthsync_mqtt.broker.embedded.ports import Feeder
from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec.packets import SUBSCRIBE_REFUSED
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.access import AccessRules

log = get_logger("door")


class Subscribing:
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

    def add(self, session: Session, filters: Sequence[tuple[str, int]]) -> list[int]:
        """Decide and add filters; the SUBACK codes in their order."""
        codes = []
        for position, (topic_filter, qos) in enumerate(filters):
            reason, rule = self._refusal(session, topic_filter, position)
            if reason:
                log.warning("door.subscribe_refused", client_id=session.client_id, reason=reason, rule=rule)
                self._counters.subscriptions_refused += 1
                codes.append(SUBSCRIBE_REFUSED)
                continue
            self._sessions.index.add(session, topic_filter, qos)
            codes.append(qos)
        return codes

    def follow(self, session: Session, filters: Sequence[tuple[str, int]], codes: Sequence[int]) -> None:
        """The SUBACK is out: now retained messages and canonical events may follow."""
        for (topic_filter, _), code in zip(filters, codes, strict=True):
            if code == SUBSCRIBE_REFUSED:
                continue
            channel = self._rules.may_subscribe(session.principal, topic_filter).channel
            if channel is None or channel.retain:
                self._embedded.replay_retained(topic_filter, partial(self._sessions.replay, session, topic_filter))
            if channel is None or channel.key == "canonical":
                self._feeder.attach(session)

    def remove(self, session: Session, filters: Sequence[str]) -> None:
        """Take filters away."""
        for topic_filter in filters:
            self._sessions.index.remove(session, topic_filter)

    def _refusal(self, session: Session, topic_filter: str, position: int) -> tuple[str, str]:
        """Why a filter is refused, and the rule that says so; an empty reason when it is granted."""
        decision = self._rules.may_subscribe(session.principal, topic_filter)
        if position >= self._limits.filters_per_subscribe:
            return "filters_per_subscribe", decision.rule
        if not decision.allowed:
            return decision.reason.value, decision.rule
        filters = self._sessions.index.filters(session)
        if topic_filter not in filters and len(filters) >= self._limits.max_filters:
            return "max_filters", decision.rule
        return "", decision.rule
