"""healthsync import …"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, bucket_s, now_us, slot_name, unit_name, zone_name
from healthsync_mqtt.cli.publication import connected, device_client, device_to_publish_as
from healthsync_mqtt.cli.reading_progress import ReadingProgress
from healthsync_mqtt.client import Credentials, MemoryOutbox
from healthsync_mqtt.client.carriage import Carriage, Load, Mark, MarkFile
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.imports.catalogue import read_all
from healthsync_mqtt.imports.port import PassedOver, Read, Whose
from healthsync_mqtt.imports.source import digest_of
from healthsync_mqtt.imports.tally import Tally
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.reasons import Reason

_OUTBOX: Final = 6000
_STOPPED: Final = 130
_SEE: Final = "see left_out for what is in it"
_TO_DECLARE: Final = {
    Reason.NAIVE_TIME.value: "say where its times were told, and import it again: --zone Europe/Berlin",
    PassedOver.OF_OTHERS.value: "say which user of the scale is meant, and import it again: --slot 1",
}
"""What to declare where that is why nothing comes of a file."""


@dataclass(slots=True)
class ImportOutcome:
    """What all files came to."""

    mark: Mark = field(default_factory=Mark)
    tally: Tally = field(default_factory=Tally)
    failed: list[dict[str, str]] = field(default_factory=list)

    def add(self, file: Path, tally: Tally) -> None:
        """What was read of one file; one that comes to nothing is told as if it could not be read."""
        self.tally.join(tally)
        if tally.types:
            return
        fix = next((_TO_DECLARE[word] for word in tally.examples if word in _TO_DECLARE), _SEE)
        examples = [each for examples in tally.examples.values() for each in examples]
        why = f": {examples[0]['place']} ({examples[0]['message']})" if examples else ""
        message = f"{file.name} holds nothing that becomes an event{why}"
        self.failed.append({"file": str(file), "message": message, "fix": fix})
        output.say(message)

    def as_dict(self) -> dict[str, Any]:
        mark = self.mark
        return {
            "events": mark.events,
            "stored": mark.stored,
            "duplicate": mark.duplicate,
            "rejected": sum(mark.rejected.values()),
            "held": mark.held,
            **self.tally.as_dict(),
            "rejected_by_reason": dict(sorted(mark.rejected.items())),
            "rejected_examples": mark.examples,
            "failed": self.failed,
        }


def import_(
    files: Annotated[list[Path], typer.Argument(help="Archives: files, folders, zips; their kind is seen by content.")],
    *,
    user: Annotated[str, typer.Option(help="Whose data it is.", autocompletion=completion.users)],
    device: Annotated[
        str, typer.Option(help="The device to publish as; added when missing.", autocompletion=completion.devices)
    ] = "import",
    zone: Annotated[
        str | None, typer.Option(help="Where times without an offset were told: Europe/Berlin.", callback=zone_name)
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Of numbers that come without one: kg, lb.")] = None,
    slot: Annotated[str | None, typer.Option(help="Which user of a scale that several people use.")] = None,
    bucket: Annotated[
        str | None, typer.Option(help="How long sums are that have only a start: minute, hour, day.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events per second; default: as fast as it goes.")] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Print the events, one a line; publish nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the summary, and publish nothing.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Publish an archive over MQTT, as a device would: Apple Health, Garmin, Google, Fitbit, Withings, and others.

    A second time everything is a duplicate. One that was stopped goes on where it stopped.
    Exit code 0 when every event was stored or known, 1 when one was rejected or a file could not be read.

    Example: healthsync import export.zip --user alice --device iphone
    """
    declared = Declared(zone, unit_name(unit), bucket_s(bucket), slot_name(slot))
    whose = Whose(user, device, declared, now_us())
    outcome = ImportOutcome()
    if print_only or dry_run:
        for file in files:
            whose = _read_only(file, whose, outcome, printed=print_only)
    else:
        publish_files(files, whose, outcome, rate=rate, data=data)
    if print_only:
        _say_left_out(outcome)
    elif json or len(outcome.failed) < len(files):
        _show(outcome, as_json=json, dry=dry_run)
    if outcome.failed or outcome.mark.rejected:
        raise typer.Exit(1)


def _read_only(file: Path, whose: Whose, outcome: ImportOutcome, *, printed: bool) -> Whose:
    """Count or print; what kinds remember then is known to the next file."""
    tally = Tally()
    with _failing(file, outcome), ReadingProgress(file, printed=printed) as watch:
        for load in _loads(file, whose, tally, watch):
            if printed:
                output.emit(load.event)
            outcome.mark.events += 1
        outcome.add(file, tally)
    return whose._replace(memory={**whose.memory, **tally.memory})


def publish_files(
    files: Sequence[Path], whose: Whose, outcome: ImportOutcome, *, rate: float | None, data: Path
) -> None:
    """Publish what files hold, each from where an earlier try has come to; ``outcome`` is told what they came to."""
    place = DataDirectory(data)
    place.expect_added(whose.user)
    service = ServiceFile.read(data)
    with place.registry() as registry:
        registry.user(whose.user)
        if not any(file.exists() for file in files):
            _tell_missing(files, outcome)
            return
    known, added = device_to_publish_as(place, whose.user, whose.device)
    state = ImportState(place.path, whose.user, whose.device)
    for file in files:
        with _failing(file, outcome), ReadingProgress(file) as watch:
            reader = whose._replace(memory=state.memory())
            digest = digest_of(file)
            marked = state.mark(digest, whose.declared, reader.memory)
            tally = Tally()

            def make(file: Path = file, watch: ReadingProgress = watch, reader: Whose = reader) -> Iterator[Load]:
                nonlocal tally
                tally = Tally()
                return _loads(file, reader, tally, watch)

            try:
                found = asyncio.run(_carry(service, place.credentials(known), marked, make, rate, new=added))
            except KeyboardInterrupt:
                output.say("stopped: the same command goes on from here")
                raise typer.Exit(_STOPPED) from None
            state.remember(tally.memory)
            state.forget(digest)
            added = False
            outcome.mark.join(found)
            outcome.add(file, tally)


def _tell_missing(files: Sequence[Path], outcome: ImportOutcome) -> None:
    """None of them is there: that is told, and no device is added for it."""
    for file in files:
        with _failing(file, outcome):
            digest_of(file)


async def _carry(
    service: ServiceFile, credentials: Credentials, marked: MarkFile, make: Any, rate: float | None, *, new: bool
) -> Mark:
    outbox = MemoryOutbox(capacity=_OUTBOX, keep=_OUTBOX // 2)
    async with connected(lambda: device_client(service, credentials, outbox=outbox, batch_size=500), new=new) as client:
        return await Carriage(client, outbox, marked, rate=rate).carry(make)


def _loads(file: Path, whose: Whose, tally: Tally, watch: ReadingProgress) -> Iterator[Load]:
    """The events of a file; what becomes none is counted as it comes by."""
    for item in read_all(file, whose, watch.moved):
        if isinstance(item, Read):
            tally.event(item)
            yield Load(item.event, item.place)
        else:
            tally.aside(item)
        watch.seen(event=isinstance(item, Read))


@contextlib.contextmanager
def _failing(file: Path, outcome: ImportOutcome) -> Iterator[None]:
    """One file that cannot be read keeps no other from being imported."""
    try:
        yield
    except InputError as error:
        outcome.failed.append({"file": str(file), "message": str(error), "fix": error.hint})
        output.failure(error, as_json=False)


def _say_left_out(outcome: ImportOutcome) -> None:
    """On stderr, beside the events."""
    for reason, number in sorted(outcome.tally.left_out.items()):
        output.say(f"left out: {number} {reason}, as {_first(outcome.tally.examples[reason])}")
    for warning in outcome.tally.warnings:
        output.say(f"{warning['place']}: {warning['message']}")


def _first(examples: Sequence[dict[str, Any]]) -> str:
    return ", ".join(
        f"{each['place']} ({each['message']})" if each["message"] else each["place"] for each in examples[:1]
    )


def _show(outcome: ImportOutcome, *, as_json: bool, dry: bool) -> None:
    if as_json:
        output.emit(outcome.as_dict())
        return
    mark, tally = outcome.mark, outcome.tally
    said: list[tuple[str, object]] = [("events", mark.events)]
    if not dry:
        said += [("stored", mark.stored), ("duplicate", mark.duplicate), ("rejected", sum(mark.rejected.values()))]
    said += [
        (f"  {reason}", f"{number}, as {_first(mark.examples[reason])}") for reason, number in mark.rejected.items()
    ]
    if mark.held:
        said.append(("of these held", f"{mark.held}: they are stored when their time has come"))
    said.append(("left out", sum(tally.left_out.values())))
    said += [
        (f"  {reason}", f"{number}, as {_first(tally.examples[reason])}")
        for reason, number in sorted(tally.left_out.items())
    ]
    said += [("by type", "")] + [(f"  {type_}", number) for type_, number in sorted(tally.types.items())]
    said += [("by year", "")] + [(f"  {year}", number) for year, number in sorted(tally.years.items())]
    output.facts(said)
    for warning in tally.warnings:
        output.say(f"{warning['place']}: {warning['message']}")
    if mark.rejected:
        output.say("see why: healthsync rejected list")
