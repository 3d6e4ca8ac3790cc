"""Options that every command shares, and how their values are read."""

import getpass
import os
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from healthsync_mqtt.cli.spelling import Spelling, as_owner, asked_by, here, program
from healthsync_mqtt.config.names import did_you_mean, nearest
from healthsync_mqtt.errors import ConfigError, UsageError
from healthsync_mqtt.identity.people.names import ALL, EVERY
from healthsync_mqtt.model.catalogue import CATALOGUE, resolve
from healthsync_mqtt.model.choice import Choice, Contents, ValueRange
from healthsync_mqtt.model.event_type import Sensitivity
from healthsync_mqtt.model.times import iso, micros


def own_data(context: typer.Context, data: Path) -> Path:
    """A data directory that is there, and ours: see ``refuse_another_account``.

    Where nobody named one and the usual one is not there, there is nothing yet, which is no error.
    """
    refuse_another_account(data)
    spell_for(context, data)
    refuse_near_miss(data)
    if _typed(context) and not is_data(data):
        made = f"a new one is made by: healthsync up --data {data}"
        raise UsageError(f"{data} is no data directory", hint=f"look at its spelling; {made}")
    return data


def fresh_data(context: typer.Context, data: Path) -> Path:
    """A data directory of ours, which may begin here, unless another one was meant."""
    refuse_another_account(data)
    return any_data(context, data)


def any_data(context: typer.Context, data: Path) -> Path:
    """The same, whose ever it is; from here on texts name commands as they are typed on it."""
    spell_for(context, data)
    refuse_near_miss(data)
    return data


def new_data(context: typer.Context, data: str | None) -> str | None:
    """A directory that need not exist, but must not be another account's."""
    refuse_another_account(Path(data or DATA))
    spell_for(context, Path(data or DATA))
    return data


def refuse_another_account(data: Path) -> None:
    """ConfigError, with the command line that works, when another account has the directory.

    The superuser is no exception: what root makes there, the service's account could not read.
    """
    owner = _owner(data)
    if owner is not None and owner.st_uid != os.geteuid():
        here.set(Spelling())
        raise ConfigError(f"{data} belongs to another account", hint=as_owner(owner, data))


def spell_for(context: typer.Context, data: Path) -> None:
    """Let texts name commands as they are typed here, on this directory."""
    directory.set(data)
    here.set(Spelling(account=asked_by(), program=program(), data=str(data) if _typed(context) else ""))


def _typed(context: typer.Context) -> bool:
    """Whether somebody wrote --data."""
    source = context.get_parameter_source("data")
    return source is not None and source.name == "COMMANDLINE"


def _owner(data: Path) -> os.stat_result | None:
    """Whose the directory is, or the nearest one above it that can be looked at; None for a new one."""
    try:
        return data.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return next(parent.stat() for parent in data.absolute().parents if os.access(parent, os.X_OK))


def is_data(data: Path) -> bool:
    """Whether something of ours is in it: enough for what is to be read there.

    A certificate alone is not: clients have it, and a checkout.
    """
    return any((data / name).exists() for name in _OURS) or any(data.glob("certs/*.key"))


def refuse_near_miss(data: Path) -> None:
    """UsageError when there is none and a data directory of nearly this name, or in this one, is there."""
    if (data / "registry.db").exists() or (data / "events.db").exists():
        return
    meant = _nearest_data(data)
    if meant is None or (data.exists() and meant.parent != data):
        return
    raise UsageError(
        f"{data} is no data directory",
        hint=f"--data {meant}; a new one is made by: healthsync up --data {data}",
    )


def _nearest_data(data: Path) -> Path | None:
    """The data directory that was meant perhaps: one in it, or one beside it with nearly its name."""
    try:
        if (data / "data" / "registry.db").exists():
            return data / "data"
        beside = {each.parent.name: each.parent for each in data.parent.glob("*/registry.db")}
    except OSError:
        return None
    meant = nearest(data.name, beside)
    return None if meant is None else beside[meant]


Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="HEALTHSYNC_DATA",
        help="The data directory.",
        show_default="./data",
        callback=own_data,
        is_eager=True,
    ),
]
FreshData = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="HEALTHSYNC_DATA",
        help="The data directory.",
        show_default="./data",
        callback=fresh_data,
        is_eager=True,
    ),
]
"""For a command with which one may begin, or which needs nothing there."""
AnyData = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="HEALTHSYNC_DATA",
        help="The data directory.",
        show_default="./data",
        callback=any_data,
        is_eager=True,
    ),
]
"""For a command that writes nothing there, or does it as the directory's own account."""
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, one object a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many, the newest; they are listed oldest first.")]
"""One meaning wherever there is a list."""
DATA = Path("data")
directory: ContextVar[Path] = ContextVar("directory", default=DATA)
"""The data directory of the running command."""

_OURS = ("registry.db", "events.db", "audit.db", "healthsync.toml", "keys", "sinks", "credentials")
_RELATIVE = re.compile(r"(\d{1,6})([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def now_us() -> int:
    """The wall clock in microseconds since the epoch."""
    return time.time_ns() // 1000


def moment(text: str, now: int) -> int:
    """Microseconds since the epoch of an RFC 3339 time, a date (UTC), or an age such as 90s, 15m, 24h, 7d, 2w."""
    if relative := _RELATIVE.fullmatch(text):
        return now - int(relative[1]) * _UNIT_S[relative[2]] * 1_000_000
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time", hint="write 2026-11-23T06:00:00Z, 2026-11-23, or 24h") from None
    if when.tzinfo is None:
        if len(text) > len("2026-11-23"):
            raise UsageError(f"{text!r} has no offset", hint=f"write {text}Z for UTC")
        when = when.replace(tzinfo=UTC)
    return micros(when)


def later(text: str, now: int) -> int:
    """Microseconds since the epoch of a time, or of a span from now on such as 24h or 365d."""
    if relative := _RELATIVE.fullmatch(text):
        return now + int(relative[1]) * _UNIT_S[relative[2]] * 1_000_000
    return moment(text, now)


def operator() -> str:
    """Who runs this command, as records name them."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"os:{os.geteuid()}"  # an account without a name, as containers have


def seconds(text: str) -> float:
    """Seconds of a duration such as 90s, 15m or 24h."""
    if match := _RELATIVE.fullmatch(text):
        return float(int(match[1]) * _UNIT_S[match[2]])
    raise UsageError(f"{text!r} is not a duration", hint="write a number and a unit: 90s, 15m, 24h, 7d")


_BUCKETS = {"minute": 60, "hour": 3_600, "day": 86_400}
_LONGEST_BUCKET_S = 31 * 86_400


def bucket_s(text: str | None) -> int | None:
    """Seconds of a bucket: minute, hour, day, or a duration such as 15m."""
    if text is None:
        return None
    found = _BUCKETS.get(text) or int(seconds(text))
    if not 1 <= found <= _LONGEST_BUCKET_S:
        raise UsageError(f"{text!r} is no length of a bucket", hint="minute, hour, day, or 1s to 31d")
    return found


def unit_name(text: str | None) -> str | None:
    """A unit that some number can come in."""
    from healthsync_mqtt.formats.reading.amount import declarable_units

    if text is not None and text not in (known := declarable_units()):
        hint = f"{did_you_mean(text, known)}see the units of a type: healthsync type show weight"
        raise UsageError(f"no number here is ever in {text!r}", hint=hint)
    return text


def slot_name(text: str | None) -> str | None:
    """A slot, or several with commas."""
    if text is not None and not all(each.strip() for each in text.split(",")):
        raise UsageError("a slot has no name", hint="write what the gadget calls the user: 2, or ann")
    return text


_SIZE = re.compile(r"(\d{1,9})(KB|MB|)", re.IGNORECASE)
_SIZES = {"": 1, "KB": 1_024, "MB": 1_048_576}
_LEAST, _MOST = 1_024, 268_435_455


def message_bytes(text: str | None) -> int | None:
    """Bytes of a message: a number, or with KB or MB behind it (of 1,024 each)."""
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    size = int(match[1]) * _SIZES[match[2].upper()] if match else 0
    if not _LEAST <= size <= _MOST:
        raise UsageError(f"{text!r} is no length of a message", hint="1KB to 255MB, such as 60MB")
    return size


def zone_name(text: str | None) -> str | None:
    """The name of a time zone that there is."""
    if text is None:
        return None
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise UsageError(f"there is no zone {text!r}", hint="write it as in Europe/Berlin, or UTC") from None
    return text


def type_name(text: str) -> str:
    """The canonical name of a type or alias."""
    found = resolve(text)
    if found is None:
        known = [name for each in CATALOGUE.values() for name in (each.name, *each.aliases)]
        raise UsageError(f"there is no type {text!r}", hint=f"{did_you_mean(text, known)}see: healthsync type list")
    return found.name


_CLASSES = frozenset(each.value for each in Sensitivity) - {Sensitivity.GENERAL.value}


def names(text: str) -> list[str]:
    """The names in a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def type_names(text: str) -> str | list[str]:
    """A comma-separated list of types by their canonical names; ``all`` or ``*`` stays a word.

    A class of sensitivity names all types of it.
    """
    if text in ALL:
        return EVERY
    found: set[str] = set()
    for name in names(text):
        if name in ALL:
            found.add(EVERY)
        elif name in _CLASSES:
            found |= {each.name for each in CATALOGUE.values() if each.sensitivity.value == name}
        else:
            found.add(type_name(name))
    return sorted(found)


def date_of(text: str | None, now: int) -> datetime:
    """Midnight UTC of a date; without one, of yesterday: its whole day has passed everywhere."""
    if text is None:
        return datetime.fromisoformat(iso(now - 86_400_000_000)[:10]).replace(tzinfo=UTC)
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{text!r} is not a date", hint="write it like 2026-11-22") from None


def chosen(  # noqa: PLR0917  # one an option
    until: str | None,
    device: str | None,
    provider: str | None,
    app: str | None,
    value: str | None,
    version: int | None,
    now: int,
) -> Choice:
    """Which events the options of a list of events ask for."""
    found = None if value is None else ValueRange.of(value)
    if value is not None and found is None:
        raise UsageError(f"{value!r} is no range of numbers", hint="write it like bpm:100..180, bpm:100.. or ..50")
    contents = Contents(provider=provider, app=app, value=found)
    return Choice(
        until_us=None if until is None else moment(until, now),
        device=device,
        version=version,
        contents=None if contents == Contents() else contents,
    )
