"""healthsync subscriber rewind"""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, moment, now_us
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import NotFoundError, UnavailableError
from healthsync_mqtt.model.start_position import FromTime
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.subscriber_start import place

_CURSOR: Final = "subscriber:"
_NOW: Final = "now"
_START: Final = frozenset({"start", "earliest"})


def rewind(
    name: Annotated[str, typer.Argument(help="The subscriber's name.", autocompletion=completion.subscribers)],
    *,
    to: Annotated[
        str,
        typer.Option(
            help="now, start, the seq of the first event that it is to get, or when that came in: a time, or an age"
            " such as 7d. The seq is that of `events list`; the one in a message is another, of its user's own events.",
            autocompletion=completion.log_places,
        ),
    ],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Let a subscriber begin elsewhere in the log. One that is connected gets what follows at once.

    Example: healthsync subscriber rewind dashboard --to 7d
    """
    where = DataDirectory(data)
    with where.registry() as registry:
        registry.subscriber(name)
    log = where.log()
    if log is None:
        raise NotFoundError("there are no events yet", hint="start the service: healthsync up")
    with log:
        seq = _before(log, to)
    try:
        set_to = call(where.path, "rewind", client_id=name, seq=seq)
    except UnavailableError:  # no service: the subscriber goes on there when it comes back
        set_to = {"place": _write(where.path, name, seq), "connected": False, "fed": False}
    where.audit("subscriber.rewound", name=name, to=to, seq=set_to["place"] + 1)
    shown: dict[str, Any] = {"name": name, "next_seq": set_to["place"] + 1}
    shown |= {"connected": set_to["connected"], "fed": set_to["fed"]}
    if set_to["fed"]:
        when = "at once"
    elif set_to["connected"]:
        when = f"when it subscribes to events: no filter that it has brings any (healthsync subscriber why {name})"
    else:
        when = "when it comes back"
    output.told(shown, f"{name} gets what follows from seq {shown['next_seq']} on, {when}", as_json=json)


def _before(log: LogReader, to: str) -> int | None:
    """The place before the first event that is wanted; None: the end of the log, wherever that is then."""
    if to == _NOW:
        return None
    if to in _START:
        return 0
    if to.isascii() and to.isdigit():
        return max(0, int(to[:18]) - 1)
    return place(FromTime(moment(to, now_us())), log, log.head(), None)


def _write(data: Path, name: str, seq: int | None) -> int:
    with open_log(data) as log:
        found = log.head() if seq is None else min(seq, log.head())
        log.set_cursor(_CURSOR + name, found)
        log.commit()
    return found
