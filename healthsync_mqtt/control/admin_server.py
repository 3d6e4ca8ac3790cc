"""The service's end of the admin channel (``channel.py``)."""

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

from healthsync_mqtt.errors import HealthSyncError, UsageError

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
