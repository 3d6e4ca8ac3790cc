"""healthsync subscriber …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.identity import EmqxAcl, Lifetime, TokenFile, hand_out
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, names, now_us, type_names
from healthsync_mqtt.identity.people.records import Subscriber
from healthsync_mqtt.model.times import iso

app = new_group("Backends that read canonical events.")

Name = Annotated[str, typer.Argument(help="The subscriber's name: also its client id and username.")]


@app.command("add")
def add(
    name: Name,
    users: Annotated[str, typer.Option(help="Users it may read: a list, or *.")],
    *,
    types: Annotated[str, typer.Option(help="Types it may read: a list, or *.")] = "*",
    batches: Annotated[
        bool, typer.Option("--batches", help="Several waiting events come as one array (embedded broker).")
    ] = False,
    lifetime: Lifetime = "24h",
    token_file: TokenFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add a subscriber and print its first token, once.

    Example: healthsync subscriber add dashboard --users alice,bob --types heart_rate,steps
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        readable = "*" if users == "*" else names(users)
        added = registry.add_subscriber(name, readable, type_names(types), now_us(), batches=batches)
    place.audit("subscriber.added", name=name, users=len(added.users or ()) or "all", types=type_names(types))
    hand_out(
        place,
        added.principal,
        None,
        None,
        epoch=added.token_epoch,
        lifetime=lifetime,
        token_file=token_file,
        as_json=json,
    )


@app.command("token")
def token(
    name: Name,
    *,
    lifetime: Lifetime = "24h",
    token_file: TokenFile = None,
    emqx_acl: EmqxAcl = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Issue a new token.

    Example: healthsync subscriber token dashboard
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        found = registry.subscriber(name)
    hand_out(
        place,
        found.principal,
        None,
        None,
        epoch=found.token_epoch,
        lifetime=lifetime,
        token_file=token_file,
        as_json=json,
        emqx=emqx_acl,
    )


@app.command("list")
def list_subscribers(data: Data = DATA, json: Json = False) -> None:
    """List subscribers.

    Example: healthsync subscriber list
    """
    with DataDirectory(data).registry() as registry:
        subscribers = [_described(subscriber) for subscriber in registry.subscribers()]
    output.listing(
        subscribers,
        {"name": "NAME", "users": "USERS", "types": "TYPES", "created_at": "ADDED"},
        as_json=json,
        empty="no subscribers yet; add one: healthsync subscriber add NAME --users '*'",
    )


def _described(subscriber: Subscriber) -> dict[str, Any]:
    return {
        "name": subscriber.name,
        "client_id": subscriber.name,
        "users": "*" if subscriber.users is None else sorted(subscriber.users),
        "types": "*" if subscriber.types is None else sorted(subscriber.types),
        "batches": subscriber.batches,
        "created_at": iso(subscriber.created_us),
    }
