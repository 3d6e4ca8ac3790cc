"""healthsync insight …"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import newest
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit, moment, now_us
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import NotFoundError, UsageError
from healthsync_mqtt.insights.catalogue import FOLDER, known
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.insights.wording import KIND as REPORT
from healthsync_mqtt.insights.worker import InsightWorker
from healthsync_mqtt.summaries.day import date_text, day_number
from healthsync_mqtt.summaries.part import DAY_US

app = new_group("What users' recent days tell: unusual days, trends, gaps; no diagnosis.")

User = Annotated[str, typer.Option(help="Whose.", autocompletion=completion.users)]
Kind = Annotated[str | None, typer.Option(help="Of one kind only.", autocompletion=completion.insight_kinds)]
_COLUMNS: Final = {"day": "DAY", "kind": "KIND", "sentence": "SENTENCE"}
_KINDS: Final = {"kind": "KIND", "title": "TITLE", "days": "DAYS", "types": "TYPES", "problem": "PROBLEM"}
_LAST: Final = 10_000_000
_NOTHING: Final = "nothing was found; a running service looks at days when somebody has seven of them"


@app.command("list")
def list_insights(
    *,
    user: User,
    since: Annotated[str, typer.Option(help="From this day on: a date, or an age such as 7d.")] = "90d",
    kind: Kind = None,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List what was found of a user's days, the oldest first.

    Example: healthsync insight list --user alice --since 30d
    """
    place = DataDirectory(data)
    place.expect_user(user)
    _expect_kind(place, kind)
    first = moment(since, now_us()) // DAY_US
    place.audit("insights.listed", user=user, kind=kind)
    found = [each for each in _between(place, user, first, _LAST) if kind in {None, each["kind"]}]
    output.listing(newest(found, limit), _COLUMNS, as_json=json, empty=_NOTHING)


@app.command("show")
def show(*, user: User, kind: Kind = None, data: Data = DATA, json: Json = False) -> None:
    """Show the newest finding of each kind, with what it rests on.

    Example: healthsync insight show --user alice --kind baseline
    """
    place = DataDirectory(data)
    place.expect_user(user)
    _expect_kind(place, kind)
    place.audit("insights.shown", user=user, kind=kind)
    found = list(_newest(place, user, kind))
    if json:
        for each in found:
            output.emit(each)
        return
    for each in found:
        for event in each["findings"]:
            output.facts(_facts(event))
    if not found:
        output.say(_NOTHING)


@app.command("run")
def run(
    *,
    user: User,
    day: Annotated[str, typer.Option(help="The local day: 2026-11-23.")],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Look at one day of a user again, now; what is found takes the place of what was.

    Example: healthsync insight run --user alice --day 2026-11-23
    """
    try:
        number = day_number(day)
    except ValueError:
        raise UsageError(f"{day!r} is not a date", hint="write it like 2026-11-23") from None
    place = DataDirectory(data)
    place.expect_user(user)
    if not DataPaths(root=place.path).summaries_db.exists():
        raise NotFoundError("no day has been summed up yet", hint="a running service does it: healthsync up")
    place.audit("insights.run", user=user, day=day)
    worker = InsightWorker(DataPaths(root=place.path), now_us=now_us)
    try:
        worker.run(user, number)
    finally:
        worker.close()
    output.listing(
        _between(place, user, number, number), _COLUMNS, as_json=json, empty=f"nothing was found on {date_text(number)}"
    )


@app.command("kinds")
def kinds(*, data: Data = DATA, json: Json = False) -> None:
    """List the kinds of insights, and modules that could not be loaded.

    Example: healthsync insight kinds
    """
    place = DataDirectory(data)
    found = known(place.path / FOLDER)
    rows: list[dict[str, Any]] = [
        {
            "kind": each.kind,
            "title": each.capability.title,
            "days": each.capability.days,
            "types": sorted(each.capability.reads),
            "problem": None,
        }
        for each in found.insights.values()
    ]
    rows += [
        {"kind": each.where, "title": None, "days": None, "types": [], "problem": each.why} for each in found.broken
    ]
    output.listing(rows, _KINDS, as_json=json)


def _expect_kind(place: DataDirectory, kind: str | None) -> None:
    if kind is not None and kind not in (names := {*known(place.path / FOLDER).insights, REPORT}):
        raise NotFoundError(
            f"there is no kind {kind}", hint=f"{did_you_mean(kind, names)}see: healthsync insight kinds"
        )


def _between(place: DataDirectory, user: str, first: int, last: int) -> list[dict[str, Any]]:
    file = InsightFile.read(DataPaths(root=place.path).insights_db)
    if file is None:
        return []
    with file:
        return file.between(user, first, last)


def _newest(place: DataDirectory, user: str, kind: str | None) -> Iterator[dict[str, Any]]:
    file = InsightFile.read(DataPaths(root=place.path).insights_db)
    if file is None:
        return
    with file:
        for each in file.kinds(user):
            if kind not in {None, each}:
                continue
            found = [kept.event for kept in file.newest(user, each)]
            day = found[0]["day"]
            yield {"user_id": user, "kind": each, "day": day, "findings": [one for one in found if one["day"] == day]}


def _facts(event: dict[str, Any]) -> list[tuple[str, object]]:
    basis = event["rests_on"]
    figures = "  ".join(f"{name} {said}" for name, said in event["figures"].items())
    rests_on = (
        f"{', '.join(basis['types'])}: {basis['days']} days, {basis['readings']} readings,"
        f" {basis['from']} to {basis['to']}"
    )
    return [
        ("kind", event["kind"]),
        ("day", event["day"]),
        ("found", event["sentence"]),
        ("figures", figures),
        ("rests on", rests_on),
    ]
