"""healthsync bridge …"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us

app = new_group("The bridge alone, on an external broker.")


@app.callback()
def bridge() -> None:
    """The bridge alone, on an external broker."""


@app.command("run")
def run(
    *,
    shard: Annotated[str | None, typer.Option(help="Which part of the users, such as 2/8.")] = None,
    share: Annotated[str | None, typer.Option(help="Group of bridges that share all messages (MQTT 5).")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Work on the external broker of the settings until Ctrl-C.

    Example: healthsync bridge run --shard 1/2
    """
    from bridge.external_service import ExternalBridge
    from bridge.standalone import run as run_bridge
    from healthsync_mqtt.cli.service import AdminServer, ServiceFile
    from healthsync_mqtt.config.settings import load_settings
    from healthsync_mqtt.model.times import iso
    from healthsync_mqtt.telemetry.log import configure

    settings = load_settings(data, {"external.shard": shard, "external.share": share})
    configure(settings.log.level, settings.log.format)
    broker = f"{settings.external.host}:{settings.external.port}"

    @asynccontextmanager
    async def admin(running: ExternalBridge) -> AsyncIterator[None]:
        import os

        async def status(_arguments: dict[str, Any]) -> dict[str, Any]:
            return running.status()

        async with AdminServer(settings.paths.service_socket, {"status": status}) as server:
            ServiceFile(
                pid=os.getpid(),
                mqtt="",
                mqtts=broker,
                wss="",
                ca_file=str(settings.external.ca_file or ""),
                socket=str(server.path.absolute()),
                started_at=iso(now_us()),
                version=__version__,
            ).write(settings.data)
            try:
                yield
            finally:
                ServiceFile.remove(settings.data)

    def say(running: ExternalBridge) -> None:
        if json:
            output.emit({"event": "ready", "broker": broker, "epoch": running.journal.epoch})
            output.flush()
        else:
            output.say(f"The bridge {settings.bridge.id} works on {broker}. Ctrl-C stops.")

    run_bridge(settings, say=say, admin=admin)
