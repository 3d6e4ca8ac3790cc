"""healthsync events export …"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory, expect
from healthsync_mqtt.cli.options import DATA, Data, Json, chosen, moment, now_us, type_name
from healthsync_mqtt.cli.progress_bar import progress
from healthsync_mqtt.errors import UnavailableError, UsageError
from healthsync_mqtt.exports.comma import CommaFiles
from healthsync_mqtt.exports.data_points import DataPoints
from healthsync_mqtt.exports.destination import directory, file_in, one_file
from healthsync_mqtt.exports.lines import Lines
from healthsync_mqtt.exports.observations import Observations
from healthsync_mqtt.exports.port import Export
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import LogReader

if TYPE_CHECKING:
    from healthsync_mqtt.exports.parquet import ParquetFiles

_PAGE: Final = 1000


class ExportKind(StrEnum):
    """What an export can be written as."""

    JSONL = "jsonl"
    CSV = "csv"
    FHIR = "fhir"
    OMH = "omh"
    PARQUET = "parquet"


_DOCUMENTS: Final[Mapping[ExportKind, Callable[[IO[bytes]], Export]]] = {
    ExportKind.JSONL: Lines,
    ExportKind.FHIR: Observations,
    ExportKind.OMH: DataPoints,
}
"""One file of all."""
_TABLES: Final = frozenset({ExportKind.CSV, ExportKind.PARQUET})
"""One file a type."""


def export(
    *,
    user: Annotated[str, typer.Option(help="Whose events.", autocompletion=completion.users)],
    form: Annotated[ExportKind, typer.Option("--format", help="What to write.")] = ExportKind.JSONL,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file (default: stdout); with csv and parquet a directory.")
    ] = None,
    type: Annotated[  # noqa: A002  # named like the field
        str | None, typer.Option(help="Only this type (aliases too).", autocompletion=completion.types)
    ] = None,
    since: Annotated[str | None, typer.Option(help="Started at or after: 2026-11-23T06:00:00Z, or 24h.")] = None,
    until: Annotated[str | None, typer.Option(help="Started before: a time, or an age, as with --since.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device's.", autocompletion=completion.devices)] = None,
    provider: Annotated[str | None, typer.Option(help="Only from this provider.")] = None,
    source_app: Annotated[str | None, typer.Option("--app", help="Only of this app.")] = None,
    value: Annotated[str | None, typer.Option(help="Only numbers in a range: bpm:100..180, ..50.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=0, help="Only this version.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also versions that newer ones replaced.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Write a user's events as others read them; jsonl is complete, and can be imported again.

    csv and parquet are one file a type. What is written is private, and there only when it is whole.

    Example: healthsync events export --user alice --format jsonl -o alice.jsonl
    """
    now = now_us()
    since_us = None if since is None else moment(since, now)
    choice = chosen(until, device, provider, source_app, value, version, now)
    wanted = None if type is None else type_name(type)
    place = DataDirectory(data)
    expect(place, user, device)
    log = place.log()
    if log is None:
        raise UnavailableError(f"there is no event log in {data}", hint="start the service: healthsync up")
    with log:
        place.audit("events.exported", user=user, format=form.value, type=wanted, since=since, until=until)
        types: Counter[str] = Counter()
        shown = progress(f"{user}: {form}", log.head(), counted=False, printed=out is None)
        with _written(form, out) as into, shown as moved:
            asked = {"user": user, "type": wanted, "since_us": since_us, "history": history, **choice.rows}
            left_out = 0
            for record in _rows(log, moved, asked):
                into.take(record)
                before, left_out = left_out, sum(into.left_out.values())
                types[record.type] += before == left_out
        why = dict(into.left_out)
    _say(form, out, +types, why, json=json)


@contextmanager
def _written(form: ExportKind, out: Path | None) -> Iterator[Export]:
    """The export at its place; what it wrote is nowhere when the block fails."""
    if form in _TABLES:
        if out is None:
            raise UsageError(f"{form} is one file a type", hint=f"name a directory: --format {form} -o DIRECTORY")
        tables = CommaFiles if form is ExportKind.CSV else _parquet()
        with directory(out) as folder, _closed_or_left(tables(lambda name: file_in(folder, name))) as into:
            yield into
        return
    with one_file(out) as file, _closed_or_left(_DOCUMENTS[form](file)) as into:
        yield into


@contextmanager
def _closed_or_left(into: Export) -> Iterator[Export]:
    """Close it, or let go of what it has open when the block fails."""
    try:
        yield into
        into.close()
    except BaseException:
        into.abandon()
        raise


def _parquet() -> "type[ParquetFiles]":
    if find_spec("pyarrow") is None:
        raise UnavailableError("parquet needs pyarrow", hint="in the checkout: pip install '.[parquet]'")
    from healthsync_mqtt.exports.parquet import ParquetFiles

    return ParquetFiles


def _rows(log: LogReader, moved: Callable[[int], None], asked: dict[str, Any]) -> Iterator[Record]:
    """Page by page until the log's end at that moment: what replaces a row that was left out so is always there."""
    after, full = 0, True
    while full:
        page = log.read(after, _PAGE, **asked)
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
        if out is None and not types:
            output.say("no such events")
