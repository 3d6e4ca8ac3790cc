"""healthsync client …"""

from typing import Annotated

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit, Yes
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import NotFoundError, UsageError
from healthsync_mqtt.model.principal import Role

app = new_group("Connections of the running service.")


@app.command("list")
def list_clients(
    role: Annotated[
        str | None, typer.Option(help="Only device, subscriber, admin or enroll.", autocompletion=completion.roles)
    ] = None,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List who is connected now, longest first, and in which version of MQTT.

    Example: healthsync client list
    """
    if role is not None and role not in set(Role):
        raise UsageError(f"there is no role {role!r}", hint="device, subscriber, admin or enroll")
    clients = call(DataDirectory(data).path, "clients")["clients"]
    found = [each for each in clients if role in {None, each["role"]}]
    output.listing(
        found if limit is None else found[-limit:],
        {"client_id": "CLIENT ID", "role": "ROLE", "address": "ADDRESS", "protocol": "PROTOCOL"}
        | {"connected_at": "CONNECTED"},
        as_json=json,
        empty="nobody is connected",
    )


@app.command("kick")
def kick(
    client_id: Annotated[
        str, typer.Argument(help="The client id, as `client list` shows it.", autocompletion=completion.clients)
    ],
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Close a client's connection. It may come back: to keep it out, suspend or remove it.

    Example: healthsync client kick alice-watch-1 --yes
    """
    place = DataDirectory(data)
    connected = [each["client_id"] for each in call(place.path, "clients")["clients"]]
    if client_id not in connected:
        hint = f"{did_you_mean(client_id, connected)}see: healthsync client list"
        raise NotFoundError(f"{client_id} is not connected", hint=hint)
    output.must_agree(
        f"Close the connection of {client_id}?", f"healthsync client kick {client_id} --yes", yes=yes, as_json=json
    )
    call(place.path, "kick", client_id=client_id)
    place.audit_client("client.kicked", client_id)
    if json:
        output.emit({"client_id": client_id, "kicked": True})
    else:
        output.say(f"closed the connection of {client_id}")
