"""healthsync app …"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli import device as devices
from healthsync_mqtt.cli.formats import known_format
from healthsync_mqtt.cli.gateway_url import BaseUrl, gateway_url
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.last_refusal import last_refusal
from healthsync_mqtt.cli.list_limit import created, newest
from healthsync_mqtt.cli.listener_address import known_host, ports
from healthsync_mqtt.cli.liveness import LastEvents, Liveness, whether_online
from healthsync_mqtt.cli.options import (
    DATA,
    Data,
    DryRun,
    Json,
    Limit,
    Yes,
    bucket_s,
    message_bytes,
    now_us,
    slot_name,
    unit_name,
    zone_name,
)
from healthsync_mqtt.cli.secret_file import PasswordFile, SecretFile, handed_out
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.descriptions.people import described_app, told
from healthsync_mqtt.errors import ConfigError, HealthSyncError, NotFoundError, Noun, UnknownNameError
from healthsync_mqtt.formats.catalogue import ROOTS, SHIPPED, declare
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.identity.login.hook import hook_secret
from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.identity.people.records import AppRecord, Device
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.topics.registry import TopicRegistry

app = new_group("Apps and gadgets that know only a password, and payloads of their own.")

User = Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)]
Name = Annotated[str, typer.Argument(help="The app's name, unique for its user.", autocompletion=completion.apps)]


@app.command("add")
def add(  # noqa: PLR0917  # an option each
    user: User,
    name: Name,
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            help="A payload format that it sends; more than one may be given.",
            autocompletion=completion.formats,
        ),
    ],
    zone: Annotated[
        str | None, typer.Option(help="The zone of times that come without an offset: Europe/Berlin.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="The unit of numbers that come without one: mmol/L.")] = None,
    bucket: Annotated[
        str | None, typer.Option(help="What sums without an end are of: minute, hour, day, or a duration.")
    ] = None,
    slot: Annotated[str | None, typer.Option(help="Which user, number or slot of the gadget is this user.")] = None,
    longest: Annotated[
        str | None, typer.Option(help="Its longest message, such as 60MB; else limits.app_message.")
    ] = None,
    password_file: PasswordFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add an app and print what to type into it: its password is shown once, and does not end.

    Example: healthsync app add alice phone --format health_auto_export --zone Europe/Berlin --bucket hour
    """
    declared = Declared(zone_name(zone), unit_name(unit), bucket_s(bucket), slot_name(slot), message_bytes(longest))
    names = [known_format(each, data).name for each in formats]
    place = DataDirectory(data)
    password = new_password()
    with place.changing() as change:
        added = change.registry.add_device(user, name, now_us())
        app_ = change.registry.apps.add(added, names, declared, hashed_password(password), now_us())
        change.note("app.added", user=user, device=name, formats=sorted(app_.formats))
    _hand_out(place, added, app_, password, password_file, as_json=json)
    for late in _unknown_to_the_service(place.path, names):
        output.say(f"The running service does not know the format {late} yet: stop it and start it again.")


@app.command("rotate")
def rotate(
    user: User,
    name: Name,
    *,
    password_file: PasswordFile = None,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Give an app another password; the old one is void at once, and who uses it is thrown out.

    Example: healthsync app rotate alice phone
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        _app_of(registry, user, name)
    output.agree(f"Give {name} of {user} another password? It has to be typed into the app", yes=yes or json)
    password = new_password()
    with place.changing() as change:
        found = change.registry.device(user, name)
        app_ = change.registry.apps.rotate(found.client_id, hashed_password(password), now_us())
        change.note("app.rotated", user=user, device=name)
    _hand_out(place, found, app_, password, password_file, as_json=json)


@app.command("list")
def list_apps(
    user: Annotated[str | None, typer.Option(help="Only this user's.", autocompletion=completion.users)] = None,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List apps: what they send, connected or not, last seen, last stored.

    Example: healthsync app list --user alice
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        alive = Liveness(place, registry, now_us())
        known = registry.apps.all()
        apps = [
            _described(device, known[device.client_id]) | _alive(alive, device.client_id)
            for device in registry.devices(user)
            if device.client_id in known
        ]
    output.listing(
        newest(apps, limit, created),
        {"user_id": "USER", "device_id": "APP", "formats": "FORMATS", "online": "ONLINE"}
        | {"last_seen_at": "LAST SEEN", "last_stored_at": "LAST STORED", "address": "ADDRESS"}
        | {"refused_lately": "REFUSED LOGINS", "title": "TITLE"},
        shown={"online": whether_online},
        as_json=json,
        empty="no apps yet; add one: healthsync app add USER NAME --format FORMAT",
    )


@app.command("show")
def show(user: User, name: Name, data: Data = DATA, json: Json = False) -> None:
    """Show what to type into an app, without the password, and when it was last seen, stored and refused.

    An app says "published" whatever happened to its message; here is what did.

    Example: healthsync app show alice phone
    """
    place = DataDirectory(data)
    with place.registry() as registry, LastEvents(place) as events:
        found, app_ = _app_of(registry, user, name)
        live = Liveness(place, registry, now_us())
        alive = _alive(live, found.client_id)
        alive["last_stored_at"] = alive["last_stored_at"] or events.of_device(user, name)
        nowhere = live.messages_refused(_described(found, app_))
    shown = _entries(place, found, app_) | _described(found, app_) | alive
    shown["last_refusal"] = last_refusal(place, user, name, nowhere)
    shown["longest_message"] = _longest(place, app_)
    if json:
        output.emit(shown)
        return
    facts = {key: value for key, value in shown.items() if key not in {"topics", "declared", "last_refusal"}}
    facts["TLS"] = "on"
    facts["formats"] = ", ".join(shown["formats"])
    facts["online"] = whether_online(shown["online"])
    facts |= {f"topic {number}": topic for number, topic in enumerate(shown["topics"], 1)}
    facts["longest message"] = f"{facts.pop('longest_message'):,} bytes"
    facts |= {key: value for key, value in shown["declared"].items() if value is not None and key != "longest"}
    if (refusal := shown["last_refusal"]) is not None:
        where = refusal["field"] or (f"on {refusal['topic']}" if refusal["number"] is None else "")
        facts["last refusal"] = f"{output.time(refusal['at'])} {refusal['reason']} {where}".rstrip()
        if refusal["number"] is None:
            facts["what to do"] = nowhere[0]["what_to_do"]
        else:
            facts["number"] = f"{refusal['number']}: healthsync rejected show {refusal['number']}"
    output.facts(facts.items())


@app.command("rename")
def rename(
    user: User,
    name: Name,
    title: Annotated[str, typer.Argument(help='What people call it, as in "Phone upstairs"; "" takes that away.')],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Say what people call an app. Its name, its login, its topics and its events stay as they are.

    Example: healthsync app rename alice phone "Phone upstairs"
    """
    _known(data, user, name)
    devices.rename(user, name, title, data, json)


@app.command("remove")
def remove(
    user: User, name: Name, *, yes: Yes = False, dry_run: DryRun = False, data: Data = DATA, json: Json = False
) -> None:
    """Take away an app's right to connect. What it brought stays.

    Example: healthsync app remove alice phone --yes
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        shown = _described(*_app_of(registry, user, name))
    if dry_run:
        words = f"would end the login {shown['client_id']}; what it brought stays"
        output.told(shown | {"removed": False}, words, as_json=json)
        return
    output.must_agree(
        f"Remove {name} of {user}? It is disconnected and may not come back",
        f"healthsync app remove {user} {name} --yes",
        yes=yes,
        as_json=json,
    )
    with place.changing() as change:
        change.registry.remove_device(user, name, now_us())
        change.note("app.removed", user=user, device=name)
    output.told(shown | {"removed": True}, f"removed {name} of {user}", as_json=json)


@app.command("why")
def why(user: User, name: Name, data: Data = DATA, json: Json = False) -> None:
    """Say why an app cannot connect: what it may do now, and its last refused logins with what to do.

    Example: healthsync app why alice phone
    """
    _known(data, user, name)
    devices.why(user, name, data, json)


@app.command("webhook")
def webhook(
    user: User,
    name: Name,
    *,
    base: BaseUrl = None,
    secret_file: SecretFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Print where an app that signs its webhooks posts, and the secret that it signs with.

    The same until the app gets another password. The signature is X-Signature: sha256= and the HMAC of the body.

    Example: healthsync app webhook alice phone
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        found, app_ = _app_of(registry, user, name)
    own, _ = CredentialStore(DataPaths(root=data).credentials).ensure(GATEWAY.client_id)
    where = f"{gateway_url(data, base)}/v1/hooks/{found.client_id}/"
    place.audit("app.webhook_shown", user=user, device=name)
    made = {
        "urls": [where + each for each in sorted(app_.formats)],
        "secret": hook_secret(own, found.client_id, found.token_epoch),
    }
    shown = handed_out(made, "secret", secret_file)
    if json:
        output.emit(shown)
        return
    facts = {f"url {number}": url for number, url in enumerate(shown.pop("urls"), 1)}
    output.facts((facts | shown).items())


@app.command("suspend")
def suspend(user: User, name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Let an app not connect, until `app resume`. A live connection is closed within a second.

    Example: healthsync app suspend alice phone
    """
    _known(data, user, name)
    devices.suspend(user, name, yes, data, json)


@app.command("resume")
def resume(user: User, name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Undo `app suspend`; its password is good again.

    Example: healthsync app resume alice phone
    """
    _known(data, user, name)
    devices.resume(user, name, yes, data, json)


def _known(data: Path, user: str, name: str) -> None:
    with DataDirectory(data).registry() as registry:
        _app_of(registry, user, name)


def _app_of(registry: Registry, user: str, name: str) -> tuple[Device, AppRecord]:
    """NotFoundError, of the app's own words, when there is no such device or it is none."""
    registry.user(user)
    try:
        found = registry.device(user, name)
        return found, registry.apps.of(found.client_id)
    except NotFoundError:
        message, add = f"{user} has no app {name}", f"healthsync app add {user} {name} --format FORMAT"
        raise UnknownNameError(Noun.app, name, message, hint="healthsync app list", owner=user, add=add) from None


def _hand_out(
    place: DataDirectory, device: Device, app_: AppRecord, password: str, file: Path | None, *, as_json: bool
) -> None:
    """Print the login, once; everything that the app's settings ask for."""
    shown = handed_out(_entries(place, device, app_, password), "password", file)
    if as_json:
        output.emit(shown)
        return
    facts = {key: value for key, value in shown.items() if key != "topics"}
    facts["TLS"] = "on"
    facts |= {f"topic {number}": topic for number, topic in enumerate(shown["topics"], 1)}
    output.facts(facts.items())
    once = "The password is not shown again. " if file is None else ""
    output.say(f"{once}Any client id will do. See docs/howto/ for the page of the app.")


def _unknown_to_the_service(data: Path, names: list[str]) -> Iterator[str]:
    """Formats that were declared after the service was started, which reads them then."""
    try:
        started_s = datetime.fromisoformat(ServiceFile.read(data).started_at).timestamp()
    except (HealthSyncError, ValueError):
        return
    for name in names:
        # Not when it was last written: a file may be brought here with the time of where it was.
        if name not in SHIPPED and (data / "formats" / f"{name}.yaml").stat().st_ctime > started_s:
            yield name


def _entries(place: DataDirectory, device: Device, app_: AppRecord, password: str = "") -> dict[str, Any]:
    """What is typed into the app; the first topic is the one to publish to."""
    declare(place.path / "formats")
    settings = load_settings(place.path)
    topics = TopicRegistry.load(settings.topics_file)
    if "format_messages" not in topics.channels:
        raise ConfigError(
            f"{settings.topics_file} has no channel for payload formats",
            hint="add `format_messages:` as in the topics.yaml that ships with the program",
        )
    own = [
        topics.build("format_messages", user=device.user_id, device=device.device_id, format=name)
        for name in sorted(app_.formats)
    ]
    secret = {"password": password} if password else {}
    return {
        "user_id": device.user_id,
        "device_id": device.device_id,
        "client_id": device.client_id,
        "username": device.client_id,
        **secret,
        "topics": [*own, *(f"{root}/#" for root, name in sorted(ROOTS.items()) if name in app_.formats)],
        "host": known_host(settings.broker.certificate_hosts),
        **ports(place.path, settings.broker.mqtts_port, settings.broker.wss_port),
    }


def _longest(place: DataDirectory, app_: AppRecord) -> int:
    """Bytes of its longest message, unpacked; what is longer is acknowledged and told as a refusal."""
    limits = load_settings(place.path).limits
    room = MessageRoom(limits.max_packet, limits.app_messages_bytes)
    return room.longest(app_.declared.longest or limits.app_message)


def _described(device: Device, app_: AppRecord) -> dict[str, Any]:
    return told(described_app(device, app_))


def _alive(alive: Liveness, client_id: str) -> dict[str, Any]:
    found = alive.of(client_id)
    return {"last_stored_at": found.pop("last_event_at"), **found}
