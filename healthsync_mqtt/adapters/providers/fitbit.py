"""Fitbit Web API: its service has ended."""

from healthsync_mqtt.adapters.capability import AuthMethod, Availability, Capability
from healthsync_mqtt.adapters.port import Adapter


def register() -> Adapter:
    """The adapter, which can be linked no more."""
    return Adapter(
        capability=Capability(
            name="fitbit",
            title="Fitbit Web API",
            auth=AuthMethod.none,
            delivery=frozenset(),
            state=Availability.ended,
            reason="the Fitbit Web API ended in November 2026",
            hint="link google_health; archives are read by: healthsync import FILE --user USER --device DEVICE",
        )
    )
