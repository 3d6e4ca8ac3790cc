"""healthsync token …"""

from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.audit import all_rows
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, Yes, now_us
from healthsync_mqtt.errors import InputError, NotFoundError, UsageError

app = new_group("Tokens that were handed out.")


@app.command("revoke")
def revoke(
    jti: Annotated[str | None, typer.Argument(help="The token's id (jti), as `audit list` shows it.")] = None,
    *,
    token_file: Annotated[Path | None, typer.Option(help="Or: a file with the token itself.")] = None,
    user: Annotated[
        str | None, typer.Option(help="Or, with --device: every token of a device.", autocompletion=completion.users)
    ] = None,
    device: Annotated[str | None, typer.Option(help="The device of --user.", autocompletion=completion.devices)] = None,
    subscriber: Annotated[
        str | None, typer.Option(help="Or: every token of a subscriber.", autocompletion=completion.subscribers)
    ] = None,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Make a token void before its time; a connection made with it is closed within a second.

    Example: healthsync token revoke --user alice --device watch-1
    """
    place = DataDirectory(data)
    whole_device = user is not None and device is not None
    if jti is None and token_file is None:
        with place.registry() as registry:
            if user is not None and device is not None:
                registry.device(user, device)
            if subscriber is not None:
                registry.subscriber(subscriber)
    named = (jti is not None, token_file is not None, whole_device, subscriber is not None)
    if (user is None) != (device is None) or sum(named) != 1:
        hint = "healthsync token revoke JTI, or --token-file FILE, or --user USER --device DEVICE, or --subscriber NAME"
        raise UsageError("which token?", hint=hint)
    which = f"every token of {device} of {user}" if whole_device else "this token"
    which = which if subscriber is None else f"every token of {subscriber}"
    if jti is not None:
        _must_be_known(place, jti)
    output.agree(f"Revoke {which}? Connections made with it are closed, for good", yes=yes or json)
    shown: dict[str, Any]
    with place.changing() as change:
        registry = change.registry
        if user is not None and device is not None:
            registry.revocation.revoke_device_tokens(user, device, now_us())
            change.note("token.revoked", user=user, device=device, which="all")
            shown = {"user_id": user, "device_id": device, "revoked": True}
        elif subscriber is not None:
            registry.revocation.revoke_subscriber_tokens(subscriber)
            change.note("token.revoked", client=subscriber, which="all")
            shown = {"subscriber": subscriber, "revoked": True}
        else:
            found = jti if jti is not None else _jti_in(token_file)
            new = registry.revocation.revoke_token(found, now_us())
            change.note("token.revoked", jti=found)
            shown = {"jti": found, "revoked": True, "already": not new}
    if json:
        output.emit(shown)
    else:
        output.say("revoked")


def _must_be_known(place: DataDirectory, jti: str) -> None:
    """NotFoundError for an id that the audit log has not: it is misspelt, and nothing would be void."""
    if any(row.detail.get("jti") == jti for row in all_rows(place.audit_log())):
        return
    hint = (
        "see: healthsync audit list --action token; who has the token itself: healthsync token revoke --token-file FILE"
    )
    raise NotFoundError(f"no token with the id {jti} was issued here", hint=hint)


def _jti_in(file: Path | None) -> str:
    """The id in a token. Its signature does not matter: to revoke a token that is not ours changes nothing."""
    import jwt

    assert file is not None
    try:
        claims = jwt.decode(file.read_text(encoding="ascii").strip(), options={"verify_signature": False})
    except (OSError, ValueError, jwt.PyJWTError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds none"
        hint = "name the file that --token-file wrote, or the token's id: healthsync token revoke JTI"
        raise InputError(f"cannot read a token from {file}: {why}", hint=hint) from None
    jti = claims.get("jti")
    if not isinstance(jti, str):
        raise InputError(f"the token in {file} has no id", hint="tokens of this service have one: name its file")
    return jti
