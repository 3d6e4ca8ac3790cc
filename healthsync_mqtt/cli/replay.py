"""healthsync replay …"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.cli.installation import DataDirectory, device_made_if_missing
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us
from healthsync_mqtt.cli.publishing import Summary, connected, device_client, progress, publish_all
from healthsync_mqtt.cli.service import ServiceFile
from healthsync_mqtt.client import Credentials
from healthsync_mqtt.formats.fit import Fit, FitFile, read_fit
from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.imports.fit import MOST_DAYS


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
    place = DataDirectory(data)
    state = ImportState(place.path, user, device)
    with place.registry() as registry:
        registry.user(user)
        book = DayBook(state.memory().get(Fit.name, b""), most=MOST_DAYS)
        found = read_fit(file, user=user, salvage=salvage, book=book)
        service = ServiceFile.read(data)
        known, added = device_made_if_missing(registry, user, device, now_us())
    if added:
        place.audit("device.added", user=user, device=device)
        output.say(f"added the device {device} of {user}")
    _say_left_out(found)
    if found.damage:
        output.say(f"{file.name} is damaged ({found.damage}); publishing the {len(found.events)} events before that")
    with progress(file.name, len(found.events)) as moved:
        summary = asyncio.run(_publish(service, place.credentials(known), found.events, rate, moved, new=added))
    if book.state:
        state.remember({Fit.name: book.state})
    summary.show(as_json=json, file=file.name, user_id=user, device_id=device, records=found.records)
    if summary.rejected:
        if not json:
            output.say(f"see why: healthsync rejected list --user {user}")
        raise typer.Exit(1)


def _say_left_out(found: FitFile) -> None:
    for aside in found.left_out:
        output.say(f"left out: {aside.count} {aside.reason.value} ({aside.place}: {aside.text})")
    for note in found.notes:
        output.say(f"{note.place}: {note.text}")


async def _publish(
    service: ServiceFile,
    credentials: Credentials,
    events: list[dict[str, Any]],
    rate: float | None,
    moved: Callable[[int], None],
    *,
    new: bool,
) -> Summary:
    async with connected(lambda: device_client(service, credentials), new=new) as client:
        return await publish_all(client, events, rate, moved)
