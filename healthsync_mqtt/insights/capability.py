"""What an insight module does, as one frozen record: the kind it finds, the types it reads, how far it looks back."""

from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED
from healthsync_mqtt.topics.grammar import is_id

LONGEST_LOOK: Final = 400
"""Days: whatever changes is looked at again for so long after."""
_TAKEN: Final = frozenset({"daily", "report"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightCapability:
    """``days``: it looks at a day and so many before. ``readings`` are types of which it wants each moment, not days.

    ``version`` goes up when the same days come to something else: everything is worked out again.
    """

    kind: str
    title: str
    types: frozenset[str]
    readings: frozenset[str] = frozenset()
    days: int
    version: int = 1
    about: str = ""

    def __post_init__(self) -> None:
        if not is_id(self.kind) or self.kind in _TAKEN:
            raise InputError(
                f"{self.kind!r} is no kind of insight", hint="letters, digits, _ and -; not daily and not report"
            )
        if not 0 < self.days <= LONGEST_LOOK:
            raise InputError(f"{self.kind} looks at {self.days} days", hint=f"1 to {LONGEST_LOOK}")
        unknown = sorted(self.reads - CATALOGUE.keys())
        if unknown or not self.reads:
            raise InputError(f"{self.kind} reads {', '.join(unknown) or 'no type'}", hint="healthsync type list")
        if guarded := sorted(self.reads & GUARDED):
            raise InputError(f"{self.kind} reads {', '.join(guarded)}", hint="no insight is made of guarded types")

    @property
    def reads(self) -> frozenset[str]:
        """Every type."""
        return self.types | self.readings
