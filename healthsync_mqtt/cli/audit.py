"""healthsync audit …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, Data, Json
from healthsync_mqtt.cli.place import DataDirectory
from healthsync_mqtt.identity.audit import AuditLog, AuditRow, subject_of
from healthsync_mqtt.model.times import iso

app = new_group("Who did what to whom, in a chain that shows every later change.")

_PAGE = 1000


@app.command("list")
def list_rows(
    *,
    user: Annotated[str | None, typer.Option(help="Only what concerns this user.")] = None,
    device: Annotated[str | None, typer.Option(help="With --user: only what concerns this device.")] = None,
    action: Annotated[str | None, typer.Option(help="Only actions that begin with this, such as consent.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many, the newest.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List what was done, oldest first. Persons and devices appear as pseudonyms.

    Example: healthsync audit list --user alice
    """
    log = DataDirectory(data).audit_log()
    found = [row for row in _rows(log, subject_of(log, user, device)) if row.action.startswith(action or "")]
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

    Example: healthsync audit verify
    """
    rows, first_bad, reason = DataDirectory(data).audit_log().verify()
    if json:
        output.emit({"ok": first_bad is None, "rows": rows, "first_bad": first_bad, "reason": reason or None})
    elif first_bad is None:
        output.facts([("audit", "whole"), ("rows", rows)])
    else:
        output.facts([("audit", "damaged"), ("first bad row", first_bad), ("reason", reason)])
    if first_bad is not None:
        raise typer.Exit(1)


def _rows(log: AuditLog, subject: str | None) -> list[AuditRow]:
    rows: list[AuditRow] = []
    while page := log.rows(after=rows[-1].no if rows else 0, limit=_PAGE, subject=subject):
        rows += page
    return rows


def _described(row: AuditRow) -> dict[str, Any]:
    return {
        "no": row.no,
        "at": iso(row.at_us),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "detail": row.detail,
    }


def _words(detail: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}" for key, value in detail.items()
    )
