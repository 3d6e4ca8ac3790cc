"""Whether glucose has its own time of the day."""

from healthsync_mqtt.insights.daytime import DaytimePattern
from healthsync_mqtt.insights.port import Insight


def register() -> Insight:
    """The kind."""
    return DaytimePattern(
        kind="glucose",
        title="Glucose by time of day",
        type="glucose",
        name="glucose",
        unit="mg/dL",
        place=0,
        least=20.0,
        exact=5.0,
    ).insight()
