"""The admin channel of the running service, both ends.

It is a Unix socket that only the service's account can open. One JSON object a line each way, one call a
connection: ``{"verb": "status"}`` → ``{"ok": {…}}`` or ``{"error": {"reason", "message", "hint"}}``.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import HealthSyncError, UnavailableError, UsageError

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

_MAX_LINE = 1 << 20
_MAX_SOCKET_PATH = 100  # bytes; the systems' limits are 104 and 108


class AdminServer:
    """The service's end. Use as an async context manager; ``path`` is where it listens in fact.

    ``handlers`` answer verbs; each gets the call's arguments. A HealthSyncError they raise goes to the caller.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self.path = path
        self._handlers = dict(handlers)
        self._directory: str | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        if len(os.fsencode(self.path.absolute())) > _MAX_SOCKET_PATH:
            self._directory = tempfile.mkdtemp(prefix="healthsync-")  # made 0700
            self.path = Path(self._directory) / "service.sock"
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            self.path.chmod(0o600)  # before listen(): nobody connects to the wider mode
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_MAX_LINE)
        except BaseException:
            listener.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(30):
                answer = await self._answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # the caller went away, or sent what is no line
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            call = json.loads(line)
            if not isinstance(call, dict):
                raise UsageError("a call is a JSON object")
            handler = self._handlers.get(str(call.pop("verb", "")))
            if handler is None:
                raise UsageError("the service does not know this verb", hint="use the same version on both sides")
            return {"ok": await handler(call)}
        except HealthSyncError as error:
            return {"error": {"reason": error.reason, "message": str(error), "hint": error.hint}}
        except json.JSONDecodeError:
            return {"error": {"reason": UsageError.reason, "message": "the call is not JSON", "hint": ""}}


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


def _plain_errors(root: type[HealthSyncError]) -> dict[str, type[HealthSyncError]]:
    found = {root.reason: root} if root.__init__ is HealthSyncError.__init__ else {}
    for kind in root.__subclasses__():
        found |= _plain_errors(kind)
    return found


_BY_REASON = _plain_errors(HealthSyncError)
