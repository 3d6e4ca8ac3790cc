"""What the running service says of itself, and what the log says without one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from healthsync_mqtt import __version__
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.descriptions.people import last_sighting, told
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.people.sightings import Sighting
from healthsync_mqtt.storage.opening import has_log, open_reader, working_processes

OUTCOMES: Final = ("received", "stored", "duplicate", "rejected", "failed", "in_flight")


class LiveClients(NamedTuple):
    """What the running service says: its connections by client id, and messages that went nowhere by who sent them."""

    connections: Mapping[str, Mapping[str, Any]]
    messages_refused: Mapping[str, list[dict[str, Any]]]


def live_clients(data: Path) -> LiveClients | None:
    """None when no service answers."""
    try:
        answer = call(data, "clients", within_s=5.0)
    except UnavailableError:
        return None
    connections = {each["client_id"]: each for each in answer["clients"]}
    return LiveClients(connections, answer.get("messages_refused", {}))


def presence(client_id: str, live: LiveClients | None, seen: Sighting | None, refused_lately: int) -> dict[str, Any]:
    """Whether a client is connected (null: no service runs), its last login, event and version; refused in a day.

    ``address``, ``protocol`` and ``connected_at`` are of its connection, or else of its last one.
    """
    found = None if live is None else live.connections.get(client_id)
    last = told(last_sighting(seen))
    if found is not None:
        last |= {name: found[name] for name in ("address", "protocol", "connected_at")}
    online = None if live is None else found is not None
    return {"online": online, **last, "refused_lately": refused_lately}


def service_status(data: Path) -> dict[str, Any]:
    """The object of ``status --json``. Without a service: ``running`` false, zero counters, totals from the log."""
    shown: dict[str, Any] = {
        "running": False,
        "version": __version__,
        "data": str(data.absolute()),
        "counters": dict.fromkeys(OUTCOMES, 0),
    }
    try:
        service = ServiceFile.read(data)
        answer = call(data, "status")
    except UnavailableError as error:
        shown["reason"] = str(error)
    else:
        listeners = {name: getattr(service, name) for name in ("mqtt", "mqtts", "wss", "http", "ca_file")}
        shown |= {"running": True, "pid": service.pid, "started_at": service.started_at, "listeners": listeners}
        shown["bound"] = service.bound
        shown |= answer
    totals: dict[str, Any] = {"events": 0, "superseded": 0, "rejected": 0, "users": 0}
    if has_log(data):
        with open_reader(data) as log:
            totals |= log.totals()
            shown |= {"epoch": log.epoch, "head": log.head()}
        found = working_processes(data)
        if found is not None:
            shown["processes"] = [each.as_json() for each in found]
    return shown | {"totals": totals}
