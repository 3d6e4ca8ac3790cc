"""healthsync admin …"""

from typing import Annotated

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.gateway_url import BaseUrl
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.invitation import LinkLifetime, hand_out_link
from healthsync_mqtt.cli.list_limit import created, newest
from healthsync_mqtt.cli.options import DATA, Data, DryRun, FreshData, Json, Limit, Yes, now_us
from healthsync_mqtt.cli.secret_file import TokenFile, UrlFile
from healthsync_mqtt.cli.token_handover import Lifetime, hand_out
from healthsync_mqtt.descriptions.people import described_admin, told
from healthsync_mqtt.identity.people.sessions import SessionRole

app = new_group("Who administers this installation over HTTP.")

Name = Annotated[str, typer.Argument(help="The admin's name.", autocompletion=completion.admins)]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A name of 1 to 64 of A-Z a-z 0-9 - _ that nobody else has.")],
    *,
    lifetime: Lifetime = None,
    token_file: TokenFile = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Add an admin and print its first token, once. A person logs in by `admin invite`.

    Example: healthsync admin add root --token-file root.token
    """
    place = DataDirectory(data)
    with place.changing() as change:
        added = change.registry.add_admin(name, now_us())
        change.note("admin.added", name=name)
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


@app.command("list")
def list_admins(limit: Limit = None, data: Data = DATA, json: Json = False) -> None:
    """List admins.

    Example: healthsync admin list
    """
    with DataDirectory(data).registry() as registry:
        admins = [told(described_admin(each)) for each in registry.admins()]
    output.listing(
        newest(admins, limit, created),
        {"name": "NAME", "created_at": "ADDED"},
        as_json=json,
        empty="no admins yet; add one: healthsync admin add NAME",
    )


@app.command("token")
def token(
    name: Name, *, lifetime: Lifetime = None, token_file: TokenFile = None, data: Data = DATA, json: Json = False
) -> None:
    """Issue a new token; older ones stay valid until they expire.

    Example: healthsync admin token root
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        found = registry.admin(name)
    hand_out(
        place,
        found.principal,
        None,
        None,
        epoch=found.token_epoch,
        lifetime=lifetime,
        token_file=token_file,
        as_json=json,
    )


@app.command("invite")
def invite(
    name: Name,
    *,
    base: BaseUrl = None,
    lifetime: LinkLifetime = "1d",
    url_file: UrlFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Print a link that opens a session of an admin in a browser, once.

    Who opens it administers everything, so hand it to nobody else. Without --base it is the running gateway's own.

    Example: healthsync admin invite root
    """
    hand_out_link(data, SessionRole.admin, name, base=base, lifetime=lifetime, url_file=url_file, as_json=json)


@app.command("remove")
def remove(name: Name, yes: Yes = False, dry_run: DryRun = False, data: Data = DATA, json: Json = False) -> None:
    """End an admin's tokens, links and sessions, within a second.

    Example: healthsync admin remove root --yes
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        shown = told(described_admin(registry.admin(name)))
    if dry_run:
        output.told(shown | {"removed": False}, f"would end the login {name}", as_json=json)
        return
    output.must_agree(
        f"Remove the admin {name}? Its sessions end", f"healthsync admin remove {name} --yes", yes=yes, as_json=json
    )
    with place.changing() as change:
        change.registry.remove_admin(name, now_us())
        change.note("admin.removed", name=name)
    output.told(shown | {"removed": True}, f"removed {name}", as_json=json)
