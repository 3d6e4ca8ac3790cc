"""The process of a bridge on an external broker: signals, the ready line, and systemd's notifications."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from bridge.external_service import ExternalBridge, run_bridge
from healthsync_mqtt.config.settings import Settings

Admin = Callable[[ExternalBridge], AbstractAsyncContextManager[object]]
"""Makes the admin channel of a bridge that is ready."""


def notify(state: str) -> None:
    """Tell systemd (``READY=1``, ``STOPPING=1``, ``STATUS=…``); nothing happens without it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())


async def serve(settings: Settings, *, say: Callable[[ExternalBridge], None], admin: Admin | None = None) -> None:
    """Run until SIGINT or SIGTERM; ``say`` is called once, when the bridge takes events."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ready: asyncio.Future[ExternalBridge] = loop.create_future()
    running = asyncio.create_task(run_bridge(settings, ready=ready.set_result, stop=stop), name="bridge")
    async with contextlib.AsyncExitStack() as stack:
        try:
            await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                if admin is not None:
                    await stack.enter_async_context(admin(ready.result()))
                say(ready.result())
                notify("READY=1")
            await running
        finally:
            notify("STOPPING=1")
            ready.cancel()
            stop.set()
            await asyncio.gather(running, return_exceptions=True)


def run(settings: Settings, *, say: Callable[[ExternalBridge], None], admin: Admin | None = None) -> None:
    """``serve`` on the fastest loop there is."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(settings, say=say, admin=admin))
