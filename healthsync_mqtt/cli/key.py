"""healthsync key …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, Yes, now_us, seconds
from healthsync_mqtt.errors import NotFoundError, UsageError
from healthsync_mqtt.identity.keys.signing import KeyRecord, KeyState, free_from_us, jwks, states
from healthsync_mqtt.keys.faults import GIVE_UP
from healthsync_mqtt.keys.opening import SERVICES, has_ring, providers, ring_of
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.model.times import iso

app = new_group("The keys that sign tokens, and those that seal what is stored.")


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


@app.command("status")
def status(data: Data = DATA, json: Json = False) -> None:
    """Say who holds the outer key of what is sealed, and how many data keys it wraps.

    Example: healthsync key status
    """
    place = DataDirectory(data)
    shown: dict[str, Any] = {"provider": None, "data_keys": 0, "behind": 0, "ring": None}
    if has_ring(place.path):
        facts = ring_of(place.path).facts()
        shown = {"provider": facts.provider, "data_keys": facts.users, "behind": facts.behind, "ring": facts.id}
    if json:
        output.emit(shown)
    else:
        output.facts((name.replace("_", " "), value) for name, value in shown.items())


@app.command("check")
def check(data: Data = DATA, json: Json = False) -> None:
    """Ask the holder of the outer key whether it works, and open every data key with it. Exit code 69: not now.

    Example: healthsync key check
    """
    ring = _ring(DataDirectory(data))
    opened = ring.check()
    output.told({"provider": ring.provider, "opened": opened}, f"{opened} data keys open", as_json=json)


@app.command("rewrap")
def rewrap(
    provider: Annotated[
        str | None, typer.Option(help="Who holds it from now on: file, passphrase, vault, aws, google, azure.")
    ] = None,
    give_up_lost: Annotated[
        bool, typer.Option("--give-up-lost", help="First destroy the data keys that do not open, with what they seal.")
    ] = False,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Make a new outer key and wrap every data key with it; the older one is destroyed. Data is not touched.

    With --provider another one holds it from then on. Killed anywhere, everything opens as before: call it again. A
    running service hears of it; with a passphrase it has to be started with that.

    --give-up-lost is for an outer key that is lost for good: what its data keys seal is then gone, as if erased, and
    everything else goes on. It is not for one that is away.

    Example: healthsync key rewrap
    """
    place = DataDirectory(data)
    ring = _ring(place)
    known, before = providers(place.path), ring.provider
    if provider is not None and provider not in known:
        raise UsageError(f"nobody is called {provider}", hint=f"one of: {', '.join(known)}")
    holder = known[provider or before]
    of_others = holder.name in SERVICES
    if of_others:
        holder.create()  # before anything is given up for it
    given_up = _give_up(place, ring, yes=yes, as_json=json) if give_up_lost else 0
    place.audit("key.rewrapped", provider=holder.name)
    if not of_others and (give_up_lost or holder.name != before):
        holder.create()
    count = ring.rotate() if provider is None or provider == before else ring.rewrap(holder)
    words = f"{count} data keys are wrapped anew"
    output.told(
        {"provider": ring.provider, "rewrapped": count, "given_up": given_up},
        f"{words}, {given_up} are given up" if give_up_lost else words,
        as_json=json,
    )


def _give_up(place: DataDirectory, ring: KeyRing, *, yes: bool, as_json: bool) -> int:
    """Destroy what does not open, where somebody says that it is lost for good; how many keys."""
    lost = ring.lost()
    if not lost.keys:
        return 0
    output.must_agree(
        f"Give up {len(lost.keys)} data keys, of {lost.users} users? They do not open ({lost.fault}), and what they "
        "seal is gone for good, also where that comes back",
        f"{GIVE_UP} --yes",
        yes=yes,
        as_json=as_json,
    )
    place.audit("key.given_up", keys=len(lost.keys), users=lost.users)
    return ring.give_up(lost)


def _ring(place: DataDirectory) -> KeyRing:
    if not has_ring(place.path):
        raise NotFoundError("there are no data keys: nothing is sealed", hint="healthsync storage encrypt")
    return ring_of(place.path)


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
