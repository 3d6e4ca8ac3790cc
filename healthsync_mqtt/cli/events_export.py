"""healthsync events export …"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, moment, now_us, type_name
from healthsync_mqtt.cli.publishing import progress
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.exports.destination import one_file
from healthsync_mqtt.exports.lines import Lines
from healthsync_mqtt.exports.port import Export
from healthsync_mqtt.model.choice import Choice
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import LogReader

_PAGE: Final = 1000


class ExportKind(StrEnum):
    """What an export can be written as."""

    JSONL = "jsonl"


def export(
    *,
    user: Annotated[str, typer.Option(help="Whose events.", autocompletion=completion.users)],
    form: Annotated[ExportKind, typer.Option("--format", help="What to write.")] = ExportKind.JSONL,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; default: stdout.")] = None,
    type: Annotated[  # noqa: A002  # named like the field
        str | None, typer.Option(help="Only this type (aliases too).", autocompletion=completion.types)
    ] = None,
    since: Annotated[str | None, typer.Option(help="Started at or after: 2026-11-23T06:00:00Z, or 24h.")] = None,
    until: Annotated[str | None, typer.Option(help="Started before: a time, or an age, as with --since.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also versions that newer ones replaced.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Write a user's events to a file that others read; jsonl is complete, and can be imported again.

    The file is private, and there only when it is whole.

    Example: healthsync events export --user alice --format jsonl -o alice.jsonl
    """
    now = now_us()
    since_us = None if since is None else moment(since, now)
    choice = Choice(until_us=None if until is None else moment(until, now))
    wanted = None if type is None else type_name(type)
    place = DataDirectory(data)
    log = place.log()
    if log is None:
        raise UnavailableError(f"there is no event log in {data}", hint="start the service: healthsync up")
    with log:
        place.expect_user(user)
        place.audit("events.exported", user=user, format=form.value, type=wanted, since=since, until=until)
        types: Counter[str] = Counter()
        with _written(form, out) as into, progress(f"{user}: {form}", log.head()) as moved:
            for record in _rows(log, user, wanted, since_us, moved, history=history):
                if record in choice:
                    into.take(record)
                    types[record.type] += 1
            into.close()
            left_out = dict(into.left_out)
    _say(form, out, types, left_out, json=json)


@contextmanager
def _written(form: ExportKind, out: Path | None) -> Iterator[Export]:
    match form:
        case ExportKind.JSONL:
            with one_file(out) as file:
                yield Lines(file)


def _rows(  # what is asked for
    log: LogReader, user: str, type_: str | None, since_us: int | None, moved: Callable[[int], None], *, history: bool
) -> Iterator[Record]:
    """Page by page until the log's end at that moment: what replaces a row that was left out so is always there."""
    after, full = 0, True
    while full:
        page = log.read(after, _PAGE, user=user, type=type_, since_us=since_us, history=history)
        full = len(page) == _PAGE
        if page:
            yield from page
            moved(page[-1].seq - after)
            after = page[-1].seq


def _say(
    form: ExportKind, out: Path | None, types: Mapping[str, int], left_out: Mapping[str, int], *, json: bool
) -> None:
    counted = {"events": sum(types.values()), "types": dict(sorted(types.items())), "left_out": left_out}
    if out is not None and json:
        output.emit({"format": form.value, "file": str(out), **counted})
    elif out is not None:
        output.say(f"wrote {counted['events']} events of {len(types)} types to {out}")
    if not json or out is None:
        for what, number in sorted(left_out.items()):
            output.say(f"left out: {number} x {what}")
