"""The device client: hand it events, get back what happened to each one.

    async with DeviceClient("localhost", credentials=credentials, ca_file=Path("data/certs/ca.crt")) as watch:
        results = await watch.publish({"id": "hr-1", "type": "heart_rate", "start_time": "…Z", "value": {"bpm": 72}})

A new device gets its credentials for the code that ``healthsync device enroll`` prints:

    credentials = await enroll("localhost", code="K7QF-3M2D-9XWP-HT4V", save_to=Path("watch.json"), ca_file=…)

It speaks MQTT 5 where the service does and reads from each acknowledgement what became of the events, else MQTT 3.1.1
and receipts. It connects over TLS with a token, reconnects, and sends again whatever was not receipted. An outbox
on disk (``SqliteOutbox``) keeps events across restarts of the device, and acknowledged ones for 72 h in case the
service is restored from an older backup.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from healthsync_mqtt.client.backoff import Backoff, Clock, SystemClock
    from healthsync_mqtt.client.changes import ChangePage, ChangeReader
    from healthsync_mqtt.client.credentials import Credentials, TokenExpiredError
    from healthsync_mqtt.client.device import DeviceClient
    from healthsync_mqtt.client.enrolment import enroll
    from healthsync_mqtt.client.link import ClientState
    from healthsync_mqtt.client.outbox import MemoryOutbox, Outbox, OutboxEntry
    from healthsync_mqtt.client.outbox_file import SqliteOutbox
    from healthsync_mqtt.client.results import Accepted, Duplicate, Rejected, Result, Results, Stored
    from healthsync_mqtt.client.transport import Answer, ConnectionLostError, DeviceConnection, Transport
    from healthsync_mqtt.mqtt.links.farewell import (
        DismissedError,
        MovedError,
        OverQuotaError,
        ServerClosedError,
        ShuttingDownError,
        TakenOverError,
        TokenEndedError,
    )

# Silent unless the program that uses the client sets up logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "Accepted",
    "Answer",
    "Backoff",
    "ChangePage",
    "ChangeReader",
    "ClientState",
    "Clock",
    "ConnectionLostError",
    "Credentials",
    "DeviceClient",
    "DeviceConnection",
    "DismissedError",
    "Duplicate",
    "MemoryOutbox",
    "MovedError",
    "Outbox",
    "OutboxEntry",
    "OverQuotaError",
    "Rejected",
    "Result",
    "Results",
    "ServerClosedError",
    "ShuttingDownError",
    "SqliteOutbox",
    "Stored",
    "SystemClock",
    "TakenOverError",
    "TokenEndedError",
    "TokenExpiredError",
    "Transport",
    "enroll",
]

_WHERE: Final = {
    "Accepted": "client.results",
    "Answer": "client.transport",
    "Backoff": "client.backoff",
    "ChangePage": "client.changes",
    "ChangeReader": "client.changes",
    "ClientState": "client.link",
    "Clock": "client.backoff",
    "ConnectionLostError": "client.transport",
    "Credentials": "client.credentials",
    "DeviceClient": "client.device",
    "DeviceConnection": "client.transport",
    "DismissedError": "mqtt.links.farewell",
    "Duplicate": "client.results",
    "MemoryOutbox": "client.outbox",
    "MovedError": "mqtt.links.farewell",
    "Outbox": "client.outbox",
    "OutboxEntry": "client.outbox",
    "OverQuotaError": "mqtt.links.farewell",
    "Rejected": "client.results",
    "Result": "client.results",
    "Results": "client.results",
    "ServerClosedError": "mqtt.links.farewell",
    "ShuttingDownError": "mqtt.links.farewell",
    "SqliteOutbox": "client.outbox_file",
    "Stored": "client.results",
    "SystemClock": "client.backoff",
    "TakenOverError": "mqtt.links.farewell",
    "TokenEndedError": "mqtt.links.farewell",
    "TokenExpiredError": "client.credentials",
    "Transport": "client.transport",
    "enroll": "client.enrolment",
}


def __getattr__(name: str) -> Any:
    """Imported when it is first used: whoever asks for a credential loads no connection."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"healthsync_mqtt.{_WHERE[name]}"), name)
