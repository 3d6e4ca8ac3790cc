"""Google Fit: its service has ended."""

from healthsync_mqtt.adapters.capability import AuthMethod, Availability, Capability
from healthsync_mqtt.adapters.port import Adapter


def register() -> Adapter:
    """The adapter, which can be linked no more."""
    return Adapter(
        capability=Capability(
            name="google_fit",
            title="Google Fit",
            auth=AuthMethod.none,
            delivery=frozenset(),
            state=Availability.ended,
            reason="the Google Fit REST API has ended",
            hint="link google_health; archives are read by: healthsync import FILE --user USER --device DEVICE",
        )
    )
