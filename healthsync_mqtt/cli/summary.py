"""healthsync summary …"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, moment, now_us
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import NotFoundError, UnavailableError, UsageError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.summaries.day import day_dict, day_number
from healthsync_mqtt.summaries.file import MOST_MOMENTS, SummaryFile
from healthsync_mqtt.summaries.part import DAY_US

_COLUMNS: Final = ("DAY", "TYPE", "FIGURES", "SOURCES")
_LAST: Final = 10_000_000


def summary(
    *,
    user: Annotated[str, typer.Option(help="Whose days.", autocompletion=completion.users)],
    day: Annotated[str | None, typer.Option(help="One local day: 2026-11-23. Default: the newest.")] = None,
    since: Annotated[str | None, typer.Option(help="All days from this one on: a date, or an age such as 7d.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """What a user's local days come to: totals over all devices, statistics, the night that ended on the day.

    Example: healthsync summary --user alice --day 2026-11-23
    """
    if day is not None and since is not None:
        raise UsageError("--day is one day, --since are several", hint="leave one of them out")
    place = DataDirectory(data)
    place.expect_user(user)
    place.audit("summary.shown", user=user, day=day, since=since)
    file = SummaryFile.read(DataPaths(root=data).summaries_db)
    days: list[dict[str, Any]] = []
    if file is not None:
        try:
            first, last = _span(file, user, day, since)
            found = file.days(user, first, last)
            days = [day_dict(each, found[each], user=user) for each in sorted(found)]
            _say_behind(place, file)
        finally:
            file.close()
    if day is not None and not days:
        raise NotFoundError(
            f"there is nothing of {user} on {day}",
            hint=f"see what there is: healthsync summary --user {user} --since 30d",
        )
    if json:
        for each in days:
            output.emit(each)
    else:
        output.table(_COLUMNS, _rows(days), empty=f"nothing of {user} has been summed up yet", paged=True)


def _span(file: SummaryFile, user: str, day: str | None, since: str | None) -> tuple[int, int]:
    if day is not None:
        try:
            number = day_number(day)
        except ValueError:
            raise UsageError(f"{day!r} is not a date", hint="write it like 2026-11-23") from None
        return number, number
    if since is not None:
        return moment(since, now_us()) // DAY_US, _LAST
    newest = file.newest_day(user)
    return (0, -1) if newest is None else (newest, newest)


def _say_behind(place: DataDirectory, file: SummaryFile) -> None:
    log = place.log()
    if log is None:
        return
    with log:
        behind = log.head() - file.seq if file.epoch == log.epoch else log.head()
    if behind <= 0 and not file.waiting:
        return
    what = f"{behind} events are not summed up yet" if behind > 0 else "days that were touched are not worked out yet"
    try:
        ServiceFile.read(place.path)
    except UnavailableError:
        output.say(f"{what}; a running service does it: healthsync up")
    else:
        output.say(f"{what}; the service is at it, ask again in a while")


def _rows(days: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    for each in days:
        for name, figures in each["types"].items():
            yield each["day"], name, _told(name, figures), ", ".join(figures["sources"])


def _told(type_name: str, figures: Mapping[str, Any]) -> str:
    """``9421 steps``, ``mean 61.2 min 48 max 171 count 840``; the units are in the names."""
    if figures.get("too_large"):
        return f"too large: more than {MOST_MOMENTS} samples, nothing is worked out of them"
    if type_name in CATALOGUE and set(figures) == {type_name, "sources"}:
        return f"{figures[type_name]}"
    return "  ".join(_figure(key, value) for key, value in figures.items() if key != "sources")


def _figure(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"{key} ({'  '.join(f'{name} {said}' for name, said in value.items())})"
    return f"{key} {value}"
