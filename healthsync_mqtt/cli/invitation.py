"""A link that opens a session in a browser, once: made for a user or an admin, and handed out."""

from pathlib import Path
from typing import Annotated, Final

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.gateway_url import gateway_url
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import later, now_us
from healthsync_mqtt.cli.secret_file import handed_out
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.model.times import iso

LinkLifetime = Annotated[str, typer.Option(help="How long the link can be opened: 30m, 12h, 7d.")]

_NOTES: Final = {SessionRole.user: ("user.invited", "user"), SessionRole.admin: ("admin.invited", "name")}
"""What the audit log says, and under which word the name."""


def hand_out_link(
    data: Path, role: SessionRole, name: str, *, base: str | None, lifetime: str, url_file: Path | None, as_json: bool
) -> None:
    """Make the link, and print it or write it to a file. NotFoundError, UsageError, UnavailableError."""
    place, now = DataDirectory(data), now_us()
    until_us = later(lifetime, now)
    where = gateway_url(data, base)
    action, word = _NOTES[role]
    with place.changing() as change:
        code = change.registry.sessions.invite(role, name, now, until_us=until_us)
        change.note(action, **{word: name})
    shown = handed_out({"url": f"{where}/v1/invites/{code}", "expires_at": iso(until_us)}, "url", url_file)
    if as_json:
        output.emit(shown)
        return
    output.facts(shown.items())
    if url_file is None and output.on_terminal():
        output.qr_code(str(shown["url"]))
