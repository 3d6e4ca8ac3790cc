"""healthsync consent …"""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import newest
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit, Yes, later, names, now_us, operator, type_names
from healthsync_mqtt.descriptions.consents import described_decision, described_standings
from healthsync_mqtt.descriptions.people import told
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.consent.decisions import PURPOSES, USUAL_PURPOSES, Purpose, Standing
from healthsync_mqtt.identity.registry import Registry

app = new_group("What users agree to: which types, for which purpose, until when.")

User = Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)]
Types = Annotated[
    str,
    typer.Option(
        help="all (the general ones), or a list of all, types, reproductive, mental, location.",
        autocompletion=completion.types,
    ),
]
Purposes = Annotated[
    str,
    typer.Option(
        "--purpose",
        help="store, share, insights, analysis, a list of them, or all.",
        autocompletion=completion.purposes,
    ),
]

_COLUMNS = {
    "purpose": "PURPOSE",
    "types": "TYPES",
    "state": "STATE",
    "granted_at": "GRANTED",
    "expires_at": "EXPIRES",
    "withdrawn_at": "WITHDRAWN",
    "text_version": "TEXT",
    "recorded_by": "RECORDED BY",
}


def purposes(text: str, *, every: tuple[Purpose, ...] = USUAL_PURPOSES) -> tuple[Purpose, ...]:
    """The purposes in a comma-separated list; ``all`` means ``every`` one: whoever agrees to analysis names it."""
    try:
        listed = every if text == "all" else tuple(Purpose(name) for name in names(text))
    except ValueError:
        listed = ()
    if not listed:
        raise UsageError(f"{text!r} is no purpose", hint=f"one or more of: {', '.join(PURPOSES)}; or all")
    return listed


def described(standings: Iterable[Standing], now: int) -> list[dict[str, Any]]:
    """What holds, one object for the types that share everything else."""
    return [told(line) for line in described_standings(standings, now)]


@app.command("grant")
def grant(
    user: User,
    types: Types,
    *,
    purpose: Purposes = "all",
    expires: Annotated[str | None, typer.Option(help="Until when: 2027-11-23, or 365d from now.")] = None,
    text: Annotated[str | None, typer.Option(help="Version of the wording that the user agreed to.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Record that a user agrees. A running service goes by it at once.

    Example: healthsync consent grant alice --types heart_rate,sleep --purpose store --expires 365d --text 2026-11
    """
    now = now_us()
    place = DataDirectory(data)
    chosen, listed = purposes(purpose), type_names(types)
    with place.changing() as change:
        change.registry.consent.grant(
            user,
            listed,
            now,
            purposes=chosen,
            expires_us=None if expires is None else later(expires, now),
            text_version=text,
            recorded_by=operator(),
        )
        change.note("consent.granted", user=user, types=listed, purposes=chosen, text_version=text)
    with place.registry() as registry:
        _show(registry, user, as_json=json)


@app.command("withdraw")
def withdraw(
    user: User,
    types: Types = "all",
    *,
    purpose: Purposes = "all",
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Record that a user takes consent back. What was stored stays; nothing new is taken.

    Example: healthsync consent withdraw alice --types weight --purpose share
    """
    place = DataDirectory(data)
    chosen, listed = purposes(purpose, every=PURPOSES), type_names(types)
    with place.registry() as registry:
        registry.user(user)
    what = "everything" if listed == "*" else ", ".join(listed)
    output.agree(f"Withdraw {user}'s consent to {what}? What comes meanwhile is refused", yes=yes or json)
    with place.changing() as change:
        change.registry.consent.withdraw(user, listed, now_us(), purposes=chosen, recorded_by=operator())
        change.note("consent.withdrawn", user=user, types=listed, purposes=chosen)
    with place.registry() as registry:
        _show(registry, user, as_json=json)


@app.command("show")
def show(user: User, data: Data = DATA, json: Json = False) -> None:
    """Show what a user agrees to now, and what was withdrawn or has expired.

    Example: healthsync consent show alice
    """
    with DataDirectory(data).registry() as registry:
        _show(registry, user, as_json=json)


@app.command("history")
def history(user: User, limit: Limit = None, data: Data = DATA, json: Json = False) -> None:
    """Show every decision of a user, oldest first. Nothing is ever taken out of it.

    Example: healthsync consent history alice
    """
    with DataDirectory(data).registry() as registry:
        lines = [told(described_decision(line)) for line in registry.consent.history(user)]
    output.listing(
        newest(lines, limit),
        {"at": "AT", "action": "ACTION", "purpose": "PURPOSE", "types": "TYPES", "expires_at": "EXPIRES"}
        | {"text_version": "TEXT", "recorded_by": "RECORDED BY"},
        as_json=json,
        empty=f"{user} has not decided anything",
    )


def _show(registry: Registry, user: str, *, as_json: bool) -> None:
    lines = described(registry.consent.standings(user), now_us())
    output.listing(
        [{"user_id": user} | line for line in lines],
        _COLUMNS,
        as_json=as_json,
        empty=f"{user} agrees to nothing: nothing is stored. healthsync consent grant {user} --types all",
    )
