"""healthsync user …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us, type_names
from healthsync_mqtt.cli.place import DataDirectory
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.records import Consent, User
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso

app = new_group("People whose data is kept.")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The user's id: 1 to 64 of A-Z a-z 0-9 - _.")],
    consent: Annotated[str | None, typer.Option(help="Types the user agrees to have stored: all, or a list.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add a user and record the consent to store data.

    Example: healthsync user add alice --consent all
    """
    if consent is None:
        if json or not output.can_ask():
            raise UsageError(
                f"what does {name} consent to?", hint=f"healthsync user add {name} --consent all  (or a list of types)"
            )
        consent = typer.prompt("Types the user agrees to have stored (all, or a list)", default="all", err=True)
    with DataDirectory(data).registry() as registry:
        user = registry.add_user(name, type_names(consent), now_us())
        shown = _described(registry, user)
    if json:
        output.emit(shown)
    else:
        output.say(f"added {name}; next: healthsync device add {name} watch")


@app.command("list")
def list_users(data: Data = DATA, json: Json = False) -> None:
    """List users.

    Example: healthsync user list --json
    """
    with DataDirectory(data).registry() as registry:
        users = [_described(registry, user) for user in registry.users()]
    output.listing(
        users,
        {"user_id": "USER", "devices": "DEVICES", "consent": "CONSENT", "created_at": "ADDED"},
        as_json=json,
        empty="no users yet; add one: healthsync user add alice --consent all",
    )


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="The user's id.")], data: Data = DATA, json: Json = False) -> None:
    """Show a user with consents and devices.

    Example: healthsync user show alice
    """
    with DataDirectory(data).registry() as registry:
        shown = _described(registry, registry.user(name))
        consents = [_consent(consent) for consent in registry.consents(name)]
    if json:
        output.emit(shown | {"consents": consents})
        return
    output.facts(
        [
            ("user", name),
            ("added", shown["created_at"]),
            ("devices", ", ".join(shown["devices"]) or "none"),
            *(
                ("consent", f"{', '.join(item['types'])} ({item['purpose']}, {item['granted_at']})")
                for item in consents
            ),
        ]
    )


def _described(registry: Registry, user: User) -> dict[str, Any]:
    consents = registry.consents(user.id)
    return {
        "user_id": user.id,
        "created_at": iso(user.created_us),
        "devices": [device.device_id for device in registry.devices(user.id)],
        "consent": sorted({name for consent in consents for name in _consent(consent)["types"]}),
    }


def _consent(consent: Consent) -> dict[str, Any]:
    return {
        "types": ["all"] if consent.types is None else sorted(consent.types),
        "purpose": consent.purpose,
        "granted_at": iso(consent.granted_us),
        "recorded_by": consent.recorded_by,
    }
