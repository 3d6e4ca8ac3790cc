"""healthsync device …"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import created, newest
from healthsync_mqtt.cli.liveness import (
    LastEvents,
    Liveness,
    elsewhere,
    explain,
    strangers,
    tell_messages,
    whether_online,
)
from healthsync_mqtt.cli.options import DATA, Data, DryRun, Json, Limit, Yes, now_us
from healthsync_mqtt.cli.secret_file import CodeFile, CredentialsFile, TokenFile, handed_out
from healthsync_mqtt.cli.token_handover import EmqxAcl, Lifetime, hand_out, token_lifetime_s
from healthsync_mqtt.descriptions.people import certified, described_app, described_device, told
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.login.enrolment import CODE_LIFETIME_S
from healthsync_mqtt.identity.people.records import Device
from healthsync_mqtt.model.times import iso

app = new_group("Devices that publish events.")

User = Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)]
Name = Annotated[str, typer.Argument(help="The device's id, unique for its user.", autocompletion=completion.devices)]


@app.command("add")
def add(
    user: User,
    device: Name,
    *,
    lifetime: Lifetime = None,
    token_file: TokenFile = None,
    credentials: CredentialsFile = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh/--no-refresh", help="With --json or --credentials: also a refresh token, to renew the other one."
        ),
    ] = True,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add a device and print its first token, once.

    Example: healthsync device add alice watch-1 --token-file watch-1.token
    """
    if token_file is not None and credentials is not None:
        raise UsageError("the token goes to one file", hint="give --token-file or --credentials")
    place = DataDirectory(data)
    lifetime_s = token_lifetime_s(place, lifetime)
    renewal: dict[str, Any] = {}
    with place.changing() as change:
        added = change.registry.add_device(user, device, now_us())
        change.note("device.added", user=user, device=device)
        if refresh and (credentials is not None or (json and token_file is None)):
            begun = change.registry.refresh_tokens.begin(user, device, now_us())
            renewal = {"refresh_token": begun.token, "refresh_expires_at": iso(begun.expires_us)}
    _hand_out(place, added, f"{lifetime_s}s", token_file, as_json=json, renewal=renewal, credentials=credentials)


@app.command("token")
def token(
    user: User,
    device: Name,
    *,
    lifetime: Lifetime = None,
    token_file: TokenFile = None,
    emqx_acl: EmqxAcl = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Issue a new token; older ones stay valid until they expire.

    Example: healthsync device token alice watch-1
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        found = registry.device(user, device)
    _hand_out(place, found, lifetime, token_file, as_json=json, emqx=emqx_acl)


@app.command("list")
def list_devices(
    user: Annotated[str | None, typer.Option(help="Only this user's devices.", autocompletion=completion.users)] = None,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List devices: connected or not, last seen, last event, address, version, how often refused in a day.

    Example: healthsync device list --user alice
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        now = now_us()
        alive = Liveness(place, registry, now)
        devices = [
            _described(device) | alive.of(device.client_id) | certified(registry, device, now)
            for device in registry.devices(user)
        ]
    with LastEvents(place) as events:
        for each in devices:
            each["last_event_at"] = each["last_event_at"] or events.of_device(each["user_id"], each["device_id"])
    output.listing(
        newest(devices, limit, created),
        {"user_id": "USER", "device_id": "DEVICE", "client_id": "CLIENT ID", "online": "ONLINE"}
        | {"last_seen_at": "LAST SEEN", "last_event_at": "LAST EVENT", "address": "ADDRESS", "version": "VERSION"}
        | {"refused_lately": "REFUSED", "suspended_at": "SUSPENDED", "title": "TITLE"},
        shown={"online": whether_online},
        as_json=json,
        empty="no devices yet; add one: healthsync device add USER DEVICE",
    )


@app.command("show")
def show(user: User, device: Name, data: Data = DATA, json: Json = False) -> None:
    """Show a device: whether it is connected, when and from where it last was, and the topics it uses.

    Example: healthsync device show alice watch-1
    """
    from healthsync_mqtt.topics.registry import TopicRegistry

    place = DataDirectory(data)
    with place.registry() as registry, LastEvents(place) as events:
        found = registry.device(user, device)
        now = now_us()
        live = Liveness(place, registry, now)
        alive = live.of(found.client_id) | certified(registry, found, now)
        refused = live.messages_refused(_described(found))
        alive["last_event_at"] = alive["last_event_at"] or events.of_device(user, device)
    topics = TopicRegistry.load()
    keys = {"events": "device_events", "receipts": "receipts", "status": "status", "commands": "commands"}
    shown = (
        _described(found)
        | alive
        | {"messages_refused": refused}
        | {"topics": {name: topics.build(key, user=user, device=device) for name, key in keys.items()}}
    )
    if json:
        output.emit(shown)
        return
    flat = {key: value for key, value in shown.items() if key not in {"topics", "messages_refused"}} | shown["topics"]
    flat["online"] = whether_online(shown["online"])
    output.facts(flat.items())
    tell_messages(refused)


@app.command("rename")
def rename(
    user: User,
    device: Name,
    title: Annotated[str, typer.Argument(help='What people call it, as in "Kitchen scale"; "" takes that away.')],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Say what people call a device. Its id, its login, its topics and its events keep their names.

    Example: healthsync device rename alice watch-1 "Running watch"
    """
    with DataDirectory(data).changing() as change:
        renamed = change.registry.rename_device(user, device, title)
        change.note("device.renamed", user=user, device=device)
    words = f"{device} of {user} has no title" if renamed.title is None else f"{device} of {user} is {renamed.title}"
    output.told(_described(renamed), words, as_json=json)


@app.command("remove")
def remove(
    user: User,
    device: Name,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Take away a device's right to connect. Its events stay.

    Example: healthsync device remove alice watch-1 --yes
    """
    place = DataDirectory(data)
    if dry_run:
        with place.registry() as registry:
            shown = _described(registry.device(user, device))
        words = f"would end the login {shown['client_id']}; its events stay"
        output.told(shown | {"removed": False}, words, as_json=json)
        return
    _known(place, user, device)
    output.must_agree(
        f"Remove {device} of {user}? It is disconnected and may not come back",
        f"healthsync device remove {user} {device} --yes",
        yes=yes,
        as_json=json,
    )
    with place.changing() as change:
        removed = change.registry.remove_device(user, device, now_us())
        change.note("device.removed", user=user, device=device)
    if json:
        output.emit(_described(removed) | {"removed": True})
    else:
        output.say(f"removed {device} of {user}")


@app.command("suspend")
def suspend(user: User, device: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Let a device not connect, until `device resume`. A live connection is closed within a second.

    Example: healthsync device suspend alice watch-1
    """
    place = DataDirectory(data)
    _known(place, user, device)
    output.agree(f"Suspend {device} of {user}? It is disconnected until it is resumed", yes=yes or json)
    with place.changing() as change:
        if change.registry.revocation.suspend_device(user, device, now_us()):
            change.note("device.suspended", user=user, device=device)
        shown = _described(change.registry.device(user, device))
    if json:
        output.emit(shown)
    else:
        output.say(f"suspended {device} of {user}")


@app.command("resume")
def resume(user: User, device: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Undo `device suspend`; its tokens are good again as long as they have not expired.

    Example: healthsync device resume alice watch-1
    """
    place = DataDirectory(data)
    _known(place, user, device)
    output.agree(f"Let {device} of {user} connect again?", yes=yes or json)
    with place.changing() as change:
        if change.registry.revocation.resume_device(user, device):
            change.note("device.resumed", user=user, device=device)
        shown = _described(change.registry.device(user, device))
    if json:
        output.emit(shown)
    else:
        output.say(f"resumed {device} of {user}")


@app.command("enroll")
def enroll(user: User, device: Name, code_file: CodeFile = None, data: Data = DATA, json: Json = False) -> None:
    """Print a one-time code with which a device gets its credentials: ten minutes, one use, five tries.

    A device that is there already gets new credentials; its old ones end when the code is used.

    Example: healthsync device enroll alice watch-1
    """
    now = now_us()
    place = DataDirectory(data)
    with place.changing() as change:
        code = change.registry.enrolments.create(user, device, now)
        change.note("device.enrolment_opened", user=user, device=device)
    expires = iso(now + CODE_LIFETIME_S * 1_000_000)
    made = {"user_id": user, "device_id": device, "code": code, "expires_at": expires}
    shown = handed_out(made, "code", code_file)
    if json:
        output.emit(shown)
        return
    output.facts(shown.items())
    if code_file is None and output.on_terminal():
        output.qr_code(code)
    output.say("The code is good for one device and ten minutes, and is not shown again.")


@app.command("why")
def why(user: User, device: Name, data: Data = DATA, json: Json = False) -> None:
    """Say why a device cannot connect: what it may do now, its last refused logins and messages with what to do.

    The refusals are those of everybody who claimed its client id; the last few are kept.

    Example: healthsync device why alice watch-1
    """
    place = DataDirectory(data)
    nameless = strangers(place)
    with place.registry() as registry:
        owner, found = registry.user(user), registry.device(user, device)
        refused = registry.refused_logins.of(found.client_id)
        live = Liveness(place, registry, now_us())
        who = _described(found) if found.app is None else told(described_app(found, found.app))
        alive, messages = live.of(found.client_id), live.messages_refused(who)
    state = "it may connect"
    if found.suspended_us is not None and found.app is None:
        state = f"it is suspended: healthsync device resume {user} {device}"
    elif found.suspended_us is not None:
        state = f"it is suspended: healthsync app resume {user} {device}"
    if owner.suspended_us is not None:
        state = f"the user is suspended: healthsync user resume {user}"
    described = who | alive | {"messages_refused": messages}
    where = elsewhere(place, found.client_id)
    explain(described, state, refused, nameless, elsewhere=where, as_json=json)


def _known(place: DataDirectory, user: str, device: str) -> None:
    with place.registry() as registry:
        registry.device(user, device)


def _hand_out(
    place: DataDirectory,
    device: Device,
    lifetime: str | None,
    token_file: Path | None,
    *,
    as_json: bool,
    emqx: bool = False,
    renewal: Mapping[str, Any] | None = None,
    credentials: Path | None = None,
) -> None:
    hand_out(
        place,
        device.principal,
        device.user_id,
        device.device_id,
        lifetime=lifetime,
        token_file=token_file,
        as_json=as_json,
        epoch=device.token_epoch,
        emqx=emqx,
        renewal=renewal,
        credentials=credentials,
    )


def _described(device: Device) -> dict[str, Any]:
    return told(described_device(device))
