"""healthsync trace"""

import time
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, seconds
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import Noun, UnknownNameError
from healthsync_mqtt.identity.registry import Registry

_POLL_S = 0.25


def trace(
    client: Annotated[
        str, typer.Argument(help="The client id, as `device list` shows it.", autocompletion=completion.clients)
    ],
    *,
    count: Annotated[int | None, typer.Option("--count", "-C", min=1, help="Stop after this many lines.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="Stop after this time, such as 30s.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Show live what a client sends and what becomes of it: topic, sizes, counts, reasons; never a value.

    Ctrl-C ends it. The running service keeps nothing of it.

    Example: healthsync trace alice-watch-1
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        who = _known(registry, client)
    until = None if for_ is None else time.monotonic() + seconds(for_)
    after: int | None = None
    printed = 0
    try:
        while (count is None or printed < count) and (until is None or time.monotonic() < until):
            answer = call(data, "trace", after=after, **who)
            if after is None:
                place.audit_client("client.traced", client)
                output.say(f"tracing {client}; Ctrl-C ends it")
            if answer["missed"]:
                output.say(f"{answer['missed']} lines were lost: they came faster than they could be shown")
            lines = answer["lines"][: None if count is None else count - printed]
            for line in lines:
                _print(line, as_json=json)
            output.flush()
            printed += len(lines)
            after = answer["next"]
            if not lines:
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return


def _known(registry: Registry, client: str) -> dict[str, Any]:
    for each in registry.devices():
        if each.client_id == client:
            return {"client_id": client, "user": each.user_id, "device": each.device_id}
    if any(each.name == client for each in registry.subscribers()):
        return {"client_id": client, "user": None, "device": None}
    hint = "healthsync device list; healthsync subscriber list"
    raise UnknownNameError(Noun.client, client, f"there is no client {client}", hint=hint)


def _print(line: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit(line)
        return
    match line:
        case {"what": "message", "outcome": "committed"}:
            counts = [f"{line[name]} {name}" for name in ("stored", "duplicate") if line[name]]
            counts += [f"{number} rejected: {reason}" for reason, number in line["rejected"].items()]
            words = f"{line['topic']} QoS {line['qos']}, {line['bytes']} bytes: {', '.join(counts) or 'no events'}"
        case {"what": "message"}:
            words = f"message refused: {line['reason']}: {line['detail']}"
        case {"what": "login"}:
            words = f"login refused, from {line['address']}: {line['reason']}"
        case {"what": "absent"}:
            words = "not connected"
        case _:
            words = f"{line['what']} {line.get('address') or ''}".rstrip()
    output.table(("AT", "WHAT"), [(line["at"], words)])
