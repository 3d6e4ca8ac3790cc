"""healthsync rejected …"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, DryRun, Json, Limit, Yes, moment, now_us
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.descriptions.people import told
from healthsync_mqtt.descriptions.refusals import described_rejection, shown_rejection
from healthsync_mqtt.errors import NotFoundError, UnavailableError, UsageError
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.storage.opening import has_log, open_log, open_reader
from healthsync_mqtt.storage.port import RejectedRow

app = new_group("Events that were refused, with the reason and what the device sent.")

_PAGE = 1000
Number = Annotated[int, typer.Argument(min=1, help="The number that `rejected list` shows.")]


@app.command("list")
def list_rejected(
    user: Annotated[str | None, typer.Option(help="Only this user's.", autocompletion=completion.users)] = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.", autocompletion=completion.reasons)] = None,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List rejected events, oldest first.

    Example: healthsync rejected list --user alice
    """
    found: deque[dict[str, Any]] = deque(maxlen=limit)
    if reason is not None and reason not in set(Reason):
        raise UsageError(f"there is no reason {reason!r}", hint=f"one of: {', '.join(Reason)}")
    place = DataDirectory(data)
    if has_log(place.path):
        place.expect_user(user)
        place.audit("rejected.listed", user=user, reason=reason, limit=limit)
        found.extend(_described(row) for row in _rows(place, user) if reason in {None, row.reason})
    output.listing(
        found,
        {
            "number": "NO",
            "received_at": "RECEIVED",
            "user_id": "USER",
            "device_id": "DEVICE",
            "reason": "REASON",
            "message": "MESSAGE",
        },
        as_json=json,
        empty="nothing was rejected",
    )


@app.command("show")
def show(number: Number, data: Data = DATA, json: Json = False) -> None:
    """Show a rejected event with the bytes that were sent.

    Example: healthsync rejected show 3
    """
    place = DataDirectory(data)
    row = _get(place, number)
    place.audit("rejected.shown", user=row.user, number=number)
    shown = shown_rejection(row)
    if json:
        output.emit(shown)
    else:
        output.facts(shown.items())


@app.command("replay")
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers from `rejected list`.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every rejected event.")] = False,
    user: Annotated[
        str | None, typer.Option(help="With --all: only this user's.", autocompletion=completion.users)
    ] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Send rejected events through the running service again, after what made them fail was fixed.

    Example: healthsync rejected replay 3 4
    """
    place = DataDirectory(data)
    if bool(numbers) == all_:
        raise UsageError("which ones?", hint="healthsync rejected replay 3 4, or --all")
    place.expect_user(user)
    chosen = [row.no for row in _rows(place, user)] if all_ else list(numbers or ())
    place.audit("rejected.replayed", user=user, count=len(chosen))
    accepted = 0
    for number in chosen:
        if not all_:
            _get(place, number)
        result = {"number": number} | call(data, "rejected_replay", number=number)
        accepted += result.get("outcome") == "released"
        if json:
            output.emit(result)
        else:
            output.say(f"{number}: {result.get('outcome')} {result.get('reason') or ''}".rstrip())
    if accepted < len(chosen):
        raise typer.Exit(1)


@app.command("purge")
def purge(
    *,
    older_than: Annotated[str, typer.Option(help="Refused last before this: 30d, or a time.")] = "0s",
    user: Annotated[str | None, typer.Option(help="Only this user's.", autocompletion=completion.users)] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Remove rejected events for good.

    Example: healthsync rejected purge --older-than 30d --yes
    """
    before_us = moment(older_than, now_us())
    place = DataDirectory(data)
    place.expect_user(user)
    if dry_run:
        waiting = sum(_last_us(row) < before_us for row in _rows(place, user))
        output.told({"removed": 0, "would_remove": waiting}, f"{waiting} would be removed", as_json=json)
        return
    if user is None:
        question = "Remove rejected events of all users for good?"
        fix = f"healthsync rejected purge --older-than {older_than} --yes; --dry-run shows what goes"
    else:
        question = f"Remove rejected events of {user} for good?"
        fix = f"healthsync rejected purge --user {user} --older-than {older_than} --yes; --dry-run shows what goes"
    output.must_agree(
        question,
        fix,
        yes=yes,
        as_json=json,
    )
    place.audit("rejected.purged", user=user, older_than=older_than)
    before = _count(place)
    try:
        while call(data, "rejected_purge", before_us=before_us, user=user).get("more"):
            pass
    except UnavailableError:
        if has_log(place.path):
            _purge(place.path, before_us, user)
    removed = max(0, before - _count(place))
    output.told({"removed": removed}, f"{removed} removed", as_json=json)


def _purge(path: Path, before_us: int, user: str | None) -> None:
    """Without a service."""
    with open_log(path) as log, open_reader(path) as reader:
        while numbers := reader.rejected_old(0, _PAGE, before_us, user=user):
            log.purge_rejected(numbers, before_us)
            log.commit()


def _last_us(row: RejectedRow) -> int:
    return row.last_us or row.received_us


def _rows(place: DataDirectory, user: str | None) -> Iterator[RejectedRow]:
    log = place.log()
    if log is None:
        return
    with log:
        after = 0
        while page := log.rejected(after, _PAGE, user=user):
            yield from page
            after = page[-1].no


def _count(place: DataDirectory) -> int:
    log = place.log()
    if log is None:
        return 0
    with log:
        return log.totals()["rejected"]


def _get(place: DataDirectory, number: int) -> RejectedRow:
    log = place.log()
    row = None
    if log is not None:
        with log:
            row = log.rejected_get(number)
    if row is None:
        raise NotFoundError(f"there is no rejected event {number}", hint="healthsync rejected list")
    return row


def _described(row: RejectedRow) -> dict[str, Any]:
    return told(described_rejection(row))
