"""healthsync format …"""

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from bridge.decode.delivery import decode
from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, FreshData, Json, bucket_s, slot_name, unit_name, zone_name
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.errors import InputError, UsageError
from healthsync_mqtt.formats.catalogue import FORMATS, declare
from healthsync_mqtt.formats.port import Format, Told
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.event import LATEST, Aftermath, Decoded, Event
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record, canonical_dict

app = new_group("Payload formats of apps and gadgets.")

_ROOMY: Final = Limits(max_payload=256 * 1024 * 1024)

Name = Annotated[str, typer.Argument(help="The format.", autocompletion=completion.formats)]


@app.command("list")
def list_formats(data: FreshData = DATA, json: Json = False) -> None:
    """List the payload formats that an app may send, with those that this installation declares.

    Example: healthsync format list
    """
    declare(data / "formats")
    output.listing(map(_described, FORMATS.values()), {"name": "FORMAT", "summary": "WHAT SENDS IT"}, as_json=json)


@app.command("show")
def show_format(name: Name, data: FreshData = DATA, json: Json = False) -> None:
    """Show one format: what sends it, and on which topics of its own.

    Example: healthsync format show fit
    """
    shown = _described(known_format(name, data))
    if json:
        output.emit(shown)
    else:
        output.facts((shown | {"roots": ", ".join(shown["roots"])}).items())


@app.command("try")
def try_format(  # noqa: PLR0917  # an option each
    name: Name,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="A message each, in the order of arrival.")],
    topic: Annotated[str, typer.Option(help="What follows the format's own topic, as the app sends it.")] = "",
    user: Annotated[
        str, typer.Option(help="Whose events they would be; ids depend on it.", autocompletion=completion.users)
    ] = "alice",
    device: Annotated[
        str, typer.Option(help="Which app would have sent them.", autocompletion=completion.devices)
    ] = "app",
    zone: Annotated[str | None, typer.Option(help="As with `app add`.")] = None,
    unit: Annotated[str | None, typer.Option(help="As with `app add`.")] = None,
    bucket: Annotated[str | None, typer.Option(help="As with `app add`.")] = None,
    slot: Annotated[str | None, typer.Option(help="As with `app add`.")] = None,
    retained: Annotated[bool, typer.Option("--retained", help="As a broker sends what it has kept.")] = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Show what would become of messages in a format: an event or a refusal a line. Nothing is stored.

    Example: healthsync format try fit morning-run.fit
    """
    form = known_format(name, data)
    declared = Declared(zone_name(zone), unit_name(unit), bucket_s(bucket), slot_name(slot))
    now_us = time.time_ns() // 1000
    origin = Origin(user, device, None, f"users/{user}/devices/{device}/formats/{form.name}")
    shown: list[dict[str, Any]] = []
    state = b""
    for file in files:
        told = Told(state, topic, retained, now_us, declared)
        found = decode(content_of(file), origin, now_us, _ROOMY, form=form, told=told)
        state = _state_after(found.aftermath, state)
        shown += _outcomes(found, origin, now_us)
    output.listing(
        shown,
        {"index": "PLACE", "type": "TYPE", "start_time": "START", "value": "VALUE", "reason": "REFUSED"}
        | {"field": "WHERE", "message": "WHY"},
        as_json=json,
        shown={"value": lambda value: "" if value is None else msgspec.json.encode(value).decode()},
        empty="no event and no refusal: nothing in it is of health",
    )


def content_of(file: Path) -> bytes:
    """The bytes of a file; - is stdin. InputError."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", hint="check the path") from None


def _state_after(aftermath: Aftermath | None, before: bytes) -> bytes:
    return before if aftermath is None or aftermath.state is None else aftermath.state


def _outcomes(found: Decoded, origin: Origin, now_us: int) -> list[dict[str, Any]]:
    """Events and refusals in the order of the message, then what would be taken back."""
    shown: list[dict[str, Any]] = [
        {"index": event.index} | event_shown(event, origin, now_us) for event in found.events
    ]
    shown += [
        {"index": each.index, "reason": each.reason.value, "field": each.field, "message": each.message}
        for each in found.rejections
    ]
    shown.sort(key=lambda each: each["index"])
    gone = () if found.aftermath is None else found.aftermath.gone
    return shown + [{"gone": each._asdict()} for each in gone]


def event_shown(event: Event, origin: Origin, now_us: int) -> dict[str, Any]:
    """As it would go to subscribers, without what only the log gives it."""
    record = Record(
        0,
        origin.user,
        origin.device,
        None,
        event.id,
        event.type,
        event.start_us,
        event.end_us,
        now_us,
        max(event.version, 0),
        event.op,
        event.body,
        0,
    )
    made = canonical_dict(record)
    if event.version == LATEST:
        made["version"] = "latest"
    return {key: value for key, value in made.items() if key not in {"seq", "received_at"}}


def known_format(name: str, data: Path) -> Format:
    """A format of the program or of this installation. UsageError for another, InputError for a broken mapping."""
    declare(data / "formats")
    found = FORMATS.get(name)
    if found is None:
        hint = f"{did_you_mean(name, FORMATS)}see: healthsync format list"
        raise UsageError(f"there is no format {name!r}", hint=hint)
    return found


def _described(form: Format) -> dict[str, Any]:
    return {"name": form.name, "summary": form.summary, "roots": list(form.roots)}
