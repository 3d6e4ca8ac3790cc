"""What an insight module registers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import InsightFinding
from healthsync_mqtt.insights.recent_days import RecentDays

Find = Callable[[RecentDays], Sequence[InsightFinding]]


@dataclass(frozen=True, slots=True)
class Insight:
    """``find`` is pure: it knows nothing but the days it is given, and the same ones come to the same findings."""

    capability: InsightCapability
    find: Find

    @property
    def kind(self) -> str:
        """Its name in topics."""
        return self.capability.kind
