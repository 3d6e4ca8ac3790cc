"""healthsync up"""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.demo import demo_login, run_watch
from healthsync_mqtt.cli.demo_tokens import DemoTokens
from healthsync_mqtt.cli.doctor.parts import missing
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.listener_address import reached
from healthsync_mqtt.cli.live_view import LiveView, Wanted
from healthsync_mqtt.cli.options import DATA, Json, new_data, now_us
from healthsync_mqtt.cli.service_verbs import verbs
from healthsync_mqtt.cli.spelling import Spelling, asked_by, nearby, program
from healthsync_mqtt.cli.storage import AcceptRestored
from healthsync_mqtt.cli.storage import accept_restored as take_restored
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.control.admin_server import AdminServer, Handler
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import NotFoundError, UsageError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("up")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from bridge.service import Ready, Service


def up(
    *,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            envvar="HEALTHSYNC_DATA",
            help="The data directory.",
            show_default="./data",
            callback=new_data,
            is_eager=True,
        ),
    ] = None,
    mqtt_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Plain MQTT on loopback; 0: a free one.")
    ] = None,
    mqtts_port: Annotated[int | None, typer.Option(min=0, max=65535, help="MQTT over TLS.")] = None,
    wss_port: Annotated[int | None, typer.Option(min=0, max=65535, help="MQTT over WebSocket over TLS.")] = None,
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="HTTPS: run the gateway, too.", show_default="no gateway")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Also run a simulated watch, and show what happens.")] = False,
    show: Annotated[
        str | None,
        typer.Option(
            help="With --demo: list only these events: of alice, or of alice/watch-1.", autocompletion=completion.users
        ),
    ] = None,
    accept_restored: AcceptRestored = False,
    json: Json = False,
) -> None:
    """Run broker and bridge in one process until Ctrl-C.

    Example: healthsync up --demo
    """
    from bridge.hangup import hear_early

    hear_early()
    from pathlib import Path

    from bridge.process import run
    from healthsync_mqtt.telemetry.log import configure

    ports = {
        "broker.mqtt_port": mqtt_port,
        "broker.mqtts_port": mqtts_port,
        "broker.wss_port": wss_port,
        "gateway.port": http_port,
    }

    def read() -> Settings:
        found = load_settings(Path(data) if data else None, ports)
        # A live screen and a log cannot share one terminal: there only warnings get through.
        quiet = demo and output.on_terminal()
        configure("error" if quiet else found.log.level, found.log.format)
        return found

    settings = read()
    if accept_restored:
        take_restored(DataDirectory(settings.data))
    run(_Up(settings, read, demo=demo, wanted=Wanted.of(show), as_json=json).run)


class _Up:
    def __init__(
        self, settings: Settings, reread: "Callable[[], Settings]", *, demo: bool, wanted: Wanted, as_json: bool
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._place = DataDirectory(settings.data)
        self._fresh = not self._place.has_registry() and not settings.paths.has_run
        self._lost = missing(settings.data)
        self._demo = demo
        self._wanted = wanted
        self._as_json = as_json
        elsewhere = "" if settings.data == DATA.absolute() else nearby(settings.data)
        self._typed = Spelling(account=asked_by(), program=program(), data=elsewhere)

    async def run(self) -> None:
        from bridge.embedded import EmbeddedEdge
        from bridge.process import serve
        from healthsync_mqtt.broker.embedded.limits.descriptors import raise_soft_limit

        limits = self._settings.limits
        raise_soft_limit(limits.max_connections + limits.max_unauthenticated)
        if not self._place.registry_db.exists():  # one that is there may have to move to a server first
            self._place.registry().close()  # makes the private directory before anything is written into it
        await serve(self._settings, EmbeddedEdge.open, self._around, reread=self._reread)

    @asynccontextmanager
    async def _around(self, ready: "Ready") -> "AsyncIterator[Coroutine[Any, Any, object] | None]":
        from bridge.supervisor import Supervisor

        data, lifetime_s = self._place.path, self._settings.token.lifetime_s
        tokens = DemoTokens(self._place, lifetime_s)
        if self._demo:
            demo_login(self._place, lifetime_s)
            tokens.renew()
        async with AdminServer(data / "service.sock", _handlers(ready.service)) as admin, Supervisor() as demo:
            service = ServiceFile(
                pid=ready.pid,
                mqtt=ready.mqtt,
                mqtts=ready.mqtts,
                wss=ready.wss,
                http=ready.http,
                bound=ready.bound,
                ca_file=ready.ca_file,
                socket=str(admin.path.absolute()),
                started_at=iso(now_us()),
                version=__version__,
            )
            service.write(data)
            try:
                self._say_made_new()
                self._say_ready(service, ready.bound)
                if not self._demo:
                    yield None
                else:
                    where = {"mqtts": service.mqtts, "wss": service.wss, "mqtt": service.mqtt}
                    view = LiveView(
                        ready.service, self._place, where, self._next(), wanted=self._wanted, as_json=self._as_json
                    )
                    demo.start("demo.watch", run_watch(service, self._place, lifetime_s))
                    demo.start("demo.tokens", tokens.run())
                    demo.start("demo.view", view.run())
                    yield demo.first()
            finally:
                # The demo watch says goodbye before the service stops.
                ServiceFile.remove(data)

    def _say_made_new(self) -> None:
        """What this start had to make: of a new installation in one line, of an old one loudly."""
        for part in self._lost:
            if part.path.exists():
                log.error("up.made_anew", path=str(part.path), loss=part.loss)
                output.say(f"WARNING: {part.path} was missing and is made new: {part.loss}")
        if self._fresh and not self._as_json:
            output.say(
                f"made new in {self._settings.data}: registry, signing key, CA and server certificate, event log"
            )

    def _say_ready(self, service: ServiceFile, bound: "Mapping[str, tuple[str, ...]]") -> None:
        if self._as_json:
            names = ("mqtt", "mqtts", "wss", "ca_file", "pid")
            gateway = {"http": service.http} if service.http else {}
            ready = {"event": "ready"} | {name: getattr(service, name) for name in names}
            output.emit(ready | gateway | {"bound": bound})
            output.flush()
            return
        output.facts(
            [
                ("MQTT over TLS", reached(service.mqtts, bound["mqtts"])),
                ("WebSocket over TLS", reached(service.wss, bound["wss"])),
                ("MQTT on this machine", reached(service.mqtt, bound["mqtt"])),
                *([("HTTP", reached(service.http, bound["http"]))] if service.http else []),
                ("CA file", service.ca_file),
            ]
        )
        output.say(
            "\n".join(("\nNext, in another terminal:", *(f"  {each}" for each in self._next()), "Ctrl-C stops."))
        )
        output.flush()

    def _next(self) -> tuple[str, ...]:
        words = ("user add alice --consent all", "device add alice watch-1", "events tail --user alice")
        return tuple(self._typed.of(f"healthsync {each}") for each in words)


def _handlers(service: "Service") -> dict[str, Handler]:
    from bridge.embedded import DoorServing
    from bridge.jobs.trace import Traced

    serving = service.serving
    assert isinstance(serving, DoorServing)

    async def clients(_arguments: dict[str, Any]) -> dict[str, Any]:
        await serving.noted()
        return {"clients": serving.clients(), "messages_refused": serving.messages_refused()}

    async def places(_arguments: dict[str, Any]) -> dict[str, Any]:
        return {"places": serving.places()}

    async def kick(arguments: dict[str, Any]) -> dict[str, Any]:
        client_id = str(arguments.get("client_id"))
        if not serving.kick(client_id):
            raise NotFoundError(f"{client_id} is not connected", hint="healthsync client list")
        return {}

    async def rewind(arguments: dict[str, Any]) -> dict[str, Any]:
        client_id, seq = arguments.get("client_id"), arguments.get("seq")
        if not isinstance(client_id, str) or not (seq is None or isinstance(seq, int)):
            raise UsageError("rewind takes client_id and seq")
        place = await serving.rewind(client_id, seq)
        return {"place": place, "connected": serving.is_connected(client_id), "fed": serving.is_fed(client_id)}

    async def seal(arguments: dict[str, Any]) -> dict[str, Any]:
        from bridge.jobs.sealing import seal_older

        rows = arguments.get("rows")
        if not isinstance(rows, int) or rows < 1:
            raise UsageError("seal takes rows")
        return {"left": await seal_older(service.ground.chores, rows)}

    async def turned_away(_arguments: dict[str, Any]) -> dict[str, Any]:
        return {"turned_away": await serving.turned_away()}

    async def trace(arguments: dict[str, Any]) -> dict[str, Any]:
        client_id, after = arguments.get("client_id"), arguments.get("after")
        if not isinstance(client_id, str) or not (after is None or isinstance(after, int)):
            raise UsageError("trace takes client_id, user, device and after")
        return serving.trace(Traced(client_id, arguments.get("user"), arguments.get("device")), after)

    return verbs(service) | {
        "trace": trace,
        "clients": clients,
        "places": places,
        "turned_away": turned_away,
        "kick": kick,
        "rewind": rewind,
        "seal": seal,
    }
