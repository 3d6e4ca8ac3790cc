"""A principal's rights as lists of topic filters, for brokers that want rules instead of asking for each decision.

The lists are made from the declared topics and every entry is put before the door's own decision function; one that it
would refuse is never handed out. Pure.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product, takewhile

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules, bound, may_read
from healthsync_mqtt.topics.registry import Channel

_MOST = 2_000
"""Rules of one principal; a reader of more named users is given all of them, or two names."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One filter. ``retain`` says whether what is published there may be retained."""

    filter: str
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Grants:
    """What a principal may do. ``receive`` are the topics of ``subscribe`` without wider spellings of the same.

    ``withheld`` are the topics that filters of both also match, and that it may not read. ``screened`` are filters that
    may be had at a broker that also looks at each message on its way out.
    """

    publish: tuple[Grant, ...]
    subscribe: tuple[str, ...]
    receive: tuple[str, ...]
    withheld: tuple[str, ...] = ()
    screened: tuple[str, ...] = ()


def grants_of(rules: AccessRules, principal: Principal) -> Grants:
    """All rights of a principal. ConfigError when they take more than 2,000 rules."""
    publish: list[Grant] = []
    subscribe: list[str] = []
    receive: list[str] = []
    read = [channel for channel in rules.registry if principal.role in channel.roles_subscribe]
    size = max((_size(channel, principal) for channel in read), default=0)
    if size > _MOST:
        raise ConfigError(
            f"{principal.client_id} would need {size} rules at the broker",
            hint="let it read all users, or use the broker's access hooks (healthsync auth serve)",
        )
    for channel in rules.registry:
        if principal.role in channel.roles_publish:
            publish += [
                Grant(name, retain=channel.retain)
                for name in _filters(channel, principal)
                if rules.may_publish(principal, _sample(rules, channel, name), retain=channel.retain).allowed
            ]
        if principal.role in channel.roles_subscribe:
            for name in _filters(channel, principal):
                if rules.may_subscribe(principal, name).allowed:
                    receive.append(name)
                    subscribe.append(name)
                wider = f"{name[:-1]}#" if name.endswith("/+") else ""
                if wider and rules.may_subscribe(principal, wider).allowed:
                    subscribe.append(wider)
    return Grants(
        tuple(publish),
        tuple(dict.fromkeys(subscribe)),
        tuple(dict.fromkeys(receive)),
        _withheld(rules, principal),
        _screened(rules, principal),
    )


def _withheld(rules: AccessRules, principal: Principal) -> tuple[str, ...]:
    """The topics of types that a reader of the general types has not named."""
    if principal.role is not Role.subscriber or principal.types is not None:
        return ()
    return tuple(
        "/".join(
            name if text == "type" and variable else "+" if variable else text
            for text, variable in channel.template.levels
        )
        for channel in rules.registry
        if "type" in channel.template.variables and principal.role in channel.roles_subscribe
        for name in sorted(GUARDED)
        if not may_read(principal, name)
    )


def _screened(rules: AccessRules, principal: Principal) -> tuple[str, ...]:
    """The widest filters over screened channels that a principal may have who is given its own messages only."""
    screening = AccessRules(rules.registry, screens=True)
    found: dict[str, None] = {}
    for channel in rules.registry:
        if channel.screened and principal.role in channel.roles_subscribe:
            levels = [text for text, variable in takewhile(lambda level: not level[1], channel.template.levels)]
            wider = ("/".join([*levels[: size + 1], "#"]) for size in range(len(levels)))
            found |= dict.fromkeys(
                islice((each for each in wider if screening.may_subscribe(principal, each).allowed), 1)
            )
    return tuple(found)


def _size(channel: Channel, principal: Principal) -> int:
    named = (bound(principal, text) for text, variable in channel.template.levels if variable)
    return math.prod(1 if ids is None else len(ids) for ids in named)


def _filters(channel: Channel, principal: Principal) -> Iterator[str]:
    """The channel's topics for the principal's ids, ``+`` where any id is meant."""
    choices = []
    for text, variable in channel.template.levels:
        if not variable:
            choices.append([text])
            continue
        ids = bound(principal, text)
        choices.append(["+"] if ids is None else sorted(ids))
    for levels in product(*choices):
        yield "/".join([*levels, *["#"] * channel.template.rest])


def _sample(rules: AccessRules, channel: Channel, name: str) -> str:
    """A topic that the filter matches, with a fresh id for each ``+``."""
    types = rules.registry.types
    out = []
    for level, (text, _) in zip(name.removesuffix("/#").split("/"), channel.template.levels, strict=True):
        if level != "+":
            out.append(level)
        else:
            out.append(min(types) if text == "type" and types else "any-id-of-all")
    return "/".join(out)
