"""healthsync adapter …"""

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import typer

from bridge.decode.delivery import decode
from healthsync_mqtt.adapters.catalogue import Known, known
from healthsync_mqtt.adapters.port import Adapter, Mapping
from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.formats import content_of, event_shown
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, FreshData, Json, zone_name
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.errors import InputError, UnavailableError, UsageError
from healthsync_mqtt.formats.port import AppMessage, Gone, Made, folded
from healthsync_mqtt.model.declared import Declared
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError

app = new_group("Adapters: what clouds hold of a user.")

_ROOMY: Final = Limits(max_payload=256 * 1024 * 1024, max_events=1_000_000, max_made=1_000_000)
_FAR_US: Final = 10 * 366 * 86_400_000_000
_FOLDER: Final = "adapters"

Provider = Annotated[str, typer.Argument(help="The adapter.", autocompletion=completion.adapters)]


@app.command("list")
def list_adapters(data: FreshData = DATA, json: Json = False) -> None:
    """List the adapters: how each is let in, how its data comes, which types it brings, and whether it still can.

    Example: healthsync adapter list
    """
    found = _known(data)
    output.listing(
        map(_described, found.adapters.values()),
        {"name": "ADAPTER", "title": "TITLE", "auth": "AUTH", "delivery": "DELIVERY", "state": "STATE"}
        | {"reason": "REASON"},
        as_json=json,
    )


@app.command("map")
def map_answer(  # noqa: PLR0917  # an option each
    provider: Provider,
    kind: Annotated[
        str,
        typer.Argument(
            help="What the answer is: `sleep`, `measure`, … of this provider.", autocompletion=completion.answer_kinds
        ),
    ],
    file: Annotated[Path, typer.Argument(help="The answer as JSON, or a recording of the exchange; - for stdin.")],
    before: Annotated[
        list[str] | None, typer.Option(help="KIND=FILE that came before, and may be remembered; may be repeated.")
    ] = None,
    user: Annotated[
        str, typer.Option(help="Whose events they would be; ids depend on it.", autocompletion=completion.users)
    ] = "alice",
    zone: Annotated[str | None, typer.Option(help="The zone of the account: Europe/Berlin.")] = None,
    account: Annotated[str | None, typer.Option(help="The user's id at the provider, where answers are mixed.")] = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Show the events that a provider's answer would become, one a line. Nothing is stored.

    What becomes none is said on stderr, with its place and why.

    Example: healthsync adapter map withings measure answer.json
    """
    adapter = _adapter(provider, data)
    mapping = _mapping(adapter)
    declared = Declared(zone_name(zone), slot=account)
    state = b""
    for each in before or ():
        earlier, equals, path = each.partition("=")
        if not equals:
            raise UsageError(f"{each!r} is not KIND=FILE")
        state = folded(mapping, _message(adapter, earlier, Path(path), user, declared), state).state
    message = _message(adapter, kind, file, user, declared)
    try:
        outcomes = folded(mapping, message, state).outcomes
    except RefusedError as refusal:
        where = f" at {refusal.field}" if refusal.field else ""
        raise InputError(f"nothing can be told of the answer{where}: {refusal}", hint=_kinds_hint(mapping)) from None
    shown = []
    for outcome in outcomes:
        if isinstance(outcome, Made):
            shown += _offered(outcome, message, provider, as_json=json)
        elif not isinstance(outcome, Gone):
            _left_out(outcome.place, outcome.reason.value, outcome.text, as_json=json)
    output.listing(
        shown,
        {"type": "TYPE", "op": "OP", "start_time": "START", "end_time": "END", "value": "VALUE"},
        as_json=json,
        empty="no event: nothing in it is of health, or all of it was left out",
    )


def _offered(made: Made, message: AppMessage, provider: str, *, as_json: bool) -> list[dict[str, Any]]:
    """The event as it would be taken; said on stderr where it would be refused."""
    origin = Origin(message.user, None, provider, f"users/{message.user}/adapters/{provider}/events")
    found = decode(msgspec.json.encode(made.event), origin, message.at_us, _ROOMY)
    for each in found.rejections:
        place = ".".join(part for part in (made.place, each.field) if part)
        _left_out(place, each.reason.value, each.message, as_json=as_json)
    return [event_shown(each, origin, message.at_us) for each in found.events]


def _left_out(place: str, reason: str, text: str, *, as_json: bool) -> None:
    if as_json:
        sys.stderr.write(msgspec.json.encode({"place": place, "reason": reason, "message": text}).decode() + "\n")
    else:
        output.say(f"left out {place or 'the answer'}: {reason}: {text}")


def _message(adapter: Adapter, kind: str, file: Path, user: str, declared: Declared) -> AppMessage:
    """The answer in a file; of a recorded exchange, its body, with the question's path as what it was about."""
    payload, subject = content_of(file), ""
    mapping = _mapping(adapter)
    if not mapping.knows(kind):
        raise UsageError(f"{adapter.name} has no kind {kind!r}", hint=_kinds_hint(mapping))
    try:
        document = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        document = None
    if isinstance(document, dict):
        exchange = document.get("response") or document.get("webhook")
        if isinstance(exchange, dict) and "body" in exchange and ("status" in exchange or "method" in exchange):
            body = exchange["body"]
            payload = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
            subject = _subject(document.get("request"))
    # Nothing is from the future here: the clocks of recordings are their own.
    at_us = time.time_ns() // 1000 + _FAR_US
    return AppMessage(payload, user, topic=f"{kind}/{subject.lstrip('/')}", at_us=at_us, declared=declared)


def _subject(request: Any) -> str:
    """What a question was about: the path that was asked, and which signal its form names."""
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        return ""
    form = request.get("body")
    signal = parse_qs(form).get("signalid", []) if isinstance(form, str) else []
    return "/".join((urlsplit(request["url"]).path, *signal[:1]))


def _kinds_hint(mapping: Mapping) -> str:
    return f"its kinds: {', '.join(mapping.kind_names)}"


def _known(data: Path) -> Known:
    found = known(data / _FOLDER)
    for each in found.broken:
        output.say(f"{each.where} is no adapter: {each.why}")
    return found


def _adapter(name: str, data: Path) -> Adapter:
    """An adapter by its name. UsageError for one that there is not."""
    adapters = _known(data).adapters
    found = adapters.get(name)
    if found is None:
        raise UsageError(
            f"there is no adapter {name!r}", hint=f"{did_you_mean(name, adapters)}see: healthsync adapter list"
        )
    return found


def _mapping(adapter: Adapter) -> Mapping:
    if adapter.mapping is None:
        capability = adapter.capability
        raise UnavailableError(capability.reason or f"{capability.title} has no answers to map", hint=capability.hint)
    return adapter.mapping


def _described(adapter: Adapter) -> dict[str, Any]:
    capability = adapter.capability
    shown: dict[str, Any] = {
        "name": capability.name,
        "title": capability.title,
        "auth": capability.auth.value,
        "delivery": sorted(each.value for each in capability.delivery),
        "types": list(adapter.types),
        "state": capability.state.value,
    }
    if capability.reason:
        shown["reason"] = capability.reason
    if capability.hint:
        shown["hint"] = capability.hint
    return shown
