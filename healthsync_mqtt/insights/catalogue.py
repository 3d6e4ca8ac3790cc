"""Every kind of insight: those of the program, of installed packages, and of a data directory's folder."""

from pathlib import Path
from typing import Final, NamedTuple

from healthsync_mqtt.extension_point import BrokenModule, ExtensionPoint
from healthsync_mqtt.insights.port import Insight

FOLDER: Final = "insights"
"""Of a data directory."""
SHIPPED: Final = (
    "baseline", "trend", "streak", "gap", "sleep_regularity", "training_load", "blood_pressure", "glucose",
    "unusual_reading",
)  # fmt: skip
"""Modules of the program, in the order in which people are shown them."""
_INSIGHTS: Final = ExtensionPoint(
    of=Insight,
    called="insight",
    name=lambda insight: insight.kind,
    group="healthsync.insights",
    package="healthsync_mqtt.insights.kinds",
    shipped=SHIPPED,
    page="docs/insights.md",
)


class KnownInsights(NamedTuple):
    """The kinds that were found, and what could not be loaded."""

    insights: dict[str, Insight]
    broken: list[BrokenModule]

    @property
    def rules(self) -> str:
        """Another text when the same days may come to something else."""
        return " ".join(f"{each.kind}:{each.capability.version}" for each in self.insights.values())


def known(folder: Path | None = None) -> KnownInsights:
    """All kinds; ``folder`` is the one of a data directory."""
    return KnownInsights(*_INSIGHTS.known(folder))
