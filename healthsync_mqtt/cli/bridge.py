"""healthsync bridge …"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, FreshData, Json, now_us
from healthsync_mqtt.cli.storage import AcceptRestored
from healthsync_mqtt.cli.storage import accept_restored as take_restored
from healthsync_mqtt.errors import UsageError

app = new_group("The bridge alone, on an external broker.")


@app.callback()
def bridge() -> None:
    """The bridge alone, on an external broker."""


@app.command("run")
def run(
    *,
    shard: Annotated[str | None, typer.Option(help="Which part of the users, such as 2/8.")] = None,
    share: Annotated[str | None, typer.Option(help="Group of bridges that share all messages (MQTT 5).")] = None,
    accept_restored: AcceptRestored = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Work on the external broker of the settings until Ctrl-C.

    Example: healthsync bridge run --shard 1/2
    """
    from bridge.hangup import hear_early

    hear_early()
    from bridge.external import ExternalEdge
    from bridge.process import run as run_process
    from bridge.process import serve
    from bridge.service import Ready
    from healthsync_mqtt.cli.service_verbs import verbs_beside_another_broker
    from healthsync_mqtt.config.settings import Settings, load_settings
    from healthsync_mqtt.control.admin_server import AdminServer
    from healthsync_mqtt.control.service_file import ServiceFile
    from healthsync_mqtt.model.times import iso
    from healthsync_mqtt.telemetry.log import configure

    def read() -> Settings:
        found = load_settings(data, {"external.shard": shard, "external.share": share})
        configure(found.log.level, found.log.format)
        return found

    settings = read()
    if accept_restored:
        take_restored(DataDirectory(settings.data))

    @asynccontextmanager
    async def around(ready: Ready) -> AsyncIterator[None]:
        async def rewind(_arguments: dict[str, Any]) -> dict[str, Any]:
            raise UsageError(
                "at an external broker a subscriber has no place in the log: the broker keeps what it has not given",
                hint="ask what changed over HTTP, or read the log: healthsync events list",
            )

        verbs = verbs_beside_another_broker(ready.service) | {"rewind": rewind}
        async with AdminServer(settings.paths.service_socket, verbs) as server:
            ServiceFile(
                pid=ready.pid,
                mqtt="",
                mqtts=ready.mqtts,
                wss="",
                ca_file=ready.ca_file,
                socket=str(server.path.absolute()),
                started_at=iso(now_us()),
                version=__version__,
                http=ready.http,
                shard=settings.external.shard,
                bound=ready.bound,
            ).write(settings.data)
            try:
                if json:
                    http = {"http": ready.http} if ready.http else {}
                    output.emit({"event": "ready", "broker": ready.mqtts, "epoch": ready.service.journal.epoch} | http)
                    output.flush()
                else:
                    output.say(f"The bridge {settings.bridge.id} works on {ready.mqtts}. Ctrl-C stops.")
                    if ready.http:
                        output.say(f"The gateway listens on {ready.http}.")
                yield
            finally:
                ServiceFile.remove(settings.data)

    run_process(lambda: serve(settings, ExternalEdge.open, around, reread=read))


@app.command("join")
def join(
    other: Annotated[Path, typer.Argument(help="The data directory of a bridge of the installation, stopped.")],
    *,
    shard: Annotated[str | None, typer.Option(help="Which part of the users is this bridge's, such as 2/8.")] = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Join another bridge's installation: one secret for pseudonyms, and the events of the users that come over.

    Both bridges are stopped. Without --shard the part is that of the settings; where bridges share one log it is
    everybody.

    Example: healthsync bridge join /var/lib/healthsync-1 --shard 2/3
    """
    from healthsync_mqtt.config.private_files import make_private_directory
    from healthsync_mqtt.config.settings import load_settings
    from healthsync_mqtt.sinks.bridge_part import BridgePart
    from healthsync_mqtt.sinks.takeover import join as join_bridge

    settings = load_settings(data, {"external.shard": shard})
    make_private_directory(data)
    joined = join_bridge(data, other, BridgePart.of(settings).shard)
    registry = settings.external.registry_file
    DataDirectory(registry.parent if registry else data).audit("bridge.joined", events=joined.events)
    if json:
        output.emit({"events": joined.events, "sinks": list(joined.sinks)})
    else:
        output.facts([("events taken over", joined.events), ("sinks in common", ", ".join(joined.sinks) or "none")])
