"""What a module found, and the event that it is told as."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from healthsync_mqtt.summaries.day import date_text

_NAMESPACE: Final = UUID("6f0cf7c4-0c5d-5a0b-9d0c-3f1f4f4b8e55")
TYPE: Final = "insight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a finding rests on: which types, from which day to which, on how many days there was something, how much."""

    types: tuple[str, ...]
    first_day: int
    last_day: int
    days: int
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightFinding:
    """``subject`` tells it from others of its kind and day; ``what`` is a word of its kind, such as ``above``.

    The sentence is for people, in plain words; it names no illness and says nobody what to do.
    """

    subject: str
    what: str
    sentence: str
    basis: Basis
    figures: Mapping[str, float | str] = field(default_factory=dict)

    def event(self, user: str, kind: str, day: int) -> dict[str, Any]:
        """As it is told. The same finding of the same day has the same id."""
        basis = self.basis
        return {
            "id": str(uuid5(_NAMESPACE, f"{user}/{kind}/{day}/{self.subject}")),
            "type": TYPE,
            "user_id": user,
            "kind": kind,
            "day": date_text(day),
            "subject": self.subject,
            "what": self.what,
            "sentence": self.sentence,
            "figures": dict(self.figures),
            "rests_on": {
                "types": sorted(basis.types),
                "from": date_text(basis.first_day),
                "to": date_text(basis.last_day),
                "days": basis.days,
                "readings": basis.readings,
            },
        }
