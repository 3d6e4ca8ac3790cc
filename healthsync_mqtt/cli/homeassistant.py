"""healthsync homeassistant …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.listener_address import known_host, ports
from healthsync_mqtt.cli.options import DATA, Data, Json, Yes, now_us, type_names
from healthsync_mqtt.cli.secret_file import PasswordFile, handed_out
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, Purpose, in_force
from healthsync_mqtt.identity.people.dashboards import Dashboard
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.sensors import LEFT_OUT, SENSORS
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.topics.registry import TopicRegistry

app = new_group("The newest values of users on dashboards of Home Assistant.")

User = Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)]
_COLUMNS = {"user_id": "USER", "types": "TYPES", "since": "SINCE"}


@app.command("enable")
def enable(
    user: User,
    types: Annotated[
        str,
        typer.Argument(
            help="* (the general ones), or a list of *, types, reproductive, mental, location.",
            autocompletion=completion.types,
        ),
    ],
    *,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Show these types of a user, beside those that are shown. A running service does within a second.

    What the user did not agree to share is not shown.

    Example: healthsync homeassistant enable alice heart_rate,steps,weight
    """
    place, listed = DataDirectory(data), type_names(types)
    with place.changing() as change:
        shown = change.registry.dashboards.enable(user, listed, now_us())
        change.note("homeassistant.enabled", user=user, types=listed)
        described = _described(change.registry, shown)
    _told(described, f"shown of {user}: {', '.join(described['types'])}", as_json=json)


@app.command("disable")
def disable(
    user: User,
    types: Annotated[
        str,
        typer.Argument(
            help="* (nothing is shown any more), or a list as of `enable`.", autocompletion=completion.types
        ),
    ] = "*",
    *,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Show these types of a user no more. Home Assistant loses the sensors at once; its own history is its own.

    Example: healthsync homeassistant disable alice weight
    """
    place, listed = DataDirectory(data), type_names(types)
    with place.registry() as registry:
        registry.user(user)
        registry.dashboards.shown(user)
    what = "nothing" if listed == "*" else f"none of {', '.join(listed)}"
    output.agree(f"Show {what} of {user} any more?", yes=yes or json)
    with place.changing() as change:
        left = change.registry.dashboards.disable(user, listed, now_us())
        change.note("homeassistant.disabled", user=user, types=listed)
        described = (
            {"user_id": user, "types": [], "since": None, "withheld": {}}
            if left is None
            else _described(change.registry, left)
        )
    _told(described, f"shown of {user}: {', '.join(described['types']) or 'nothing'}", as_json=json)


@app.command("list")
def list_dashboards(data: Data = DATA, json: Json = False) -> None:
    """List whose values are shown, and which types.

    Example: healthsync homeassistant list
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        found = [_described(registry, each) for each in registry.dashboards.all()]
    output.listing(
        found,
        _COLUMNS,
        as_json=json,
        empty="nothing is shown; show something: healthsync homeassistant enable USER heart_rate,steps",
    )


@app.command("login")
def login(
    name: Annotated[
        str,
        typer.Argument(help="The subscriber that Home Assistant logs in as.", autocompletion=completion.subscribers),
    ],
    *,
    password_file: PasswordFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Print what to type into Home Assistant's MQTT integration: a password that does not end, of a subscriber.

    `token revoke` and `subscriber remove` end it, `broker password rotate` replaces it.

    Example: healthsync homeassistant login ha
    """
    from healthsync_mqtt.identity.login.credentials import CredentialStore

    place, settings = DataDirectory(data), load_settings(data)
    with place.changing() as change:
        found = change.registry.subscriber(name)
        store = CredentialStore(settings.paths.credentials)
        password, _ = store.ensure(name, found.token_epoch)
        change.note("homeassistant.login", name=name)
    shown: dict[str, Any] = {
        "host": known_host(settings.broker.certificate_hosts),
        "port": ports(data, settings.broker.mqtts_port, settings.broker.wss_port)["mqtts_port"],
        "username": name,
        "password": password,
        "client_id": name,
        "ca_file": str(settings.paths.certs / "ca.crt"),
        "discovery_prefix": _prefix(TopicRegistry.load(settings.topics_file)),
    }
    shown = handed_out(shown, "password", password_file)
    if json:
        output.emit(shown)
        return
    output.facts(shown.items())
    output.say("In Home Assistant: Settings, Devices & services, MQTT; the client id is among the advanced options.")


def _prefix(topics: TopicRegistry) -> str:
    """The discovery prefix of Home Assistant: ``homeassistant``, behind what is in front of all topics."""
    return topics.build("homeassistant_status").rpartition("/")[0]


def _described(registry: Registry, shown: Dashboard) -> dict[str, Any]:
    """A user's line; ``withheld`` are types that are asked for and are not shown, and why."""
    agreed = in_force(registry.consent.history(shown.user_id))[Purpose.share].get(shown.user_id, NO_PERMISSION)
    now = now_us()
    withheld = {
        name: LEFT_OUT.get(name, "not agreed to be shared")
        for name in (*SENSORS, *LEFT_OUT)
        if shown.shows(name) and (name in LEFT_OUT or now >= agreed.span(name).until_us)
    }
    return {
        "user_id": shown.user_id,
        "types": sorted(shown.listed),
        "since": iso(shown.since_us),
        "withheld": withheld,
    }


def _told(described: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        output.emit(described)
        return
    output.say(words)
    listed = set(described["types"])
    for name, why in described.get("withheld", {}).items():
        if name in listed:
            output.say(f"  not shown: {name} ({why})")
