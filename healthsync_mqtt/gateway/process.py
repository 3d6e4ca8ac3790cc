"""One run of the gateway: its parts, its server on sockets that are open already, and what it says of itself."""

import asyncio
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from healthsync_mqtt import __version__
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.gateway.bodies.unreadable import unread
from healthsync_mqtt.gateway.house import House
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.http_server import HttpServer
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.model.working_process import ProcessKind, ProcessName
from healthsync_mqtt.mqtt.links.port import Address
from healthsync_mqtt.storage.opening import tell_of

STATUS_S: Final = 1.0
_SHOWN: Final = ("connections", "requests", "logins_refused", "in_flight")
"""What an installation that shares its log sees of each gateway."""
_COLLECT_AFTER: Final = (100_000, 20, 20)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """``main`` on the fastest loop there is."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def serve(
    settings: Settings,
    broker: Address | None,
    sockets: Sequence[Any],
    *,
    begun: Callable[[], None],
    told: Callable[[dict[str, Any]], None] = lambda _: None,
    over: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, or until ``over`` returns; ``told`` gets the status each second.

    ``broker`` is the service's own; None: the service is a bridge on the external one of the settings.
    HealthSyncError when a part of it has failed: whoever keeps this process starts another one.
    """
    crowd = Crowd(settings.gateway)
    figures: Mapping[str, int] = dict.fromkeys(_SHOWN, 0)
    async with House.open(settings, broker) as house, _seen(settings, house.name, lambda: figures):
        tls = None if house.tls is None else house.tls.context(Demand.off)
        server = HttpServer(house.application(), crowd, tls=tls, begun=begun, unread=unread)

        def stop() -> None:
            house.tail.end()  # streams are answers that would not end by themselves
            server.should_exit = True

        async def until_over() -> None:
            if over is not None:
                await over()
                stop()

        async def until_failed() -> None:
            await house.failed.wait()
            stop()

        async def status() -> None:
            nonlocal figures
            while True:
                await asyncio.sleep(STATUS_S)
                said = _status(crowd, server, house)
                figures = {name: said[name] for name in _SHOWN}
                told(said)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        # What serves is made; a request leaves few cycles, and looking through all routes for them costs a tenth.
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)
        beside = [
            asyncio.create_task(until_over(), name="gateway.over"),
            asyncio.create_task(until_failed(), name="gateway.failed"),
            asyncio.create_task(status(), name="gateway.status"),
        ]
        try:
            await server.serve(list(sockets))
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        if house.failed.is_set():
            raise HealthSyncError("a part of the gateway has failed", hint="its log says which: gateway.part_ended")


@asynccontextmanager
async def _seen(settings: Settings, name: str, figures: Callable[[], Mapping[str, int]]) -> AsyncIterator[None]:
    """Where bridges share a log, the installation sees this gateway for as long as the ``with`` lasts."""
    process = ProcessName(
        kind=ProcessKind.gateway,
        name=name,
        host=socket.gethostname(),
        data=str(settings.data.absolute()),
        release=__version__,
        started_us=time.time_ns() // 1000,
    )
    presence = tell_of(settings.data, process, figures)
    try:
        yield
    finally:
        if presence is not None:
            await asyncio.to_thread(presence.close)


def _status(crowd: Crowd, server: HttpServer, house: House) -> dict[str, Any]:
    return {
        "connections": crowd.total,
        "connections_refused": crowd.refused,
        "requests": server.server_state.total_requests,
        "logins_refused": house.callers.refused,
        "in_flight": house.publisher.waiting,
        "streams": house.streams.open,
        "webhooks": house.deliveries.told(),
        "http": house.traffic.told(),
        **({} if house.spans is None else {"spans": house.spans.export.told()}),
        "broker": "connected" if house.publisher.connected else "away",
    }
