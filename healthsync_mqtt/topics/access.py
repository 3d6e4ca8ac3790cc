"""Who may publish, subscribe and set a will where: decided from the declared topics and the principal's own ids.

Nothing is matched by pattern text: a topic is parsed to ids that are compared, and a filter is compared with each
template level by level, so a decision covers every id there could ever be. What is not declared is denied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.principal import EVERY_PROVIDER, Principal, Role
from healthsync_mqtt.topics.grammar import (
    FILTER_MAX,
    TOPIC_MAX_BYTES,
    Template,
    TopicError,
    is_id,
    shared_filter,
    validate_filter,
    validate_topic_name,
)
from healthsync_mqtt.topics.registry import Channel, TopicRegistry


class AccessGround(StrEnum):
    """Why a decision fell as it did."""

    allowed = "allowed"
    bad_topic = "bad_topic"  #: MQTT allows no such topic name or filter
    reserved = "reserved"  #: it starts with ``$``: server topics and shared subscriptions
    unknown_topic = "unknown_topic"  #: no declared topic is like this
    role = "role"  #: the channel is not for this role
    identity = "identity"  #: the ids in the topic are not the principal's
    wildcard = "wildcard"  #: the filter also matches topics that are not the principal's
    retain = "retain"  #: the channel allows no RETAIN
    will = "will"  #: the channel allows no will


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """An answer and its grounds; ``rule`` says in words which line of ``topics.yaml`` decided, for ``--explain``."""

    allowed: bool
    reason: AccessGround
    channel: Channel | None
    rule: str


class AccessRules:
    """Decisions over one registry. Pure: the same question has the same answer, whoever else exists.

    ``screens``: whoever asks puts each message of a screened channel before ``may_receive``, so that a wildcard over it
    may be had for what of it is one's own.
    """

    def __init__(self, registry: TopicRegistry, *, screens: bool = False) -> None:
        self.registry = registry
        self._screens = screens

    def may_publish(self, principal: Principal, topic: str, *, retain: bool = False) -> AccessDecision:
        """Whether ``principal`` may publish to ``topic``, with the RETAIN flag as given."""
        parsed = self._parse(topic)
        if isinstance(parsed, AccessDecision):
            return parsed
        channel, variables = parsed
        if principal.role not in channel.roles_publish:
            return _deny(AccessGround.role, channel, f"{principal.role} does not publish {channel.key}")
        if not owns(principal, variables):
            return _deny(AccessGround.identity, channel, f"{channel.key} is for {_terms(principal, channel)} only")
        if retain and not channel.retain:
            return _deny(AccessGround.retain, channel, f"{channel.key} has retain: false")
        return _allow(channel, f"{principal.role} publishes {channel.key} for {_terms(principal, channel)}")

    def owner(self, topic: str) -> str:
        """Whose a topic is, wherever the user stands in it; of a topic of no user its first two levels."""
        parsed = self.registry.parse(topic)
        user = None if parsed is None else parsed[1].get("user")
        return "/".join(topic.split("/", 2)[:2]) if user is None else f"users/{user}"

    def may_will(self, principal: Principal, topic: str, *, retain: bool = False) -> AccessDecision:
        """Whether ``principal`` may set its will on ``topic``: a device on its own status, a bridge on its own kind."""
        decision = self.may_publish(principal, topic, retain=retain)
        channel = decision.channel
        if decision.allowed and channel and not channel.will:
            return _deny(AccessGround.will, channel, f"{channel.key} has will: false")
        return decision

    def may_subscribe(self, principal: Principal, topic_filter: str) -> AccessDecision:
        """Whether every declared topic that ``topic_filter`` matches may be read by ``principal``, and there is one."""
        if topic_filter.startswith("$"):
            return _deny(
                AccessGround.reserved,
                None,
                "$ topics are refused; shared subscriptions are for MQTT 5 and events alone",
            )
        if len(topic_filter) > TOPIC_MAX_BYTES:
            return _too_long()
        try:
            levels = validate_filter(topic_filter).split("/")
        except TopicError as error:
            return _deny(AccessGround.bad_topic, None, str(error))
        reached = []
        wild = "+" in levels or levels[-1] == "#"
        for channel in self.registry:
            if wild and channel.private and principal.role is not Role.bridge:
                continue  # nothing on it is given to a wildcard, so the filter may be granted for the rest
            if not _reaches(levels, channel.template, self.registry.types):
                continue
            if wild and channel.screened and self._screens:
                if principal.role in channel.roles_subscribe:
                    reached.append(channel)
                continue
            if principal.role not in channel.roles_subscribe:
                return _deny(AccessGround.role, channel, f"{principal.role} does not subscribe to {channel.key}")
            if ground := _leak(levels, channel.template, principal):
                return _deny(ground, channel, f"{channel.key} is for {_terms(principal, channel)} only")
            reached.append(channel)
        if not reached:
            return _deny(AccessGround.unknown_topic, None, "no declared topic matches")
        keys = ", ".join(channel.key for channel in reached)
        rule = f"{principal.role} subscribes to {keys} for {_terms(principal, reached[0])}"
        return _allow(reached[0] if len(reached) == 1 else None, rule)

    def may_receive(self, principal: Principal, topic: str) -> bool:
        """Whether a message on ``topic`` is for ``principal``, whatever filter matched it."""
        parsed = self.registry.parse(topic)
        return parsed is not None and principal.role in parsed[0].roles_subscribe and owns(principal, parsed[1])

    def may_have(self, principal: Principal, topic: str) -> bool:
        """The same of what waits for ``principal`` already; what is not declared was not decided here."""
        return self.registry.parse(topic) is None or self.may_receive(principal, topic)

    def reaches(self, principal: Principal, topic: str) -> bool:
        """Whether a retained message on ``topic`` goes to a reader of whose filters one matches it.

        A wildcard may have been granted for other topics. Whether an event of a guarded type is for its reader is asked
        where it is fed.
        """
        parsed = self.registry.parse(topic)
        if parsed is None or not (parsed[0].screened or (parsed[0].retain and parsed[1].get("type") in GUARDED)):
            return True
        return self.may_receive(principal, topic)

    def may_listen(self, principal: Principal, topic_filter: str) -> AccessDecision:
        """The same where there are shared groups: ``$share/{group}/{filter}`` may be had as ``filter`` may.

        Events alone are divided: a shared filter reaches canonical topics and nothing else.
        """
        if len(topic_filter) > FILTER_MAX:
            return _too_long()
        try:
            shared = shared_filter(topic_filter)
        except TopicError as error:
            return _deny(AccessGround.bad_topic, None, str(error))
        if shared is None:
            return self.may_subscribe(principal, topic_filter)
        decision = self.may_subscribe(principal, shared.filter)
        if decision.allowed and (decision.channel is None or decision.channel.key != "canonical"):
            return _deny(AccessGround.reserved, decision.channel, "a shared subscription is for canonical events alone")
        return decision

    def _parse(self, topic: str) -> tuple[Channel, dict[str, str]] | AccessDecision:
        if parsed := self.registry.parse(topic):
            return parsed
        if topic.startswith("$"):
            return _deny(AccessGround.reserved, None, "topics that start with $ are refused")
        try:
            validate_topic_name(topic)
        except TopicError as error:
            return _deny(AccessGround.bad_topic, None, str(error))
        return _deny(AccessGround.unknown_topic, None, "no declared topic is like this")


def _allow(channel: Channel | None, rule: str) -> AccessDecision:
    return AccessDecision(True, AccessGround.allowed, channel, rule)


def _deny(ground: AccessGround, channel: Channel | None, rule: str) -> AccessDecision:
    return AccessDecision(False, ground, channel, rule)


def _too_long() -> AccessDecision:
    """Of a filter that is refused unread: a client may send very long ones, and many of them."""
    return _deny(AccessGround.unknown_topic, None, f"no declared topic is longer than {TOPIC_MAX_BYTES} bytes")


_NOTHING: frozenset[str] = frozenset()


def bound(principal: Principal, variable: str) -> frozenset[str] | None:
    """The ids that ``variable`` may have for ``principal``; None = any id. What an identity lacks, nothing.

    Whose a topic is, is written here and nowhere else: the door, the stages and the rules of external brokers ask this.
    """
    role = principal.role
    if role is Role.bridge and principal.users:
        # The bridge of the canaries: its ids are those of their users, clients and bridges alike.
        return principal.users if variable in {"user", "bridge", "client"} else None
    if role is Role.admin or role is Role.bridge:
        return None
    if variable == "client":
        return _one(principal.client_id)
    if role is Role.gateway:
        return None
    if variable == "user":
        return _one(principal.user) if role is Role.device else principal.users
    if role is Role.device and variable == "device":
        return _one(principal.device)
    if role is Role.device and variable == "format":
        return principal.formats
    if role is Role.subscriber and variable == "type":
        return principal.types
    if role is Role.subscriber and variable == "kind":
        return None if principal.types is None else _NOTHING  # an insight is made of all general types
    if role is Role.adapter and variable == "provider":
        return None if principal.provider == EVERY_PROVIDER else _one(principal.provider)
    return None


def _one(value: str | None) -> frozenset[str]:
    return _NOTHING if value is None else frozenset((value,))


def owns(principal: Principal, variables: Mapping[str, str]) -> bool:
    """Whether a topic with these ids is ``principal``'s own."""
    for name, value in variables.items():
        ids = bound(principal, name)
        if ids is not None and value not in ids:
            return False
    return "type" not in variables or may_read(principal, variables["type"])


def may_read(principal: Principal, type_name: str) -> bool:
    """Whether events of a type are for ``principal``: guarded ones only where they were named.

    A filter with a wildcard is granted for the types that are; asked here, each event finds out whether it is.
    """
    if principal.types is not None:
        return type_name in principal.types or principal.role is not Role.subscriber
    return type_name not in GUARDED or principal.role is not Role.subscriber or type_name in principal.named


def grant_of(principal: Principal, *, of: str = "") -> str:
    """What a principal may read of whom it may, as a text that is another one when that is; ``of`` is part of it."""
    types = "*" if principal.types is None else ",".join(sorted(principal.types))
    return f"{principal.role.value} {types} {','.join(sorted(principal.named))} {of}"


def _reaches(levels: list[str], template: Template, types: frozenset[str] | None) -> bool:
    """Whether the filter matches at least one topic of ``template``."""
    rest = levels[-1] == "#"
    wanted = levels[:-1] if rest else levels
    if (len(wanted) > len(template.levels) and not template.rest) or (not rest and len(wanted) < len(template.levels)):
        return False
    for want, (text, variable) in zip(wanted, template.levels, strict=False):
        if want == "+":
            continue
        if not variable:
            if want != text:
                return False
        elif not is_id(want) or (text == "type" and types is not None and want not in types):
            return False
    return True


def _leak(levels: list[str], template: Template, principal: Principal) -> AccessGround | None:
    """Why a filter that reaches ``template`` also matches topics outside the principal's ids, None when it does not."""
    for position, (text, variable) in enumerate(template.levels):
        if not variable:
            continue
        want = levels[position] if position < len(levels) else "#"
        if want in {"+", "#"}:
            if bound(principal, text) is not None:
                return AccessGround.wildcard
        elif not owns(principal, {text: want}):
            return AccessGround.identity
    return None


def _terms(principal: Principal, channel: Channel) -> str:
    """The principal's own bounds in words, such as ``user=alice, type=any``; names nobody else's ids."""
    terms = []
    for name in channel.template.variables:
        ids = bound(principal, name)
        terms.append(f"{name}={'any' if ids is None else _listed(ids)}")
    return ", ".join(terms)


def _listed(ids: frozenset[str]) -> str:
    if not ids:
        return "nobody"
    shown = sorted(ids)[:3]
    return "|".join(shown) + (f"|… ({len(ids)})" if len(ids) > len(shown) else "")
