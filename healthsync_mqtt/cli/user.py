"""healthsync user …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.consent import described, purposes
from healthsync_mqtt.cli.gateway_url import BaseUrl
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.invitation import LinkLifetime, hand_out_link
from healthsync_mqtt.cli.list_limit import created, newest
from healthsync_mqtt.cli.liveness import LastEvents
from healthsync_mqtt.cli.options import DATA, Data, DryRun, FreshData, Json, Limit, Yes, now_us, operator, type_names
from healthsync_mqtt.cli.secret_file import UrlFile
from healthsync_mqtt.cli.user_export import export
from healthsync_mqtt.cloud_links.former_links import end_links
from healthsync_mqtt.descriptions.people import described_user, told
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.people.records import User
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.identity.registry import Registry

app = new_group("People whose data is kept.")
app.command("export")(export)

Name = Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The user's id: 1 to 64 of A-Z a-z 0-9 - _.")],
    consent: Annotated[
        str | None,
        typer.Option(help="Types of data the user agrees to: all, none, or a list.", autocompletion=completion.types),
    ] = None,
    purpose: Annotated[
        str,
        typer.Option(
            help="What for: store, share, insights, analysis, a list of them, or all (without analysis).",
            autocompletion=completion.purposes,
        ),
    ] = "all",
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Add a user and record what the user agrees to. Without consent nothing of the user is stored.

    Example: healthsync user add alice --consent all
    """
    if consent is None:
        if json or not output.can_ask():
            raise UsageError(
                f"what does {name} consent to?", hint=f"healthsync user add {name} --consent all  (or a list of types)"
            )
        consent = typer.prompt("Types of data the user agrees to (all, none, or a list)", err=True)
    place = DataDirectory(data)
    types = None if consent == "none" else type_names(consent or "none")
    chosen = purposes(purpose)
    with place.changing() as change:
        user = change.registry.add_user(name, types, now_us(), purposes=chosen, recorded_by=operator())
        change.note("user.added", user=name)
        if types is not None:
            change.note("consent.granted", user=name, types=types, purposes=chosen)
        shown = _described(change.registry, user)
    if json:
        output.emit(shown)
    else:
        output.say(f"added {name}; next: healthsync device add {name} watch")


@app.command("list")
def list_users(limit: Limit = None, data: Data = DATA, json: Json = False) -> None:
    """List users, what they agree to now, and when the last event of each came.

    Example: healthsync user list --json
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        users = [_described(registry, user) for user in registry.users()]
    with LastEvents(place) as events:
        for each in users:
            each["last_event_at"] = events.of_user(each["user_id"])
            if not json and each["withheld"]:
                each["consent"] = [f"{','.join(each['consent'])} but {','.join(each['withheld'])}"]
    output.listing(
        newest(users, limit, created),
        {"user_id": "USER", "devices": "DEVICES", "consent": "CONSENT NOW", "last_event_at": "LAST EVENT"}
        | {"suspended_at": "SUSPENDED", "created_at": "ADDED"},
        as_json=json,
        empty="no users yet; add one: healthsync user add alice --consent all",
    )


@app.command("show")
def show(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Show a user with consents and devices.

    Example: healthsync user show alice
    """
    with DataDirectory(data).registry() as registry:
        shown = _described(registry, registry.user(name))
        consents = described(registry.consent.standings(name), now_us())
    if json:
        output.emit(shown | {"consents": consents})
        return
    output.facts(
        [
            ("user", name),
            ("added", shown["created_at"]),
            *([("suspended", shown["suspended_at"])] if shown["suspended_at"] else []),
            ("devices", ", ".join(shown["devices"]) or "none"),
            *(
                ("consent", f"{', '.join(item['types'])} ({item['purpose']}, {item['state']} {_since(item)})")
                for item in consents
            ),
        ]
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
    """Print a link that opens a session of a user in a browser, once.

    Who opens it sees what is the user's own, so hand it to nobody else. Without --base it is the running gateway's own.

    Example: healthsync user invite alice
    """
    hand_out_link(data, SessionRole.user, name, base=base, lifetime=lifetime, url_file=url_file, as_json=json)


@app.command("suspend")
def suspend(name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Let no device of a user connect, until `user resume`. Live connections are closed within a second.

    Example: healthsync user suspend alice
    """
    place = DataDirectory(data)
    _known(place, name)
    output.agree(f"Suspend {name}? All devices of {name} are disconnected until it is resumed", yes=yes or json)
    with place.changing() as change:
        if change.registry.revocation.suspend_user(name, now_us()):
            change.note("user.suspended", user=name)
        shown = _described(change.registry, change.registry.user(name))
    _told(shown, name, "suspended", as_json=json)


@app.command("resume")
def resume(name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Undo `user suspend`.

    Example: healthsync user resume alice
    """
    place = DataDirectory(data)
    _known(place, name)
    output.agree(f"Let the devices of {name} connect again?", yes=yes or json)
    with place.changing() as change:
        if change.registry.revocation.resume_user(name):
            change.note("user.resumed", user=name)
        shown = _described(change.registry, change.registry.user(name))
    _told(shown, name, "resumed", as_json=json)


@app.command("remove")
def remove(name: Name, yes: Yes = False, dry_run: DryRun = False, data: Data = DATA, json: Json = False) -> None:
    """End a user's devices, tokens, consents and links to providers. Stored events stay.

    Live connections are closed within a second.

    Example: healthsync user remove alice --yes
    """
    place = DataDirectory(data)
    if dry_run:
        with place.registry() as registry:
            shown = _described(registry, registry.user(name))
        named = ", ".join(shown["devices"]) or "no device"
        output.told(
            shown | {"removed": False}, f"would end {named} of {name}, and every consent; its events stay", as_json=json
        )
        return
    _known(place, name)
    output.must_agree(
        f"Remove {name}? All devices of {name} are disconnected, and no consent is left",
        f"healthsync user remove {name} --yes",
        yes=yes,
        as_json=json,
    )
    with place.changing() as change:
        shown = _described(change.registry, change.registry.user(name))
        change.registry.remove_user(name, now_us(), recorded_by=operator())
        for provider in end_links(place.path, name):
            change.note("adapter.unlinked", user=name, provider=provider, told=False)
        change.note("user.removed", user=name, devices=len(shown["devices"]))
    if json:
        output.emit(shown | {"removed": True})
    else:
        output.say(f"removed {name}")


@app.command("erase")
def erase(
    name: Name,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the audit log, so without names.")] = None,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Delete a user and everything of the user: keys, events, days, devices, consents, the name. Not to be undone.

    Connections are closed within a second. Sinks are told to delete, and are asked until they have. What remains is an
    entry of the audit log under a pseudonym.

    Example: healthsync user erase alice --yes --reason "asked on 2026-11-26"
    """
    from healthsync_mqtt.cli.erasure import erased, whole

    place = DataDirectory(data)
    if reason is not None and name in reason:
        raise UsageError("the reason names the person", hint="write it without the name: the audit log keeps it")
    with place.registry() as registry:
        if registry.erasures.of_user(name) is None:
            registry.user_once(name)
    output.must_agree(
        f"Erase {name}? Every event, device and consent of {name} is deleted, and cannot be brought back",
        f"healthsync user erase {name} --yes",
        yes=yes,
        as_json=json,
    )
    with place.changing() as change:
        begun = change.registry.erasures.of_user(name)
        if begun is None:
            begun = change.registry.erase(name, now_us(), recorded_by=operator())
            change.note("user.erased", user=name, erasure=begun.id, reason=reason)
    shown = {"user_id": name, **erased(place, begun.id)}
    if json:
        output.emit(shown)
    elif shown["erased"]:
        output.say(whole(shown))
    else:
        output.say(
            f"begun; it goes on by itself, and is seen in: healthsync status  (left: {', '.join(shown['pending'])})"
        )


def _since(line: dict[str, Any]) -> str:
    """When what holds of a consent began to."""
    moments = {"withdrawn": line["withdrawn_at"], "expired": line["expires_at"]}
    return str(moments.get(line["state"], line["granted_at"]))


def _known(place: DataDirectory, name: str) -> None:
    with place.registry() as registry:
        registry.user(name)


def _told(shown: dict[str, Any], name: str, what: str, *, as_json: bool) -> None:
    if as_json:
        output.emit(shown)
    else:
        output.say(f"{what} {name}")


def _described(registry: Registry, user: User) -> dict[str, Any]:
    return told(described_user(registry, user, now_us()))
