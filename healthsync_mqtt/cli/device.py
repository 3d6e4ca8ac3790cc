"""healthsync device …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.identity import Lifetime, TokenFile, hand_out
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us
from healthsync_mqtt.cli.place import DataDirectory
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.records import Device
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
    hand_out(place, added.principal, user, device, lifetime=lifetime, token_file=token_file, as_json=json)


@app.command("token")
def token(
    user: User,
    device: Name,
    *,
    lifetime: Lifetime = "24h",
    token_file: TokenFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Issue a new token; older ones stay valid until they expire.

    Example: healthsync device token alice watch-1
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        found = registry.device(user, device)
    hand_out(place, found.principal, user, device, lifetime=lifetime, token_file=token_file, as_json=json)


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
        {"user_id": "USER", "device_id": "DEVICE", "client_id": "CLIENT ID", "created_at": "ADDED"},
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Take away a device's right to connect. Its events stay.

    Example: healthsync device remove alice watch-1 --yes
    """
    with DataDirectory(data).registry() as registry:
        registry.device(user, device)
        if not yes:
            if json or not output.can_ask():
                raise UsageError(f"remove {device} of {user}?", hint=f"healthsync device remove {user} {device} --yes")
            if not typer.confirm(f"Remove {device} of {user}? It is disconnected and may not come back", err=True):
                raise typer.Exit(1)
        removed = registry.remove_device(user, device, now_us())
    if json:
        output.emit(_described(removed) | {"removed": True})
    else:
        output.say(f"removed {device} of {user}")


def _described(device: Device) -> dict[str, Any]:
    return {
        "user_id": device.user_id,
        "device_id": device.device_id,
        "client_id": device.client_id,
        "username": device.client_id,
        "created_at": iso(device.created_us),
    }
