"""healthsync events …"""

import time
from collections import deque
from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.events_export import export
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit, moment, now_us, type_name
from healthsync_mqtt.errors import NotFoundError, UnavailableError
from healthsync_mqtt.model.record import Record, admin_dict, admin_json
from healthsync_mqtt.storage.port import LogReader

app = new_group("The events in the log.")
app.command("export")(export)

_PAGE = 1000
_POLL_S = 0.25
User = Annotated[str | None, typer.Option(help="Only this user's events.", autocompletion=completion.users)]
Type = Annotated[str | None, typer.Option(help="Only this type (aliases too).", autocompletion=completion.types)]
_COLUMNS = ("SEQ", "START", "USER", "DEVICE", "TYPE", "VALUE")


@app.command("list")
def list_events(
    *,
    user: User = None,
    type: Type = None,  # noqa: A002  # named like the field
    since: Annotated[str | None, typer.Option(help="Started at or after: 2026-11-23T06:00:00Z, or 24h.")] = None,
    until: Annotated[str | None, typer.Option(help="Started before: a time, or an age, as with --since.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device's.", autocompletion=completion.devices)] = None,
    limit: Limit = None,
    history: Annotated[bool, typer.Option("--history", help="Also versions that newer ones replaced.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List events in log order.

    Example: healthsync events list --user alice --type heart_rate --since 24h
    """
    now = now_us()
    since_us = None if since is None else moment(since, now)
    until_us = None if until is None else moment(until, now)
    wanted = None if type is None else type_name(type)
    place = DataDirectory(data)
    with_log = place.log()
    if with_log is None:
        output.table(_COLUMNS, (), empty="" if json else "no events yet; start the service: healthsync up")
        return
    place.expect_user(user)
    place.audit("events.listed", user=user, device=device, type=wanted, since=since, until=until, limit=limit)

    def chosen(record: Record) -> bool:
        return device in {None, record.device} and (until_us is None or record.start_us < until_us)

    with with_log as log, output.through_pager(as_json=json):
        newest: deque[Record] = deque(maxlen=limit)
        after = 0
        if limit is not None and device is None and until_us is None:
            newest += log.read(0, limit, user=user, type=wanted, since_us=since_us, history=history, newest=True)
            after = log.head()
        while page := log.read(after, _PAGE, user=user, type=wanted, since_us=since_us, history=history):
            after = page[-1].seq
            found = filter(chosen, page)
            if limit is None:
                _print(found, json=json)
            else:
                newest += found
        if limit is not None:
            _print(newest, json=json)


@app.command("tail")
def tail(
    *,
    user: User = None,
    type: Type = None,  # noqa: A002
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Events to begin with.")] = 10,
    count: Annotated[int | None, typer.Option("--count", "-C", min=1, help="Stop after this many events.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Follow the log: print events as they are stored. Ctrl-C ends it.

    Example: healthsync events tail --user alice
    """
    wanted = None if type is None else type_name(type)
    place = DataDirectory(data)
    log = place.log()
    if log is None:
        raise UnavailableError(f"there is no event log in {data}", hint="start the service: healthsync up")
    place.expect_user(user)
    place.audit("events.followed", user=user, type=wanted)
    with log:
        try:
            _follow(log, user, wanted, lines, count, json=json)
        except KeyboardInterrupt:
            return


@app.command("show")
def show(
    event: Annotated[str, typer.Argument(help="The event's seq, or its id together with --user.")],
    user: User = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Show one event.

    Example: healthsync events show 1841
    """
    place = DataDirectory(data)
    log = place.log()
    record: Record | None = None
    if log is not None:
        with log:
            if user is not None:
                record = log.find(user, event)
            elif event.isdecimal() and len(event) < 19:
                record = log.get(int(event))
    if record is None:
        raise NotFoundError(
            f"there is no event {event}", hint="healthsync events list; an id needs its user: --user alice"
        )
    place.audit("events.shown", user=record.user, seq=record.seq)
    if json:
        output.emit_json(admin_json(record))
    else:
        output.facts((key, _value(value)) for key, value in admin_dict(record).items())


def _follow(log: LogReader, user: str | None, type_: str | None, lines: int, count: int | None, *, json: bool) -> None:
    head = log.head()
    printed = 0
    if lines:
        first = log.read(0, min(lines, count or lines), user=user, type=type_, newest=True)
        _print(first, json=json)
        printed = len(first)
        head = max(head, first[-1].seq) if first else head
    after = head
    while count is None or printed < count:
        page = log.read(after, min(_PAGE, count - printed) if count else _PAGE, user=user, type=type_, history=True)
        if page:
            _print(page, json=json)
            printed += len(page)
            after = page[-1].seq
        else:
            time.sleep(_POLL_S)


def _print(records: Iterable[Record], *, json: bool) -> None:
    if json:
        for record in records:
            output.emit_json(admin_json(record))
    else:
        output.table(_COLUMNS, map(row, records))
    output.flush()


def row(record: Record) -> tuple[object, ...]:
    """An event as one line for people."""
    event = admin_dict(record)
    return (
        event["seq"],
        f"{event['start_time'][:19]}Z" if event["start_time"] else "-",
        event["user_id"],
        event["device_id"],
        event["type"],
        "deleted" if event["op"] == "delete" else _value(event["value"]),
    )


def _value(value: object) -> str:
    text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:77] + "…"
