"""Health Connect: a phone holds it, and sends it by itself."""

from healthsync_mqtt.adapters.capability import AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.port import Adapter


def register() -> Adapter:
    """The row beside the clouds: there is nothing to link, and nothing to ask for."""
    return Adapter(
        capability=Capability(
            name="health_connect",
            title="Health Connect",
            auth=AuthMethod.app_login,
            delivery=frozenset({DeliveryWay.push}),
            hint="healthsync app add USER NAME --format FORMAT",
            about="a phone's app sends it",
        )
    )
