"""healthsync status"""

from typing import Any

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.options import DATA, Data, Json
from healthsync_mqtt.cli.place import DataDirectory
from healthsync_mqtt.cli.service import ServiceFile, call
from healthsync_mqtt.errors import UnavailableError

_OUTCOMES = ("received", "stored", "duplicate", "rejected", "failed", "in_flight")


def status(data: Data = DATA, json: Json = False) -> None:
    """Say whether the service runs, where it listens and what it has done.

    Example: healthsync status --json
    """
    shown = current(DataDirectory(data))
    if json:
        output.emit(shown)
        return
    totals = shown["totals"]
    if shown["running"]:
        output.facts(
            [
                ("service", f"running (process {shown['pid']}), {'healthy' if shown.get('healthy', True) else 'ILL'}"),
                *((name, shown["listeners"][name]) for name in ("mqtt", "mqtts", "wss")),
                ("CA file", shown["listeners"]["ca_file"]),
                ("connections", shown.get("connections", 0)),
                *((name.replace("_", " "), shown["counters"].get(name, 0)) for name in _OUTCOMES),
            ]
        )
    else:
        output.facts([("service", "not running; start it: healthsync up")])
    output.facts([(f"{name} in the log", value) for name, value in totals.items()])


def current(place: DataDirectory) -> dict[str, Any]:
    """The object of ``status --json``. Without a service: ``running`` false, zero counters, totals from the log."""
    shown: dict[str, Any] = {
        "running": False,
        "version": __version__,
        "data": str(place.path.absolute()),
        "counters": dict.fromkeys(_OUTCOMES, 0),
    }
    try:
        service = ServiceFile.read(place.path)
        answer = call(place.path, "status")
    except UnavailableError as error:
        shown["reason"] = str(error)
    else:
        listeners = {name: getattr(service, name) for name in ("mqtt", "mqtts", "wss", "ca_file")}
        shown |= {"running": True, "pid": service.pid, "started_at": service.started_at, "listeners": listeners}
        shown |= answer
    totals: dict[str, Any] = {"events": 0, "superseded": 0, "rejected": 0, "users": 0}
    log = place.log()
    if log is not None:
        with log:
            totals |= log.totals()
            shown |= {"epoch": log.epoch, "head": log.head()}
    return shown | {"totals": totals}
