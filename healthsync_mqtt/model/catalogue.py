"""The types of events by their names: families of ``types/`` in the order in which people are shown them.

Ranges are wide on purpose: they refuse what no body or sensor produces, they do not judge health.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from healthsync_mqtt.model.event_type import EventType, Sensitivity, TimeKind
from healthsync_mqtt.model.types import (
    activity,
    blood,
    body,
    cycle,
    environment,
    food,
    heart,
    lung,
    medication,
    mind,
    motion,
    scores,
    sleep,
    vitals,
    workout,
)

__all__ = ["CATALOGUE", "GUARDED", "EventType", "TimeKind", "resolve"]

_FAMILIES = (
    activity, heart, vitals, body, blood, sleep, food, workout, motion, lung, scores, environment, medication, mind,
    cycle,
)  # fmt: skip
_TYPES: tuple[EventType, ...] = tuple(event_type for family in _FAMILIES for event_type in family.TYPES)

#: All types by their canonical names.
CATALOGUE: Mapping[str, EventType] = MappingProxyType({event_type.name: event_type for event_type in _TYPES})

_BY_ANY_NAME = {name: event_type for event_type in _TYPES for name in (event_type.name, *event_type.aliases)}


#: Types that ``*`` does not mean: consent, and what a subscriber may read, name them.
GUARDED = frozenset(of.name for of in _TYPES if of.sensitivity is not Sensitivity.GENERAL)

#: The type of a name or an alias, None if there is none.
resolve: Callable[[str], EventType | None] = _BY_ANY_NAME.get
