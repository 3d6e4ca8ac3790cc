"""healthsync device …"""

from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.identity import EmqxAcl, Lifetime, TokenFile, hand_out
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, Yes, now_us
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.login.enrolment import CODE_LIFETIME_S
from healthsync_mqtt.identity.people.records import Device
from healthsync_mqtt.model.times import iso

app = new_group("Devices that publish events.")

User = Annotated[str, typer.Argument(help="The user's id.")]
Name = Annotated[str, typer.Argument(help="The device's id, unique for its user.")]


@app.command("add")
def add(
    user: User,
    device: Name,
    *,
    lifetime: Lifetime = "24h",
    token_file: TokenFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add a device and print its first token, once.

    Example: healthsync device add alice watch-1 --token-file watch-1.token
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        added = registry.add_device(user, device, now_us())
    place.audit("device.added", user=user, device=device)
    _hand_out(place, added, lifetime, token_file, as_json=json)


@app.command("token")
def token(
    user: User,
    device: Name,
    *,
    lifetime: Lifetime = "24h",
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
    user: Annotated[str | None, typer.Option(help="Only this user's devices.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List devices.

    Example: healthsync device list --user alice
    """
    with DataDirectory(data).registry() as registry:
        devices = [_described(device) for device in registry.devices(user)]
    output.listing(
        devices,
        {"user_id": "USER", "device_id": "DEVICE", "client_id": "CLIENT ID", "created_at": "ADDED"}
        | {"suspended_at": "SUSPENDED"},
        as_json=json,
        empty="no devices yet; add one: healthsync device add USER DEVICE",
    )


@app.command("show")
def show(user: User, device: Name, data: Data = DATA, json: Json = False) -> None:
    """Show a device and the topics it uses.

    Example: healthsync device show alice watch-1
    """
    from healthsync_mqtt.topics.registry import TopicRegistry

    with DataDirectory(data).registry() as registry:
        found = registry.device(user, device)
    topics = TopicRegistry.load()
    keys = {"events": "device_events", "receipts": "receipts", "status": "status", "commands": "commands"}
    shown = _described(found) | {
        "topics": {name: topics.build(key, user=user, device=device) for name, key in keys.items()}
    }
    if json:
        output.emit(shown)
        return
    flat = {key: value for key, value in shown.items() if key != "topics"} | shown["topics"]
    output.facts(flat.items())


@app.command("remove")
def remove(
    user: User,
    device: Name,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Take away a device's right to connect. Its events stay.

    Example: healthsync device remove alice watch-1 --yes
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        registry.device(user, device)
        if not yes:
            if json or not output.can_ask():
                raise UsageError(f"remove {device} of {user}?", hint=f"healthsync device remove {user} {device} --yes")
            if not typer.confirm(f"Remove {device} of {user}? It is disconnected and may not come back", err=True):
                raise typer.Exit(1)
        removed = registry.remove_device(user, device, now_us())
    place.audit("device.removed", user=user, device=device)
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
    with place.registry() as registry:
        registry.device(user, device)
        output.agree(f"Suspend {device} of {user}? It is disconnected until it is resumed", yes=yes or json)
        if registry.revocation.suspend_device(user, device, now_us()):
            place.audit("device.suspended", user=user, device=device)
        shown = _described(registry.device(user, device))
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
    with place.registry() as registry:
        registry.device(user, device)
        output.agree(f"Let {device} of {user} connect again?", yes=yes or json)
        if registry.revocation.resume_device(user, device):
            place.audit("device.resumed", user=user, device=device)
        shown = _described(registry.device(user, device))
    if json:
        output.emit(shown)
    else:
        output.say(f"resumed {device} of {user}")


@app.command("enroll")
def enroll(user: User, device: Name, data: Data = DATA, json: Json = False) -> None:
    """Print a one-time code with which a device gets its credentials: ten minutes, one use, five tries.

    A device that is there already gets new credentials; its old ones end when the code is used.

    Example: healthsync device enroll alice watch-1
    """
    now = now_us()
    place = DataDirectory(data)
    with place.registry() as registry:
        code = registry.enrolments.create(user, device, now)
    place.audit("device.enrolment_opened", user=user, device=device)
    expires = iso(now + CODE_LIFETIME_S * 1_000_000)
    if json:
        output.emit({"user_id": user, "device_id": device, "code": code, "expires_at": expires})
        return
    output.facts([("user_id", user), ("device_id", device), ("code", code), ("expires_at", expires)])
    if output.on_terminal():
        output.qr_code(code)
    output.say("The code is good for one device and ten minutes, and is not shown again.")


def _hand_out(
    place: DataDirectory, device: Device, lifetime: str, token_file: Path | None, *, as_json: bool, emqx: bool = False
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
    )


def _described(device: Device) -> dict[str, Any]:
    return {
        "user_id": device.user_id,
        "device_id": device.device_id,
        "client_id": device.client_id,
        "username": device.client_id,
        "created_at": iso(device.created_us),
        "suspended_at": None if device.suspended_us is None else iso(device.suspended_us),
    }
