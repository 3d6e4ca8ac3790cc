"""The admin channel of the running service, as other processes use it; the service's end: ``admin_server.py``.

It is a Unix socket that only the service's account can open. One JSON object a line each way, one call a
connection: ``{"verb": "status"}`` → ``{"ok": {…}}`` or ``{"error": {"reason", "message", "hint"}}``.
"""

import json
import socket
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import HealthSyncError, UnavailableError

HEEDED_WITHIN_S: Final = 1.0


def call(data: Path, verb: str, *, within_s: float = 10.0, **arguments: Any) -> dict[str, Any]:
    """Ask the running service. UnavailableError when none answers; the service's own error otherwise."""
    service = ServiceFile.read(data)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(within_s)
            channel.connect(service.socket)
            channel.sendall(json.dumps({"verb": verb} | arguments).encode() + b"\n")
            with channel.makefile("rb") as lines:
                line = lines.readline()
        answer = json.loads(line)
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"the service (process {service.pid}) does not answer: {error.__class__.__name__}",
            hint="look at its log; if it hangs, stop and start it",
        ) from None
    if "ok" in answer:
        result: dict[str, Any] = answer["ok"]
        return result
    refusal = answer.get("error", {})
    kind = _BY_REASON.get(refusal.get("reason"), HealthSyncError)
    raise kind(refusal.get("message", "the service failed"), hint=refusal.get("hint", ""))


def heeded(data: Path) -> bool:
    """Whether the running service goes by what the registry says now: it is told, and waited for, a second at most.

    False: none runs, or it has not answered. Nothing is lost by that: it reads the registry four times a second.
    """
    try:
        call(data, "heed", within_s=HEEDED_WITHIN_S)
    except HealthSyncError:
        return False
    return True


def _plain_errors(root: type[HealthSyncError]) -> dict[str, type[HealthSyncError]]:
    found = {root.reason: root} if root.__init__ is HealthSyncError.__init__ else {}
    for kind in root.__subclasses__():
        found |= _plain_errors(kind)
    return found


_BY_REASON = _plain_errors(HealthSyncError)
