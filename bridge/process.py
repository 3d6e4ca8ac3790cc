"""The process of a service: signals, the fastest loop there is, and systemd's notifications."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from bridge.hangup import heard_early
from bridge.service import MakeEdge, Ready, Service
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

Around = Callable[[Ready], AbstractAsyncContextManager[Coroutine[Any, Any, object] | None]]
"""What the process does while the service is ready; what it yields ends the service when it returns or fails."""


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


async def serve(settings: Settings, make_edge: MakeEdge, around: Around, *, reread: Callable[[], Settings]) -> None:
    """Run until SIGINT or SIGTERM. Raises what made going on impossible, and UnavailableError for a taken port.

    SIGHUP reads the settings again with ``reread`` and the certificates; it never ends the process.
    """
    loop = asyncio.get_running_loop()
    interrupted, hung_up = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    if heard_early():
        hung_up.set()
    _tune_collector()
    _tune_threads()
    async with Service.open(settings, make_edge) as service:
        service.tasks.start("reload", reload_on(service, hung_up, reread))
        ready: list[Ready] = []

        async def listen() -> None:
            ready.append(await service.listen())

        await service.tasks.first(listen(), interrupted.wait())
        if not ready:
            return
        async with around(ready[0]) as work:
            notify("READY=1")
            try:
                await service.tasks.first(interrupted.wait(), *([] if work is None else [work]))
            finally:
                notify("STOPPING=1")


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """``main`` on the fastest loop there is, without core files: these would hold keys, tokens and health values."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def reload_on(service: Service, hung_up: asyncio.Event, reread: Callable[[], Settings]) -> None:
    """Have the service reload at each of these signals; whatever it finds, it goes on."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        try:
            await service.reload(await asyncio.to_thread(reread))
        except Exception as error:  # noqa: BLE001  # a signal that is to change something never ends everything
            log.error("bridge.reload_failed", error=error)  # noqa: TRY400  # no traceback


def _tune_collector() -> None:
    """Deliveries are short-lived tuples without cycles; scanning them costs a quarter of the rate or more."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _tune_threads() -> None:
    """A commit takes the interpreter's lock dozens of times; beside a busy loop each would wait for 5 ms by default."""
    sys.setswitchinterval(0.001)
