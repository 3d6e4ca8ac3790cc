"""From where a subscriber wants the log: the user property ``from`` of a SUBSCRIBE."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.times import micros

PROPERTY: Final = "from"
_DIGITS: Final = 18
_HINT: Final = "from is earliest, a seq of the user's events, or a time such as 2026-11-26T06:00:00Z"


@dataclass(frozen=True, slots=True)
class Earliest:
    """Everything that is stored."""


@dataclass(frozen=True, slots=True)
class FromPosition:
    """From this event of one user on: the ``seq`` of canonical events."""

    position: int


@dataclass(frozen=True, slots=True)
class FromTime:
    """What came in at this time (microseconds) or later."""

    received_us: int


Since: TypeAlias = Earliest | FromPosition | FromTime


def parse_since(text: str) -> Since:
    """The meaning of ``from``; InputError when it has none."""
    if text == "earliest":
        return Earliest()
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return FromPosition(int(text))
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return FromTime(micros(when))
    except (ValueError, OverflowError):
        raise InputError("the property from is none of the three that it can be", hint=_HINT) from None
    raise InputError("the time in the property from has no offset", hint=_HINT)
