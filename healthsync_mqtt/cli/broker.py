"""healthsync broker …"""

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, AnyData, FreshData, Json, names, refuse_another_account
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import HealthSyncError, UsageError

app = new_group("External brokers: their configuration, their access rules, what they can promise.")

Bridges = Annotated[str | None, typer.Option(help="Ids of the bridges, a list; without it the one of the settings.")]
Gateways = Annotated[
    str | None, typer.Option(help="Ids of further HTTP gateways, a list; without it the one of the settings.")
]
_WATCH_S = 0.5
_WHOLE_S = 600.0


@app.command("render")
def render(
    broker: Annotated[
        str, typer.Argument(help="mosquitto, emqx, rabbitmq, hivemq or vernemq.", autocompletion=completion.brokers)
    ],
    *,
    out: Annotated[Path, typer.Option(help="Directory for the files; the broker reads them and keeps its state here.")],
    host: Annotated[str, typer.Option(help="Address the broker listens on.")] = "0.0.0.0",  # noqa: S104
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of MQTT over TLS.")] = 8883,
    user: Annotated[str, typer.Option(help="Account the broker runs as: root gives it the files.")] = "",
    hooks_url: Annotated[str, typer.Option(help="Where auth serve listens.")] = "http://127.0.0.1:8870",
    data: AnyData = DATA,
    json: Json = False,
) -> None:
    """Write complete, commented configuration for a broker.

    With --user, as root, the broker gets copies of its certificate and key, and the files are its account's: it need
    not see our data directory. Render again when the certificate was renewed.

    Example: healthsync broker render mosquitto --out /etc/mosquitto/healthsync --user mosquitto
    """
    from datetime import UTC, datetime

    from healthsync_mqtt.broker.external.configuration import render as rendered
    from healthsync_mqtt.broker.external.configuration import write
    from healthsync_mqtt.broker.external.grants import grants_of
    from healthsync_mqtt.broker.external.hook_server import SECRET_CREDENTIAL
    from healthsync_mqtt.broker.external.identities import ADMIN, principals
    from healthsync_mqtt.broker.external.ownership import as_owner_of, give, handed_over
    from healthsync_mqtt.broker.external.plan import Plan
    from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.identity.registry import Registry
    from healthsync_mqtt.topics.access import AccessRules
    from healthsync_mqtt.topics.registry import TopicRegistry

    if os.geteuid() != 0:
        refuse_another_account(data)
    with as_owner_of(data):
        settings = load_settings(data)
        store = CredentialStore(settings.paths.credentials)
        made = ensure_ca_and_server(settings.paths.certs, settings.broker.certificate_hosts, datetime.now(UTC))
        topics = TopicRegistry.load(settings.topics_file)
        rules = AccessRules(topics)
        with Registry.open(settings.paths.registry_db) as registry:
            everybody = principals(registry.roster(), [settings.bridge.id], gateway_ids(settings, None))
        plan = Plan(
            settings=settings,
            topics=topics,
            grants={name: grants_of(rules, each) for name, each in everybody.items()} if broker == "hivemq" else {},
            directory=out.absolute(),
            certfile=made.server_cert.absolute(),
            keyfile=made.server_key.absolute(),
            cafile=made.ca_cert.absolute(),
            host=host,
            port=port,
            user=user,
            hooks_url=hooks_url.rstrip("/"),
            admin_password=store.ensure(ADMIN)[0],
            hooks_secret=store.ensure(SECRET_CREDENTIAL)[0],
        )
    plan, copies = handed_over(plan)
    with as_owner_of(out):  # it is the broker's account's since the last time
        written = write(rendered(broker, plan) | copies, out)
    give(out, user)
    for path in written:
        if json:
            output.emit({"file": str(path)})
        else:
            output.say(f"wrote {path}")


@app.command("credentials")
def credentials(
    *, bridges: Bridges = None, gateways: Gateways = None, data: FreshData = DATA, json: Json = False
) -> None:
    """Make what bridges, gateways, the canaries and the access hooks log in with, where it is missing.

    Example: healthsync broker credentials --bridges main,second
    """
    from healthsync_mqtt.broker.external.hook_server import SECRET_CREDENTIAL
    from healthsync_mqtt.broker.external.identities import ADMIN, own_principals
    from healthsync_mqtt.identity.login.credentials import CredentialStore

    settings = load_settings(data)
    store = CredentialStore(settings.paths.credentials)
    own = own_principals(bridge_ids(settings, bridges), gateway_ids(settings, gateways))
    for name in (*own, ADMIN, SECRET_CREDENTIAL):
        made = store.find(name) is None
        store.ensure(name)
        if json:
            output.emit({"client_id": name, "file": str(store.directory / name), "made": made})
        elif made:
            output.say(f"made {store.directory / name}")


@app.command("provision")
def provision(
    broker: Annotated[str, typer.Argument(help="mosquitto.", autocompletion=completion.provisioned)],
    *,
    bridges: Bridges = None,
    gateways: Gateways = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and follow the registry.")] = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Bring a broker's clients and rights in line with the registry: nobody else may connect.

    Example: healthsync broker provision mosquitto --watch
    """
    if broker != "mosquitto":
        hint = "EMQX, RabbitMQ and VerneMQ ask for each decision: healthsync auth serve"
        raise UsageError(f"there is nothing to provision on {broker}", hint=hint)
    settings = load_settings(data)
    while True:
        began = time.monotonic()
        ids = bridge_ids(settings, bridges), gateway_ids(settings, gateways)
        generation = _provision(settings, *ids, as_json=json)
        if not watch:
            return
        generation = _follow(settings, generation, began)


def _provision(settings: Settings, bridges: list[str], gateways: list[str], *, as_json: bool) -> int:
    """One run; the generation of the registry that it followed."""
    from healthsync_mqtt.broker.external.access import external_address
    from healthsync_mqtt.broker.external.identities import ADMIN, epochs, principals
    from healthsync_mqtt.broker.external.mosquitto.provision import provision_mosquitto
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.identity.registry import Registry
    from healthsync_mqtt.topics.access import AccessRules
    from healthsync_mqtt.topics.registry import TopicRegistry

    store = CredentialStore(settings.paths.credentials)
    with Registry.open(settings.paths.registry_db) as registry:
        roster = registry.roster()
    wanted = principals(roster, bridges, gateways)
    rules = AccessRules(TopicRegistry.load(settings.topics_file))
    admin = store.need(ADMIN, "render the broker's configuration first: healthsync broker render mosquitto --out DIR")
    done = asyncio.run(
        provision_mosquitto(external_address(settings), admin, rules, wanted.values(), store, epochs=epochs(roster))
    )
    new = [str(store.directory / name) for name in done.new_credentials]
    if as_json:
        output.emit({"event": "provisioned", "commands": dict(done.commands), "new_credentials": new})
        output.flush()
    elif done.commands:
        output.say(", ".join(f"{name} {count}" for name, count in done.commands.items()))
        for path in new:
            output.say(f"password in {path}")
    return roster.generation


def _follow(settings: Settings, generation: int, began: float) -> int:
    """Return when the registry has changed, or it is time to look at the broker anyway."""
    from healthsync_mqtt.identity.registry import Registry

    with Registry.open(settings.paths.registry_db) as registry:
        while registry.generation() == generation and time.monotonic() - began < _WHOLE_S:
            time.sleep(_WATCH_S)
        return registry.generation()


@app.command("check")
def check(data: FreshData = DATA, json: Json = False) -> None:
    """Try what the external broker of the settings can promise. Uses the canaries' credentials.

    Example: healthsync broker check
    """
    from healthsync_mqtt.broker.external.access import external_address
    from healthsync_mqtt.broker.external.canary_world import COMMON
    from healthsync_mqtt.broker.external.promises import examine
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.topics.registry import TopicRegistry

    settings = load_settings(data)
    store = CredentialStore(settings.paths.credentials)
    topics = TopicRegistry.load(settings.topics_file)
    # Not in the world of a bridge, which may be asking at this moment.
    findings = asyncio.run(examine(external_address(settings), store, topics, settings.bridge.id, COMMON))
    shown: list[dict[str, Any]] = [
        {"check": each.name, "good": each.good, "message": each.message, "fix": each.fix} for each in findings
    ]
    output.listing(shown, {"check": "CHECK", "good": "GOOD", "message": "FOUND", "fix": "FIX"}, as_json=json)
    if any(each.vital and each.good is False for each in findings):
        raise HealthSyncError("the bridge cannot keep its promises on this broker", hint="see the lines above")


passwords = new_group("Passwords of clients of external brokers: who has one, and new ones.")
app.add_typer(passwords, name="password")


@passwords.command("list")
def list_passwords(data: FreshData = DATA, json: Json = False) -> None:
    """List whose passwords there are, and which of them a revocation made void. No password is shown.

    Example: healthsync broker password list
    """
    from healthsync_mqtt.broker.external.identities import epochs
    from healthsync_mqtt.identity.login.credentials import CredentialStore, epoch_of
    from healthsync_mqtt.identity.registry import Registry

    settings = load_settings(data)
    store = CredentialStore(settings.paths.credentials)
    with Registry.open(settings.paths.registry_db) as registry:
        known = epochs(registry.roster())
    shown = [
        {
            "client_id": name,
            "state": "void" if epoch_of(store.need(name, "")) < known.get(name, 0) else "good",
            "file": str(store.directory / name),
        }
        for name in store.names()
    ]
    empty = "no passwords yet; make them: healthsync broker provision mosquitto, or: healthsync broker credentials"
    output.listing(shown, {"client_id": "CLIENT", "state": "STATE", "file": "FILE"}, as_json=json, empty=empty)


@passwords.command("rotate")
def rotate(
    client_ids: Annotated[
        list[str],
        typer.Argument(help="Client ids, as `broker password list` shows them.", autocompletion=completion.passwords),
    ],
    *,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Make new passwords. The old ones are void with the hooks at once, on Mosquitto at the next `broker provision`.

    Example: healthsync broker password rotate alice-watch-1
    """
    from healthsync_mqtt.broker.external.identities import epochs
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.identity.registry import Registry

    settings = load_settings(data)
    store = CredentialStore(settings.paths.credentials)
    with Registry.open(settings.paths.registry_db) as registry:
        known = epochs(registry.roster())
    for name in client_ids:
        store.need(name, "see: healthsync broker password list")
    for name in client_ids:
        store.rotate(name, known.get(name, 0))
        if json:
            output.emit({"client_id": name, "file": str(store.directory / name), "rotated": True})
        else:
            output.say(f"new password in {store.directory / name}")
    if not json:
        output.say("On Mosquitto, tell the broker: healthsync broker provision mosquitto")


def bridge_ids(settings: Settings, text: str | None) -> list[str]:
    """Those that an option ``--bridges`` names; without it the one of the settings."""
    return names(text) if text else [settings.bridge.id]


def gateway_ids(settings: Settings, text: str | None) -> list[str]:
    """Those that an option ``--gateways`` names; without it the one of the settings, where it has one."""
    if text:
        return names(text)
    return [settings.gateway.id] if settings.gateway.id else []
