"""healthsync auth …"""

from typing import Annotated

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.broker import Bridges, Gateways, bridge_ids, gateway_ids
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, FreshData, Json, now_us
from healthsync_mqtt.errors import UsageError

app = new_group("Access hooks for external brokers.")


@app.callback()
def auth() -> None:
    """Access hooks for external brokers."""


@app.command("serve")
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: a free one.")] = 8870,
    rabbitmq: Annotated[str | None, typer.Option(help="RabbitMQ's management URL, to close revoked clients.")] = None,
    emqx: Annotated[str | None, typer.Option(help="EMQX's REST URL, for the same.")] = None,
    emqx_key: Annotated[str, typer.Option(help="Its API key; the secret is credentials/emqx-api-secret.")] = "",
    bridges: Bridges = None,
    gateways: Gateways = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Answer brokers who may log in, publish and subscribe.

    Example: healthsync auth serve --rabbitmq http://127.0.0.1:15672
    """
    from healthsync_mqtt.broker.external import hook_server as service
    from healthsync_mqtt.broker.external.canary_world import canaries
    from healthsync_mqtt.broker.external.emqx.eviction import EmqxEvictor
    from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
    from healthsync_mqtt.broker.external.identities import ADMIN
    from healthsync_mqtt.broker.external.management import Management
    from healthsync_mqtt.broker.external.rabbitmq.eviction import RabbitEvictor
    from healthsync_mqtt.broker.external.remembered_logins import RememberedLogins
    from healthsync_mqtt.config.server_address import THIS_MACHINE
    from healthsync_mqtt.config.settings import load_settings
    from healthsync_mqtt.identity.audit.log import AuditLog
    from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.identity.login.directory import Directory
    from healthsync_mqtt.identity.login.gateway import gateway_principal
    from healthsync_mqtt.identity.login.logins import Logins
    from healthsync_mqtt.identity.login.tokens import TokenVerifier
    from healthsync_mqtt.identity.refused_counts import RefusedLoginCounts
    from healthsync_mqtt.identity.registry import Registry
    from healthsync_mqtt.telemetry.log import configure
    from healthsync_mqtt.topics.access import AccessRules
    from healthsync_mqtt.topics.registry import TopicRegistry

    settings = load_settings(data)
    configure(settings.log.level, settings.log.format)
    if host not in THIS_MACHINE:
        hint = "put a TLS proxy in front of it, and let it listen on 127.0.0.1"
        raise UsageError("the hooks take passwords and speak plain HTTP: this machine only", hint=hint)
    store = CredentialStore(settings.paths.credentials)
    secret, _ = store.ensure(service.SECRET_CREDENTIAL)
    of_bridges, of_gateways = bridge_ids(settings, bridges), gateway_ids(settings, gateways)
    for own in (*canaries(of_bridges), *map(gateway_principal, of_gateways)):  # of a newer version, too
        store.ensure(own.client_id)
    evictors: list[service.Evictor] = []
    if rabbitmq:
        evictors.append(RabbitEvictor(Management.at(rabbitmq, ADMIN, store.ensure(ADMIN)[0])))
    if emqx:
        hint = f"write the API key's secret into {store.directory / 'emqx-api-secret'}"
        evictors.append(EmqxEvictor(Management.at(emqx, emqx_key, store.need("emqx-api-secret", hint))))
    with Registry.open(settings.paths.registry_db) as registry:
        keys = LiveKeys(KeyStore.of_environment(settings.paths.keys), now_us())
        directory = Directory(registry)
        logins = Logins.of(directory, TokenVerifier(keys), store)
        rules = AccessRules(TopicRegistry.load(settings.topics_file))
        gate = Gatekeeper(
            directory=directory,
            logins=logins,
            keys=keys,
            store=store,
            rules=rules,
            bridges=of_bridges,
            gateways=of_gateways,
            remembered=RememberedLogins(settings.paths.hook_logins, registry.erasures.erased_clients),
            refused=RefusedLoginCounts(AuditLog.open(settings.paths.audit_db, settings.paths.audit_key), registry),
        )

        def said(address: str) -> None:
            if json:
                output.emit({"event": "ready", "http": address})
                output.flush()
            else:
                output.say(f"The access hooks listen on http://{address}. Ctrl-C stops.")

        service.run(service.application(gate, secret, evictors=tuple(evictors)), host, port, said=said)
