"""How a token is handed to the person who asked for it: once, on stdout, or into a private file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.installation import DEFAULT_LIFETIME_S, DataDirectory
from healthsync_mqtt.cli.options import seconds
from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.principal import Principal

Lifetime = Annotated[
    str | None, typer.Option(help="How long the token is valid, at most 24h; without it: the setting token.lifetime_s.")
]
EmqxAcl = Annotated[
    bool, typer.Option("--emqx-acl", help="Put the rights into the token, as EMQX's claim acl, for use without hooks.")
]


def hand_out(
    place: DataDirectory,
    principal: Principal,
    user_id: str | None,
    device_id: str | None,
    *,
    lifetime: str | None,
    token_file: Path | None,
    as_json: bool,
    epoch: int,
    emqx: bool = False,
    renewal: Mapping[str, Any] | None = None,
    credentials: Path | None = None,
) -> None:
    """Issue a token and print the login; or write the token, or all of it, to a file and print the rest."""
    lifetime_s = token_lifetime_s(place, lifetime)
    identity: dict[str, Any] = place.identity(
        principal,
        user_id=user_id,
        device_id=device_id,
        lifetime_s=lifetime_s,
        epoch=epoch,
        acl=_emqx_rights(principal) if emqx else (),
    )
    secrets = dict(renewal or {})
    if token_file is not None:
        # Whoever names a file wants no secret on stdout: not the other token either.
        write_durably(token_file, identity.pop("token").encode())
        identity["token_file"] = str(token_file)
        if "refresh_token" in secrets:
            renewing = token_file.with_name(f"{token_file.name}.refresh")
            write_durably(renewing, secrets.pop("refresh_token").encode())
            secrets["refresh_token_file"] = str(renewing)
    if credentials is not None:
        write_durably(credentials, json.dumps(identity | secrets).encode())
        del identity["token"]
        identity["credentials_file"], secrets = str(credentials), {}
    printed = "token" in identity
    if printed:
        output.secret_follows("--token-file")
    if as_json:
        output.emit(identity | secrets)
        return
    shown = {key: value for key, value in identity.items() if value is not None and not key.startswith("token")}
    token = identity["token"] if printed else token_file
    output.facts([*shown.items(), *([("token", token)] if token else [])])
    if printed:
        output.say("The token is not shown again. It is the MQTT password; the client id and username are above.")


def token_lifetime_s(place: DataDirectory, lifetime: str | None) -> int:
    """The seconds that a token is to live: as asked for, or as set. UsageError for more than a day."""
    if lifetime is None:
        from healthsync_mqtt.config.settings import load_settings  # most commands need no settings

        return load_settings(place.path).token.lifetime_s
    lifetime_s = int(seconds(lifetime))
    if not 0 < lifetime_s <= DEFAULT_LIFETIME_S:
        raise UsageError(f"a token lives at most 24 hours, not {lifetime}", hint="leave --lifetime out")
    return lifetime_s


def _emqx_rights(principal: Principal) -> list[dict[str, Any]]:
    from healthsync_mqtt.broker.external.emqx.hooks import emqx_acl
    from healthsync_mqtt.topics.access import AccessRules
    from healthsync_mqtt.topics.registry import TopicRegistry

    rights = emqx_acl(AccessRules(TopicRegistry.load()), principal)
    if not rights:
        raise UsageError(
            f"{principal.client_id} has too many rights for a token", hint="use the hooks: healthsync auth serve"
        )
    return rights
