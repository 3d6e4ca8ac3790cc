"""healthsync up"""

import asyncio
import resource
import signal
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.demo import demo_login, run_watch
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.live import LiveView
from healthsync_mqtt.cli.options import Json, now_us
from healthsync_mqtt.cli.service import AdminServer, Handler, ServiceFile
from healthsync_mqtt.client import Credentials
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.times import iso


def up(
    *,
    data: Annotated[
        str | None, typer.Option("--data", envvar="HEALTHSYNC_DATA", help="The data directory.", show_default="./data")
    ] = None,
    mqtt_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Plain MQTT on loopback; 0: a free one.")
    ] = None,
    mqtts_port: Annotated[int | None, typer.Option(min=0, max=65535, help="MQTT over TLS.")] = None,
    wss_port: Annotated[int | None, typer.Option(min=0, max=65535, help="MQTT over WebSocket over TLS.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Also run a simulated watch, and show what happens.")] = False,
    json: Json = False,
) -> None:
    """Run broker and bridge in one process until Ctrl-C.

    Example: healthsync up --demo
    """
    from pathlib import Path

    from healthsync_mqtt.telemetry.log import configure

    ports = {"broker.mqtt_port": mqtt_port, "broker.mqtts_port": mqtts_port, "broker.wss_port": wss_port}
    settings = load_settings(Path(data) if data else None, ports)
    # A live screen and a log cannot share one terminal: there only warnings get through.
    quiet = demo and output.on_terminal()
    configure("error" if quiet else settings.log.level, settings.log.format)
    _run(_Up(settings, demo=demo, as_json=json).run)


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    # A core file would hold keys, tokens and health values.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


class _Up:
    def __init__(self, settings: Settings, *, demo: bool, as_json: bool) -> None:
        self._settings = settings
        self._place = DataDirectory(settings.data)
        self._demo = demo
        self._as_json = as_json

    async def run(self) -> None:
        from bridge.service import Ready, run_service

        loop = asyncio.get_running_loop()
        interrupted, stop = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupted.set)
        ready: asyncio.Future[Ready] = loop.create_future()
        self._place.registry().close()  # makes the private directory before anything is written into it
        login = demo_login(self._place) if self._demo else None
        running = asyncio.create_task(run_service(self._settings, ready=ready.set_result, stop=stop), name="service")
        leaving = asyncio.create_task(interrupted.wait(), name="signals")
        try:
            await asyncio.wait((running, ready, leaving), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                async with AdminServer(self._place.path / "service.sock", _handlers(ready.result())) as admin:
                    await self._serve(ready.result(), admin, login, (running, leaving))
        finally:
            # The demo watch has said goodbye by now; the service stops after it.
            leaving.cancel()
            stop.set()
            await running

    async def _serve(
        self, ready: Any, admin: AdminServer, login: Credentials | None, ends: tuple[asyncio.Task[Any], ...]
    ) -> None:
        data = self._place.path
        service = ServiceFile(
            pid=ready.pid,
            mqtt=ready.mqtt,
            mqtts=ready.mqtts,
            wss=ready.wss,
            ca_file=ready.ca_file,
            socket=str(admin.path.absolute()),
            started_at=iso(now_us()),
            version=__version__,
        )
        service.write(data)
        tasks: list[asyncio.Task[None]] = []
        try:
            self._say_ready(service)
            if login is not None:
                tasks = self._start_demo(ready, service, login)
            await asyncio.wait((*ends, *tasks), return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            ServiceFile.remove(data)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start_demo(self, ready: Any, service: ServiceFile, login: Credentials) -> list[asyncio.Task[None]]:
        where = {"mqtts": service.mqtts, "wss": service.wss, "mqtt": service.mqtt}
        view = LiveView(ready.service, self._place.path, where, as_json=self._as_json)
        return [
            asyncio.create_task(run_watch(service, login), name="demo watch"),
            asyncio.create_task(view.run(), name="live view"),
        ]

    def _say_ready(self, service: ServiceFile) -> None:
        if self._as_json:
            names = ("mqtt", "mqtts", "wss", "ca_file", "pid")
            output.emit({"event": "ready"} | {name: getattr(service, name) for name in names})
            output.flush()
            return
        option = "" if self._settings.data.name == "data" else f" --data {self._settings.data}"
        output.facts(
            [
                ("MQTT over TLS", service.mqtts),
                ("WebSocket over TLS", service.wss),
                ("MQTT on this machine", service.mqtt),
                ("CA file", service.ca_file),
            ]
        )
        command = output.command()
        output.say(
            "\nNext, in another terminal:\n"
            f"  {command} user add alice --consent all{option}\n"
            f"  {command} device add alice watch-1{option}\n"
            f"  {command} events tail{option}\n"
            "Ctrl-C stops."
        )
        output.flush()


def _handlers(ready: Any) -> dict[str, Handler]:
    service = ready.service

    async def status(_arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = service.status()
        return answer

    async def rejected_replay(arguments: dict[str, Any]) -> dict[str, Any]:
        number = arguments.get("number")
        if not isinstance(number, int):
            raise UsageError("rejected_replay takes a number")
        answer: dict[str, Any] = await service.release.release(number)
        return answer

    return {"status": status, "rejected_replay": rejected_replay}
