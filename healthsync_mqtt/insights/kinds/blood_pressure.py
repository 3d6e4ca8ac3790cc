"""Whether blood pressure has its own time of the day."""

from healthsync_mqtt.insights.daytime import DaytimePattern
from healthsync_mqtt.insights.port import Insight


def register() -> Insight:
    """The kind."""
    return DaytimePattern(
        kind="blood_pressure",
        title="Blood pressure by time of day",
        type="blood_pressure",
        name="upper blood pressure",
        unit="mmHg",
        place=0,
        least=8.0,
        exact=3.0,
    ).insight()
