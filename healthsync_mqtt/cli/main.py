"""``healthsync``: the commands, noun by noun."""

from typing import Annotated

import typer

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import app as apps
from healthsync_mqtt.cli import (
    audit,
    auth,
    bridge,
    broker,
    cert,
    client,
    config,
    consent,
    device,
    events,
    formats,
    gateway,
    homeassistant,
    key,
    output,
    rejected,
    sink,
    source,
    storage,
    subscriber,
    token,
    topic,
    types,
    user,
)
from healthsync_mqtt.cli.doctor.command import doctor
from healthsync_mqtt.cli.group import HealthSyncGroup
from healthsync_mqtt.cli.imports import import_
from healthsync_mqtt.cli.options import DATA, AnyData, Json
from healthsync_mqtt.cli.publish import publish
from healthsync_mqtt.cli.replay import replay
from healthsync_mqtt.cli.sample import sample
from healthsync_mqtt.cli.simulate import simulate
from healthsync_mqtt.cli.status import status
from healthsync_mqtt.cli.summary import summary
from healthsync_mqtt.cli.trace import trace
from healthsync_mqtt.cli.up import up

app = typer.Typer(
    cls=HealthSyncGroup,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        output.facts([("healthsync", __version__)])
        raise typer.Exit


@app.callback()
def healthsync(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Health data over MQTT: durable, de-duplicated, isolated per user.

    Example: healthsync up --demo
    """


app.command("up")(up)
app.command("status")(status)
app.add_typer(user.app, name="user")
app.add_typer(consent.app, name="consent")
app.add_typer(device.app, name="device")
app.add_typer(apps.app, name="app")
app.add_typer(subscriber.app, name="subscriber")
app.add_typer(client.app, name="client")
app.add_typer(token.app, name="token")
app.add_typer(key.app, name="key")
app.add_typer(cert.app, name="cert")
app.add_typer(events.app, name="events")
app.add_typer(rejected.app, name="rejected")
app.command("summary")(summary)
app.add_typer(source.app, name="source")
app.add_typer(storage.app, name="storage")
app.add_typer(config.app, name="config")
app.add_typer(sink.app, name="sink")
app.add_typer(homeassistant.app, name="homeassistant")
app.add_typer(topic.app, name="topic")
app.add_typer(types.app, name="type")
app.add_typer(formats.app, name="format")
app.add_typer(bridge.app, name="bridge")
app.add_typer(gateway.app, name="gateway")
app.add_typer(broker.app, name="broker")
app.add_typer(auth.app, name="auth")
app.add_typer(audit.app, name="audit")
app.command("trace")(trace)
app.command("publish")(publish)
app.command("import")(import_)
app.command("replay")(replay)
app.command("sample")(sample)
app.command("simulate")(simulate)
app.command("doctor")(doctor)


@app.command("version")
def version(data: AnyData = DATA, json: Json = False) -> None:  # noqa: ARG001  # --data is taken everywhere
    """Print the version.

    Example: healthsync version
    """
    if json:
        output.emit({"version": __version__})
    else:
        output.facts([("healthsync", __version__)])


def main() -> None:
    """The console script."""
    output.for_any_locale()
    app(prog_name="healthsync")
