"""healthsync replay …: the import of one FIT file, which is whole, or is said to be taken as far as it can be read."""

from pathlib import Path
from typing import Annotated

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.cli.imports import ImportOutcome, publish_files
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us
from healthsync_mqtt.cli.publication import Summary
from healthsync_mqtt.formats.fit import Fit, FitFile, read_fit
from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.imports.fit import MOST_DAYS
from healthsync_mqtt.imports.port import Whose


def replay(
    file: Annotated[Path, typer.Argument(help="A .fit file of a Garmin watch or bike computer.")],
    *,
    user: Annotated[str, typer.Option(help="Whose data it is.", autocompletion=completion.users)],
    device: Annotated[
        str, typer.Option(help="The device to publish as; added when missing.", autocompletion=completion.devices)
    ],
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events per second; default: as fast as it goes.")] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the events, one a line, for mosquitto_pub -l; publish nothing.")
    ] = False,
    salvage: Annotated[bool, typer.Option("--salvage", help="Publish the readable part of a damaged file.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Publish the records of a FIT file over MQTT, as a device would. A second time they are duplicates.

    Exit code 0 when every record was receipted as stored or duplicate.

    Example: healthsync replay run.fit --user alice --device garmin-1
    """
    if print_only:
        found = read_fit(file, user=user, salvage=salvage)
        for event in found.events:
            output.emit(event)
        _say_left_out(found)
        return
    with DataDirectory(data).registry() as registry:
        registry.user(user)
    book = DayBook(ImportState(DataDirectory(data).path, user, device).memory().get(Fit.name, b""), most=MOST_DAYS)
    found = read_fit(file, user=user, salvage=salvage, book=book)
    _say_left_out(found)
    if found.damage:
        output.say(f"{file.name} is damaged ({found.damage}); publishing the {len(found.events)} events before that")
    outcome = ImportOutcome()
    publish_files([file], Whose(user, device, now_us=now_us()), outcome, rate=rate, data=data)
    mark = outcome.mark
    refused = sum(mark.rejected.values())
    summary = Summary(mark.events, mark.stored, mark.duplicate, refused, dict(mark.rejected), mark.held)
    summary.show(as_json=json, file=file.name, user_id=user, device_id=device, records=found.records)
    if summary.rejected and not json:
        output.say(f"see why: healthsync rejected list --user {user}")
    if summary.rejected or outcome.failed:
        raise typer.Exit(1)


def _say_left_out(found: FitFile) -> None:
    for aside in found.left_out:
        output.say(f"left out: {aside.count} {aside.reason.value} ({aside.place}: {aside.text})")
    for note in found.notes:
        output.say(f"{note.place}: {note.text}")
