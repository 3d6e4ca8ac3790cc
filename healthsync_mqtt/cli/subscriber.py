"""healthsync subscriber …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, known_names, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import created, newest
from healthsync_mqtt.cli.liveness import Liveness, elsewhere, explain, strangers, whether_online
from healthsync_mqtt.cli.options import DATA, Data, DryRun, FreshData, Json, Limit, Yes, names, now_us, type_names
from healthsync_mqtt.cli.secret_file import TokenFile
from healthsync_mqtt.cli.subscriber_lag import lag
from healthsync_mqtt.cli.subscriber_rewind import rewind
from healthsync_mqtt.cli.token_handover import EmqxAcl, Lifetime, hand_out
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.descriptions.people import described_subscriber, told
from healthsync_mqtt.identity.people.records import Subscriber

app = new_group("Backends that read canonical events.")
app.command("lag")(lag)
app.command("rewind")(rewind)

Name = Annotated[
    str,
    typer.Argument(
        help="The subscriber's name: also its client id and username.", autocompletion=completion.subscribers
    ),
]


@app.command("add")
def add(
    name: Name,
    users: Annotated[str, typer.Option(help="Users it may read: a list, or *.", autocompletion=completion.users)],
    *,
    types: Annotated[
        str,
        typer.Option(
            help="* (the general ones), or a list of *, types, reproductive, mental, location.",
            autocompletion=completion.types,
        ),
    ] = "*",
    batches: Annotated[
        bool, typer.Option("--batches", help="Several waiting events come as one array (embedded broker).")
    ] = False,
    lifetime: Lifetime = None,
    token_file: TokenFile = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Add a subscriber and print its first token, once.

    Example: healthsync subscriber add dashboard --users alice,bob --types heart_rate,steps
    """
    place = DataDirectory(data)
    wanted = "*" if users == "*" else names(users)
    with place.changing() as change:
        added = change.registry.add_subscriber(name, wanted, type_names(types), now_us(), batches=batches)
        change.note("subscriber.added", name=name, users=len(added.users or ()) or "all", types=type_names(types))
    _tell_missing(place, added)
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
    lifetime: Lifetime = None,
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
def list_subscribers(limit: Limit = None, data: Data = DATA, json: Json = False) -> None:
    """List subscribers.

    Example: healthsync subscriber list
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        alive = Liveness(place, registry, now_us())
        subscribers = [_described(each) | alive.of(each.name) for each in registry.subscribers()]
    output.listing(
        newest(subscribers, limit, created),
        {"name": "NAME", "users": "USERS", "types": "TYPES", "online": "ONLINE", "last_seen_at": "LAST SEEN"}
        | {"address": "ADDRESS", "refused_lately": "REFUSED", "suspended_at": "SUSPENDED"},
        as_json=json,
        empty="no subscribers yet; add one: healthsync subscriber add NAME --users '*'",
        shown={"online": whether_online},
    )


@app.command("show")
def show(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Show a subscriber, what it may read, and whether it is connected.

    Example: healthsync subscriber show dashboard
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        shown = _described(registry.subscriber(name)) | Liveness(place, registry, now_us()).of(name)
    if json:
        output.emit(shown)
        return
    words = {key: ",".join(value) if isinstance(value, list) else value for key, value in shown.items()}
    output.facts((words | {"online": whether_online(shown["online"])}).items())


@app.command("why")
def why(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Say why a subscriber cannot connect: what it may do now, and its last refused logins with what to do.

    Example: healthsync subscriber why dashboard
    """
    place = DataDirectory(data)
    nameless = strangers(place)
    with place.registry() as registry:
        found = registry.subscriber(name)
        refused = registry.refused_logins.of(name)
        alive = Liveness(place, registry, now_us()).of(name)
    state = "it may connect"
    if found.suspended_us is not None:
        state = f"it is suspended: healthsync subscriber resume {name}"
    where = elsewhere(place, name)
    explain(_described(found) | alive, state, refused, nameless, elsewhere=where, as_json=json)


@app.command("suspend")
def suspend(name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Let a subscriber not connect, until `subscriber resume`. A live connection is closed within a second.

    Example: healthsync subscriber suspend dashboard
    """
    place = DataDirectory(data)
    _known(place, name)
    output.agree(f"Suspend {name}? It is disconnected until it is resumed", yes=yes or json)
    with place.changing() as change:
        if change.registry.revocation.suspend_subscriber(name, now_us()):
            change.note("subscriber.suspended", name=name)
        shown = _described(change.registry.subscriber(name))
    _told(shown, f"suspended {name}", as_json=json)


@app.command("resume")
def resume(name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Undo `subscriber suspend`; its tokens are good again as long as they have not expired.

    Example: healthsync subscriber resume dashboard
    """
    place = DataDirectory(data)
    _known(place, name)
    output.agree(f"Let {name} connect again?", yes=yes or json)
    with place.changing() as change:
        if change.registry.revocation.resume_subscriber(name):
            change.note("subscriber.resumed", name=name)
        shown = _described(change.registry.subscriber(name))
    _told(shown, f"resumed {name}", as_json=json)


@app.command("remove")
def remove(name: Name, yes: Yes = False, dry_run: DryRun = False, data: Data = DATA, json: Json = False) -> None:
    """Take away a subscriber's right to connect; its tokens are void, also if it is added again.

    Example: healthsync subscriber remove dashboard --yes
    """
    place = DataDirectory(data)
    if dry_run:
        with place.registry() as registry:
            would = _described(registry.subscriber(name))
        _told(would | {"removed": False}, f"would end the login {name}", as_json=json)
        return
    _known(place, name)
    output.must_agree(
        f"Remove {name}? It is disconnected and may not come back",
        f"healthsync subscriber remove {name} --yes",
        yes=yes,
        as_json=json,
    )
    with place.changing() as change:
        shown = _described(change.registry.remove_subscriber(name, now_us()))
        change.note("subscriber.removed", name=name)
    _told(shown | {"removed": True}, f"removed {name}", as_json=json)


def _tell_missing(place: DataDirectory, added: Subscriber) -> None:
    """Users may be added after who reads them; who misspelt one would wait for events for ever."""
    there = known_names.users(place.path)
    for user in sorted((added.users or frozenset()).difference(there)):
        meant = did_you_mean(user, there)
        output.say(f"there is no user {user} yet: {added.name} reads nothing before there is. {meant}".rstrip())


def _known(place: DataDirectory, name: str) -> None:
    with place.registry() as registry:
        registry.subscriber(name)


def _told(shown: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        output.emit(shown)
    else:
        output.say(words)


def _described(subscriber: Subscriber) -> dict[str, Any]:
    return told(described_subscriber(subscriber))
