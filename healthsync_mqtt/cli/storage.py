"""healthsync storage …"""

from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, DryRun, FreshData, Json
from healthsync_mqtt.cli.sealed_files import seal_files
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import UnavailableError, UsageError
from healthsync_mqtt.identity.people.opening import migrate_registry, outdated_registry
from healthsync_mqtt.storage.anchor import AnchorComparison
from healthsync_mqtt.storage.crossing import Crossing
from healthsync_mqtt.storage.opening import (
    compare_with_anchor,
    encryption,
    has_log,
    migrate_log,
    open_log,
    readers,
    refuse_shared,
    seal_log,
    server_promise,
    wal_bytes,
)

app = new_group("The event log as files: its state, and whether it is the one that was here.")

_ROWS: Final = 1_000
"""Rows that are sealed with one commit."""

AcceptRestored = Annotated[
    bool,
    typer.Option(
        "--accept-restored", help="Take a log that was put back, and let devices send their last 72 hours again."
    ),
]


@app.callback()
def storage() -> None:
    """The event log as files: its state, and whether it is the one that was here."""


@app.command("status")
def status(data: Data = DATA, json: Json = False) -> None:
    """Say how large the log is, how it is encrypted, and whether its upkeep works.

    Example: healthsync storage status --json
    """
    shown = current(DataDirectory(data))
    if json:
        output.emit(shown)
    else:
        output.facts((name.replace("_", " "), value) for name, value in shown.items())


@app.command("encrypt")
def encrypt(data: Data = DATA, json: Json = False) -> None:
    """Seal the log that is there, each user's events with a key of their own. Nothing that is read changes.

    While the service runs it goes on beside everything else, a part with each commit, and what lies beside the log is
    sealed with it: nothing has to be started anew. Killed anywhere it is called again and goes on. Where the service is
    stopped the file is written anew at the end, so that nothing of before is left in free places of it; after a running
    one do that once: stop it and call this again.

    Example: healthsync storage encrypt
    """
    place = DataDirectory(data)
    refuse_shared(place.path)
    if not has_log(place.path):
        raise UnavailableError(
            "there is no event log yet",
            hint='a new one is sealed unless storage.encryption = "none": healthsync up',
        )
    place.audit("storage.sealing")
    try:
        while left := call(place.path, "seal", within_s=60.0, rows=_ROWS)["left"]:
            _told(left, as_json=json)
        seal_files(place.path, running=True)
        compacted = False
    except UnavailableError:
        seal_log(place.path, _ROWS, partial(_told, as_json=json))
        seal_files(place.path)
        compacted = True
    sealed = encryption(place.path)
    answer = {"encryption": sealed.mode, "plain_rows": sealed.plain_rows, "compacted": compacted}
    output.told(answer, "everything in the event log is sealed", as_json=json)


def _told(left: int, *, as_json: bool) -> None:
    if not as_json:
        output.say(f"{left} left")


class StoreName(StrEnum):
    """Where the log of a data directory can be."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@app.command("copy")
def copy(
    source: Annotated[
        StoreName, typer.Argument(metavar="FROM", help="sqlite: events.db; postgresql: the server of storage.url.")
    ],
    target: Annotated[StoreName, typer.Argument(metavar="TO", help="The other one. It has to be empty.")],
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Store there as it is what is sealed here.")] = False,
    dry_run: DryRun = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Move the event log to PostgreSQL, or back, with all numbers, versions and cursors. Stop the service first.

    Killed anywhere it is called again and goes on. The log keeps its epoch: devices, sinks and readers go on where they
    are. The one that is left is whole, and is refused from then on, so that nothing is acknowledged in two places.

    Example: healthsync storage copy sqlite postgresql --dry-run
    """
    if source is target:
        raise UsageError(
            "a log is copied from one store into the other one", hint="healthsync storage copy sqlite postgresql"
        )
    place = DataDirectory(data)
    crossing = Crossing(place.path, to_server=target is StoreName.POSTGRESQL, plain=plain)
    plan = crossing.plan()
    if dry_run:
        output.told(
            {"state": plan.state.value, "rows": plan.rows, "there": plan.there, "dry_run": True},
            f"{plan.rows} rows would go, {plan.there} of them are there already",
            as_json=json,
        )
        return
    place.audit("storage.copied", source=source.value, target=target.value, rows=plan.rows)
    moved = crossing.run(partial(_copied, rows=plan.rows, as_json=json))
    output.told(
        {"rows": moved.rows, "copied": moved.now, "rejected": moved.refusals, "cursors": moved.cursors},
        f"{moved.rows} rows are there, {moved.now} of them from now; {_NEXT[target]}",
        as_json=json,
    )


_NEXT: Final = {
    StoreName.POSTGRESQL: "next: mv events.db away, then healthsync up",
    StoreName.SQLITE: "next: take storage.url out of the settings, then healthsync up",
}


def _copied(there: int, *, rows: int, as_json: bool) -> None:
    if not as_json:
        output.say(f"{there} of {rows} rows")


@app.command("migrate")
def migrate(data: FreshData = DATA, json: Json = False) -> None:
    """Bring the tables of `storage.url` and `registry.url` to this release, or make them; nothing else is changed.

    Every service does that when it starts. This needs no keys and no data directory, so it can be a job that runs
    before bridges are upgraded. While one of them writes the log, nothing that is to be changed is: exit code 69.

    Example: healthsync storage migrate
    """
    registry = outdated_registry(data)
    log = migrate_log(data, partial(migrate_registry, data) if registry else None)
    changed = [name for name, was in (("log", log), ("registry", registry)) if was]
    words = f"brought to this release: {', '.join(changed)}" if changed else "the tables are those of this release"
    output.told({"changed": changed}, words, as_json=json)


@app.command("restore-check")
def restore_check(data: Data = DATA, json: Json = False) -> None:
    """Say whether the log is the one that was here, or an older, cut or swapped one. Exit code 1: not.

    Example: healthsync storage restore-check
    """
    place = DataDirectory(data)
    seen = compare_with_anchor(place.path)
    if json:
        output.emit(seen._asdict() | {"verdict": seen.verdict.value, "sound": seen.sound})
    else:
        output.facts(
            [
                ("verdict", seen.verdict.value),
                ("log", f"{seen.head} rows, epoch {seen.epoch or '-'}"),
                ("anchor", f"{seen.anchored_head} rows, epoch {seen.anchored_epoch or '-'}"),
            ]
        )
    seen.refuse()


def current(place: DataDirectory) -> dict[str, Any]:
    """The object of ``storage status --json``; what only a running service knows is there while it runs."""
    seen, sealed = compare_with_anchor(place.path), encryption(place.path)
    shown: dict[str, Any] = {
        "encryption": sealed.mode,
        "provider": sealed.provider,
        "data_keys": sealed.users,
        "plain_rows": sealed.plain_rows,
        "users": 0,
        "events": 0,
        "superseded": 0,
        "rejected": 0,
        "epoch": seen.epoch,
        "head": seen.head,
        "anchor": seen.verdict.value,
        "wal_bytes": wal_bytes(place.path),
        "readers": list(readers(place.path)),
    }
    promise = server_promise(place.path)
    if promise is not None:
        shown["server"] = {"bytes": promise.bytes, "promise": promise.words}
    log = place.log()
    if log is not None:
        with log:
            shown |= log.totals()
    try:
        answer = call(place.path, "status")
    except UnavailableError:
        return shown
    return shown | {"service": answer.get("storage", {})}


def accept_restored(place: DataDirectory) -> None:
    """Take the log as it is and give it a new epoch, before a service is started on it.

    The audit log has it before the log does: whoever is killed between the two finds the log refused as before.
    """

    def told(seen: AnchorComparison, epoch: str) -> None:
        place.audit("storage.restored", verdict=seen.verdict.value, epoch=epoch, rows=seen.head)

    open_log(place.path, accept_restored=told).close()
