"""healthsync publish …"""

import asyncio
import json as json_text
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, seconds
from healthsync_mqtt.cli.publication import connected, device_client, device_to_publish_as
from healthsync_mqtt.client import Credentials, Duplicate, Rejected, Result, Results, Stored
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import InputError, UnavailableError

_MOST_BYTES = 64 * 1024 * 1024
_WAIT: Final = "30s"
_FORMS = "give one event, an array of events, a batch, or one event a line"


class BareWait(TyperCommand):
    """``--wait`` alone waits as long as is usual: that it takes a time is easily forgotten."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        follows = zip(args, [*args[1:], "--"], strict=True)
        return super().parse_args(
            ctx, [f"--wait={_WAIT}" if each == "--wait" and next_[:1] == "-" else each for each, next_ in follows]
        )


def publish(
    file: Annotated[str, typer.Argument(help="Events as JSON: one, an array, a batch, or one a line; -: stdin.")],
    *,
    user: Annotated[str, typer.Option(help="Whose data it is.", autocompletion=completion.users)],
    device: Annotated[
        str, typer.Option(help="The device to publish as; added when missing.", autocompletion=completion.devices)
    ],
    wait: Annotated[
        str, typer.Option(help="How long to wait for the receipts: 10s, 1m; alone: as long as without it.")
    ] = _WAIT,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Publish events over MQTT, as a device would, and print what the receipt says about each of them.

    Exit code 0 when every event was stored or is a duplicate. One that is held is stored when its time has come.

    Example: healthsync publish reading.json --user alice --device watch-1
    """
    within_s = seconds(wait)
    events = events_in(_read(file))
    place = DataDirectory(data)
    place.expect_added(user)
    service = ServiceFile.read(data)
    known, added = device_to_publish_as(place, user, device)
    results = asyncio.run(_publish(service, place.credentials(known), events, within_s, new=added))
    columns = {"id": "EVENT", "outcome": "OUTCOME", "reason": "REASON", "field": "FIELD", "message": "MESSAGE"}
    output.listing([_described(each) for each in results], columns, as_json=json, empty="no events in it")
    if results.rejected:
        raise typer.Exit(1)


def events_in(text: bytes) -> list[dict[str, Any]]:
    """The events of one message as a device may send it, or one a line. InputError for anything else."""
    if not text.strip():
        raise InputError("there is nothing in it", hint=_FORMS)
    try:
        whole: list[Any] = [json_text.loads(text)]
    except ValueError:
        try:
            whole = [json_text.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise InputError("this is no JSON", hint=_FORMS) from None
    except RecursionError:
        raise InputError("the JSON is nested too deep") from None
    found: list[Any] = []
    for each in whole:
        inner = each["events"] if isinstance(each, dict) and "events" in each else each
        found += inner if isinstance(inner, list) else [inner]
    if not all(isinstance(event, dict) for event in found):
        raise InputError(
            "an event is a JSON object", hint='{"id": "...", "type": "...", "start_time": "...", "value": {...}}'
        )
    return found


def _read(file: str) -> bytes:
    try:
        content = sys.stdin.buffer.read(_MOST_BYTES + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", hint="name a file, or - for stdin") from None
    if len(content) > _MOST_BYTES:
        raise InputError("more than 64 MiB at once", hint="split it: events need not be in one file")
    return content


async def _publish(
    service: ServiceFile, credentials: Credentials, events: list[dict[str, Any]], within_s: float, *, new: bool
) -> Results:
    async with connected(lambda: device_client(service, credentials), new=new) as client:
        try:
            return await client.publish(events, within_s=within_s)
        except TimeoutError:
            await client.close(flush_s=0)
            raise UnavailableError(
                f"no receipt within {within_s:g} s: what was sent may be stored all the same",
                hint="send it again, it is not stored twice; see: healthsync status",
            ) from None


def _described(result: Result) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": result.id, "outcome": "duplicate", "reason": None, "field": None, "message": None}
    if isinstance(result, Rejected):
        return shown | {
            "outcome": "held" if result.held else "rejected",
            "reason": result.reason,
            "field": result.field,
            "message": result.message,
        }
    if isinstance(result, Stored):
        return shown | {"outcome": "stored"}
    return shown if isinstance(result, Duplicate) else shown | {"outcome": "accepted"}
