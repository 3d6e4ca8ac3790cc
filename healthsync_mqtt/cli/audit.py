"""healthsync audit …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit
from healthsync_mqtt.descriptions.audit_rows import described_row, described_verdict, subjects
from healthsync_mqtt.descriptions.people import told
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.audit.log import AuditLog, AuditRow

app = new_group("Who did what to whom, in a chain that shows every later change.")

_PAGE = 1000


@app.command("list")
def list_rows(
    *,
    user: Annotated[
        str | None,
        typer.Option(help="Only what concerns this user and the user's devices.", autocompletion=completion.users),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="With --user: only what concerns this device.", autocompletion=completion.devices)
    ] = None,
    action: Annotated[str | None, typer.Option(help="Only actions that begin with this, such as consent.")] = None,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List what was done, oldest first. Persons and devices appear as pseudonyms.

    Example: healthsync audit list --user alice
    """
    if device is not None and user is None:
        raise UsageError("whose device?", hint="healthsync audit list --user USER --device DEVICE")
    place = DataDirectory(data)
    log = place.audit_log()
    about = _subjects(place, log, user, device)
    rows = all_rows(log)
    if device is not None and not any(row.subject in (about or ()) for row in rows):
        place.expect_device(user, device)
    found = [row for row in rows if row.action.startswith(action or "") and (about is None or row.subject in about)]
    output.listing(
        map(_described, found if limit is None else found[-limit:]),
        {"no": "NO", "at": "AT", "actor": "ACTOR", "action": "ACTION", "subject": "SUBJECT", "detail": "DETAIL"},
        as_json=json,
        empty="nothing is recorded",
        shown={"detail": _words},
    )


@app.command("verify")
def verify(data: Data = DATA, json: Json = False) -> None:
    """Recompute the chain. Names the first row that was changed, moved or taken out; exit code 1 when there is one.

    Says too what could not be checked. Nothing is held up meanwhile.

    Example: healthsync audit verify
    """
    place = DataDirectory(data)
    anchor = None
    if place.has_registry():
        with place.registry() as registry:
            anchor = registry.audit_outbox.anchor()
    verdict = place.audit_log().verify(anchor)
    rows, first_bad, reason, unchecked = verdict
    if json:
        output.emit(told(described_verdict(verdict)))
    elif first_bad is None:
        output.facts([("audit", "whole"), ("rows", rows), *(("not checked", each) for each in unchecked)])
    else:
        output.facts([("audit", "damaged"), ("first bad row", first_bad), ("reason", reason)])
    if first_bad is not None:
        raise typer.Exit(1)


def _subjects(place: DataDirectory, log: AuditLog, user: str | None, device: str | None) -> set[str | None] | None:
    """The pseudonyms that are asked for; None for all."""
    if user is None:
        return None
    with place.registry() as registry:
        return subjects(registry, log, user, device)


def all_rows(log: AuditLog) -> list[AuditRow]:
    """What was written down so far, oldest first."""
    rows: list[AuditRow] = []
    while page := log.rows(after=rows[-1].no if rows else 0, limit=_PAGE):
        rows += page
    return rows


def _described(row: AuditRow) -> dict[str, Any]:
    return told(described_row(row))


def _words(detail: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}" for key, value in detail.items()
    )
