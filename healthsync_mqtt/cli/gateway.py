"""healthsync gateway …"""

from typing import TYPE_CHECKING, Annotated

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, FreshData, Json
from healthsync_mqtt.control.service_file import ServiceFile, split_address
from healthsync_mqtt.errors import UnavailableError

app = new_group("The HTTP gateway alone.")

if TYPE_CHECKING:
    from healthsync_mqtt.config.settings import Settings


@app.callback()
def gateway() -> None:
    """The HTTP gateway alone."""


@app.command("run")
def run(
    *,
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="HTTPS; 0: a free one.", show_default="8443")
    ] = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Serve HTTP beside a running service until Ctrl-C, as `healthsync up --http-port` does in one go.

    The service may be a bridge on an external broker: `healthsync bridge run`. Where log and registry are on a
    PostgreSQL server, any number of gateways run beside any number of bridges, on machines of their own too.

    Example: healthsync gateway run --http-port 8443
    """
    from healthsync_mqtt.broker.embedded.limits.descriptors import raise_soft_limit
    from healthsync_mqtt.broker.external.access import NO_CREDENTIAL
    from healthsync_mqtt.config.settings import load_settings
    from healthsync_mqtt.gateway.process import run as run_process
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.identity.login.gateway import GATEWAY
    from healthsync_mqtt.telemetry.log import configure

    settings = load_settings(data, {"gateway.port": http_port})
    configure(settings.log.level, settings.log.format)
    mqtt = _broker_beside(settings)
    credentials = CredentialStore(settings.paths.credentials)
    if mqtt:
        credentials.ensure(GATEWAY.client_id)
    else:
        credentials.need(GATEWAY.client_id, NO_CREDENTIAL)
    raise_soft_limit(settings.gateway.connections)
    run_process(lambda: _serve(settings, mqtt, as_json=json))


def _broker_beside(settings: "Settings") -> str:
    """Where the broker of the service here is; "": the external one of the settings. HealthSyncError without either.

    Where log and registry are on a server, no service has to be here.
    """
    from healthsync_mqtt.broker.external.access import expect_all_here

    try:
        service = ServiceFile.read(settings.data)
    except UnavailableError:
        if not (settings.storage.shared and settings.registry.url):
            raise
        return ""
    if not service.mqtt:
        expect_all_here(settings, service.shard)
    return service.mqtt


async def _serve(settings: "Settings", mqtt: str, *, as_json: bool) -> None:
    """``mqtt`` is where the service's own broker is; "": the service is a bridge on an external one."""
    from healthsync_mqtt.broker.embedded.listeners import cannot_listen, listening_on
    from healthsync_mqtt.config.sections import addresses
    from healthsync_mqtt.gateway.process import serve
    from healthsync_mqtt.mqtt.links.port import Address

    port = 8443 if settings.gateway.port is None else settings.gateway.port
    try:
        sockets = await listening_on(addresses(settings.gateway.host), port)
    except OSError as error:
        raise cannot_listen(error, "take a free port: --http-port 0") from error
    here = next(iter(sockets.values())).here
    url = f"{'https' if settings.gateway.tls else 'http'}://{here}"

    def begun() -> None:
        if as_json:
            output.emit({"event": "ready", "http": url})
            output.flush()
        else:
            output.say(f"The gateway listens on {url}. Ctrl-C stops.")

    broker = None
    if mqtt:
        host, mqtt_port = split_address(mqtt)
        broker = Address(host=host, port=mqtt_port)
    await serve(settings, broker, list(sockets), begun=begun)
