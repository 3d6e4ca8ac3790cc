"""healthsync key …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us, seconds
from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.identity.keys.signing import KeyRecord, KeyState, free_from_us, jwks, states
from healthsync_mqtt.model.times import iso

app = new_group("The keys that sign tokens.")


@app.command("list")
def list_keys(data: Data = DATA, json: Json = False) -> None:
    """List keys: next, signing, verifying, retired.

    Example: healthsync key list
    """
    now = now_us()
    output.listing(
        _described(DataDirectory(data).key_store().records(now), now),
        {"kid": "KEY ID", "state": "STATE", "created_at": "CREATED", "signs_from": "SIGNS FROM", "free_at": "FREE"},
        as_json=json,
    )


@app.command("rotate")
def rotate(
    publish: Annotated[str, typer.Option(help="How long the new key is published before it signs.")] = "60s",
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add a key that signs from then on; a running service takes it up by itself.

    Tokens of the older keys stay valid until they expire. Who verifies tokens elsewhere has to fetch the new key set
    (key jwks) within the time of publication.

    Example: healthsync key rotate --publish 24h
    """
    now = now_us()
    place = DataDirectory(data)
    store = place.key_store()
    made = store.rotate(now, publish_s=seconds(publish))
    place.audit("key.rotated", kid=made.kid)
    if json:
        (shown,) = (each for each in _described(store.records(now), now) if each["kid"] == made.kid)
        output.emit(shown)
    else:
        output.say(f"the key {made.kid} signs from {iso(made.signs_from_us)}")


@app.command("retire")
def retire(
    kid: Annotated[str, typer.Argument(help="The key's id.", autocompletion=completion.keys)],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, and also while its tokens may be in use.")
    ] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Accept a key and its tokens no longer and destroy its private half.

    Refused for the key that signs, and without --yes while one of its tokens may be alive. A connection whose token
    the key signed is closed within a second. On a terminal it asks first.

    Example: healthsync key retire mZXb3kQ0p1-fAeTu
    """
    now = now_us()
    place = DataDirectory(data)
    store = place.key_store()
    if all(each.kid != kid for each in store.records(now)):
        raise NotFoundError("there is no key of this id", hint="healthsync key list")
    output.agree(f"Retire {kid}? Its private half is destroyed", yes=yes or json)
    store.retire(kid, now, force=yes)
    place.audit("key.retired", kid=kid)
    if json:
        (shown,) = (each for each in _described(store.records(now), now) if each["kid"] == kid)
        output.emit(shown)
    else:
        output.say(f"the key {kid} is retired")


@app.command("jwks")
def export(data: Data = DATA, json: Json = False) -> None:  # noqa: ARG001  # it is JSON either way
    """Print the public keys as a JWK Set, for whoever verifies tokens elsewhere.

    Example: healthsync key jwks > jwks.json
    """
    now = now_us()
    records = DataDirectory(data).key_store().records(now)
    at = states(records, now)
    output.emit(jwks({each.kid: each.public for each in records if at[each.kid] is not KeyState.retired}))


def _described(records: list[KeyRecord], now: int) -> list[dict[str, Any]]:
    """Each key with ``free_at``: from then on it can be retired without logging anyone out."""
    at = states(records, now)
    shown = []
    for each in records:
        state = at[each.kid]
        free = free_from_us(records, each.kid) if state is KeyState.verifying else None
        shown.append(
            {
                "kid": each.kid,
                "state": state.value,
                "created_at": iso(each.created_us),
                "signs_from": iso(each.signs_from_us),
                "retired_at": None if each.retired_us is None else iso(each.retired_us),
                "free_at": None if free is None else iso(free),
            }
        )
    return shown
