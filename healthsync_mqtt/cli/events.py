"""healthsync events …"""

import time
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.events_export import export
from healthsync_mqtt.cli.events_history import history, stats
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory, expect
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit, chosen, moment, now_us, type_name
from healthsync_mqtt.errors import NotFoundError, UnavailableError
from healthsync_mqtt.model.choice import Choice
from healthsync_mqtt.model.record import Record, admin_dict, admin_json
from healthsync_mqtt.storage.port import LogReader

app = new_group("The events in the log.")
app.command("export")(export)
app.command("history")(history)
app.command("stats")(stats)

_PAGE = 1000
_POLL_S = 0.25
User = Annotated[str | None, typer.Option(help="Only this user's events.", autocompletion=completion.users)]
Type = Annotated[str | None, typer.Option(help="Only this type (aliases too).", autocompletion=completion.types)]
_LOOKED_BACK = 10_000
Device = Annotated[str | None, typer.Option(help="Only this device's.", autocompletion=completion.devices)]
Provider = Annotated[str | None, typer.Option(help="Only from this provider.")]
SourceApp = Annotated[str | None, typer.Option("--app", help="Only of this app, as the events name their source.")]
Value = Annotated[str | None, typer.Option(help="Only numbers in a range: bpm:100..180, systolic:140.., ..50.")]
Version = Annotated[int | None, typer.Option("--version", min=0, help="Only this version of events.")]
_COLUMNS = ("SEQ", "START", "USER", "DEVICE", "TYPE", "VALUE")


@app.command("list")
def list_events(
    *,
    user: User = None,
    type: Type = None,  # noqa: A002  # named like the field
    since: Annotated[str | None, typer.Option(help="Started at or after: 2026-11-23T06:00:00Z, or 24h.")] = None,
    until: Annotated[str | None, typer.Option(help="Started before: a time, or an age, as with --since.")] = None,
    device: Device = None,
    provider: Provider = None,
    source_app: SourceApp = None,
    value: Value = None,
    version: Version = None,
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
    choice = chosen(until, device, provider, source_app, value, version, now)
    wanted = None if type is None else type_name(type)
    place = DataDirectory(data)
    expect(place, user, device)
    with_log = place.log()
    if with_log is None:
        output.table(_COLUMNS, (), empty="" if json else "no events yet; start the service: healthsync up")
        return
    place.audit("events.listed", user=user, device=device, type=wanted, since=since, until=until, limit=limit)

    with with_log as log, output.through_pager(as_json=json):
        asked: dict[str, Any] = {"user": user, "type": wanted, "since_us": since_us, "history": history}
        after = printed = 0
        if limit is not None:
            printed = _print(log.read(0, limit, newest=True, **asked, **choice.rows), json=json)
        # The first that is found is shown at once, however long others are looked for.
        size = _PAGE if choice.contents is None else 1
        while limit is None and (page := log.read(after, size, **asked, **choice.rows)):
            after, size = page[-1].seq, min(2 * size, _PAGE)
            printed += _print(page, json=json)
        if not printed and not json:
            output.say("no such events")


@app.command("tail")
def tail(
    *,
    user: User = None,
    type: Type = None,  # noqa: A002
    device: Device = None,
    provider: Provider = None,
    source_app: SourceApp = None,
    value: Value = None,
    version: Version = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Events to begin with.")] = 10,
    count: Annotated[int | None, typer.Option("--count", "-C", min=1, help="Stop after this many events.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Follow the log: print events as they are stored. Ctrl-C ends it.

    Example: healthsync events tail --user alice
    """
    wanted = None if type is None else type_name(type)
    choice = chosen(None, device, provider, source_app, value, version, now_us())
    place = DataDirectory(data)
    expect(place, user, device)
    log = place.log()
    if log is None:
        raise UnavailableError(f"there is no event log in {data}", hint="start the service: healthsync up")
    place.audit("events.followed", user=user, type=wanted)
    with log:
        try:
            _follow(log, user, wanted, choice, lines, count, json=json)
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
    expect(place, user)
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


def _follow(  # noqa: PLR0917  # what is asked for
    log: LogReader, user: str | None, type_: str | None, choice: Choice, lines: int, count: int | None, *, json: bool
) -> None:
    head = log.head()
    printed = 0
    if lines:
        first = _last(log, choice, min(lines, count or lines), user=user, type=type_)
        _print(first, json=json)
        printed = len(first)
        head = max(head, first[-1].seq) if first else head
    after = head
    while count is None or printed < count:
        page = log.read(after, _PAGE, user=user, type=type_, history=True)
        found = [record for record in page if record in choice]
        if count is not None:
            del found[count - printed :]
        _print(found, json=json)
        printed += len(found)
        if page:
            after = page[-1].seq
        else:
            time.sleep(_POLL_S)


def _last(log: LogReader, choice: Choice, limit: int, **asked: Any) -> list[Record]:
    """The last events that are wanted, among the last rows: who follows the log does not wait for older ones."""
    if choice.contents is None:
        return log.read(0, limit, newest=True, **asked, **choice.rows)
    page = log.read(0, _LOOKED_BACK, newest=True, **asked, **(choice.rows | {"contents": None}))
    return [record for record in page if record in choice][-limit:]


def _print(records: Iterable[Record], *, json: bool) -> int:
    """Print them; how many."""
    printed = list(records)
    if json:
        for record in printed:
            output.emit_json(admin_json(record))
    else:
        output.table(_COLUMNS, map(row, printed))
    output.flush()
    return len(printed)


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
