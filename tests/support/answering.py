"""A service that answers commands on its admin channel, in a thread, and is nothing else."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.control.admin_server import AdminServer
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import NotFoundError

PEER: Final = "127.0.0.1:9"
"""Nobody listens there."""
SINCE: Final = {"protocol": "mqtt5", "connected_at": "2026-11-26T06:00:00.000000Z"}


class answering:  # noqa: N801  # read as what it does
    """The admin channel of a service that has these clients, and does nothing else.

    ``said`` is what it answers to a verb that it is asked for.
    """

    def __init__(self, data: Path, *clients: str, **said: dict[str, Any]) -> None:
        self._data = data
        self._said = said
        self._clients = clients
        self._loop = asyncio.new_event_loop()
        self._over: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> None:
        self._thread.start()
        self._ready.wait()

    def __exit__(self, *_exc: object) -> None:
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        async def clients(_: dict[str, Any]) -> dict[str, Any]:
            return {
                "clients": [{"client_id": each, "role": "device", "address": PEER} | SINCE for each in self._clients]
            }

        async def unasked(_: dict[str, Any]) -> dict[str, Any]:
            raise NotFoundError("the service was asked about a name that nothing has")

        self._over = asyncio.Event()
        verbs = dict.fromkeys(("trace", "kick", "rejected_replay", "rejected_purge"), unasked)
        said = {verb: _saying(answer) for verb, answer in self._said.items()}
        async with AdminServer(self._data / "service.sock", verbs | said | {"clients": clients}) as server:
            ServiceFile(
                pid=os.getpid(), mqtt=PEER, mqtts=PEER, wss=PEER, ca_file="", started_at="", version="",
                socket=str(server.path),
            ).write(self._data)  # fmt: skip
            self._ready.set()
            await self._over.wait()
            ServiceFile.remove(self._data)


def _saying(answer: dict[str, Any]) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
    async def said(_: dict[str, Any]) -> dict[str, Any]:
        return answer

    return said
