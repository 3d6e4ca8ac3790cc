"""What RabbitMQ's MQTT plugin calls things: its exchange, a client's queues, and topics."""

from typing import Final

MQTT_EXCHANGE: Final = "amq.topic"
TO_MQTT: Final = str.maketrans("./*", "/.+")
"""From a routing key to a topic or filter."""
OF_CLIENTS: Final = "mqtt-subscription-"
"""What the names of clients' queues begin with."""


def queues_of(client_id: str) -> tuple[str, ...]:
    """The queues of a client: one for each QoS."""
    return tuple(f"{OF_CLIENTS}{client_id}qos{qos}" for qos in (0, 1))
