"""healthsync events history, stats: the versions of one event, and how many there are of what."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory, expect
from healthsync_mqtt.cli.options import DATA, Data, Json, chosen, moment, names, now_us, type_name
from healthsync_mqtt.errors import NotFoundError, UsageError
from healthsync_mqtt.model.record import OP_WORDS, Record, admin_dict
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import CountKey

_HISTORY: Final = {
    "seq": "SEQ", "version": "VERSION", "op": "OP", "type": "TYPE", "device_id": "DEVICE", "provider": "PROVIDER",
    "received_at": "RECEIVED", "value": "VALUE",
}  # fmt: skip
_KEYS: Final[Mapping[str, Callable[[CountKey], str]]] = {
    "user": lambda found: found.user,
    "type": lambda found: found.type,
    "device": lambda found: found.device or found.provider or "",
    "day": lambda found: iso(found.day * 86_400_000_000)[:10],
}


def history(
    event: Annotated[str, typer.Argument(help="The event's id.")],
    *,
    user: Annotated[str, typer.Option(help="Whose event.", autocompletion=completion.users)],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Show the versions of one event, oldest first, and which delivery brought each: from whom, and when it came in.

    Example: healthsync events history hr-1841 --user alice
    """
    place = DataDirectory(data)
    expect(place, user)
    log = place.log()
    rows: list[Record] = []
    if log is not None:
        with log:
            newest = log.find(user, event)
            if newest is not None:
                rows = [*log.superseded_by(newest.seq, newest.seq).get(newest.seq, []), newest]
    if not rows:
        raise NotFoundError(f"there is no event {event} of {user}", hint=f"healthsync events list --user {user}")
    place.audit("events.shown", user=user, seq=rows[-1].seq)
    output.listing(map(_version, sorted(rows)), _HISTORY, as_json=json, shown={"value": _value})


def _version(record: Record) -> dict[str, Any]:
    purged = not record.body
    value = None if purged or record.op else admin_dict(record)["value"]
    return {
        "seq": record.seq,
        "version": record.version,
        "op": OP_WORDS[record.op],
        "type": record.type,
        "start_time": None if record.op and not record.start_us else iso(record.start_us),
        "device_id": record.device,
        "provider": record.provider,
        "received_at": iso(record.received_us),
        "purged": purged,
        "value": value,
    }


def _value(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def stats(
    *,
    by: Annotated[str, typer.Option(help="A list of user, type, device, day (UTC).")] = "user,type",
    user: Annotated[str | None, typer.Option(help="Only this user's.", autocompletion=completion.users)] = None,
    type: Annotated[  # noqa: A002  # named like the field
        str | None, typer.Option(help="Only this type (aliases too).", autocompletion=completion.types)
    ] = None,
    device: Annotated[str | None, typer.Option(help="Only this device's.", autocompletion=completion.devices)] = None,
    since: Annotated[str | None, typer.Option(help="Started at or after: a time, a date or an age.")] = None,
    until: Annotated[str | None, typer.Option(help="Started before: a time, a date or an age.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Count events, without what newer versions replaced and without deletions.

    Example: healthsync events stats --user alice --by type,day --since 7d
    """
    keys = names(by)
    if not keys or any(key not in _KEYS for key in keys):
        raise UsageError(f"{by!r} is not what events are counted by", hint="a list of user, type, device, day")
    now = now_us()
    since_us = None if since is None else moment(since, now)
    choice = chosen(until, device, None, None, None, None, now)
    wanted = None if type is None else type_name(type)
    place = DataDirectory(data)
    expect(place, user, device)
    place.audit("events.counted", user=user, device=device, type=wanted, since=since, until=until, by=by)
    found: Counter[tuple[str, ...]] = Counter()
    log = place.log()
    empty = "no events yet; start the service: healthsync up"
    if log is not None:
        with log:
            if log.head():
                empty = "no such events"
            counted = log.counts(
                user=user, type=wanted, device=device, since_us=since_us, until_us=choice.until_us, days="day" in keys
            )
        for each, number in counted.items():
            found[tuple(_KEYS[key](each) for key in keys)] += number
    rows = [dict(zip(keys, key, strict=True)) | {"events": number} for key, number in sorted(found.items())]
    columns = {key: key.upper() for key in keys} | {"events": "EVENTS"}
    output.listing(rows, columns, as_json=json, empty=empty)
