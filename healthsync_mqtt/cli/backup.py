"""healthsync backup …, healthsync restore"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.backup.creation import MadeBackup, make_backup
from healthsync_mqtt.backup.erasures import begin_again, ledger_of
from healthsync_mqtt.backup.keyfile import read_keys, write_keys
from healthsync_mqtt.backup.manifest import BackupSet
from healthsync_mqtt.backup.place import BackupDirectory, BackupSource, misplaced, open_backup, pack
from healthsync_mqtt.backup.restoration import restore as put_back
from healthsync_mqtt.backup.verification import check
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import newest
from healthsync_mqtt.cli.options import DATA, AnyData, Data, Json, Limit, new_data, now_us
from healthsync_mqtt.cli.storage import accept_restored
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import NotFoundError, UsageError
from healthsync_mqtt.keys.opening import users_with_keys
from healthsync_mqtt.sinks.persons import ask_again, named_in

app = new_group("Copies of the data directory, made while the service runs, and put back.")

Place = Annotated[Path, typer.Argument(help="A directory of backups, or a file that ends in .tar.", show_default=False)]
Set = Annotated[str | None, typer.Option("--set", help="One set of it.", show_default="the newest")]
_FILE = ".tar"


@app.command("create")
def create(
    place: Place,
    keys: Annotated[
        Path | None,
        typer.Option(help="Also write the keys into this file. Keep it apart: with both, everything can be read."),
    ] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Add a set to a directory of backups, or write one file; the service goes on. Only what is new is copied.

    Example: healthsync backup create /mnt/backup/healthsync --keys /mnt/safe/keys.tar
    """
    began = time.monotonic()
    _refuse_inside(data, place, keys)
    whole = place.suffix == _FILE or place.is_file()
    made = _create_file(data, place) if whole else _create(data, BackupDirectory.make(place))
    if keys is not None:
        write_keys(data, keys, now_us())
    DataDirectory(data).audit("backup.created", set=made.made.id, keys=keys is not None)
    shown = _described(made.made) | {
        "backup": str(place),
        "copied_bytes": made.copied,
        "keys": None if keys is None else str(keys),
        "verified": True,
        "seconds": round(time.monotonic() - began, 3),
    }
    if json:
        output.emit(shown)
        return
    output.facts([
        ("set", made.made.id),
        ("events", 0 if made.made.log is None else made.made.log.head),
        ("bytes", f"{made.made.size} ({made.copied} new)"),
        ("keys", "not in it; write them apart with --keys FILE" if keys is None else str(keys)),
    ])  # fmt: skip
    if keys is not None:
        output.say(f"written and read back; put it back with: healthsync restore {place} --data NEW --keys {keys}")
    elif DataPaths(root=data).keys_db.exists():
        output.say("written and read back; it is sealed, and of no use without its keys: write them with --keys FILE")
    else:
        output.say(f"written and read back; put it back with: healthsync restore {place} --data NEW")


@app.command("verify")
def verify(place: Place, which: Set = None, data: AnyData = DATA, json: Json = False) -> None:  # noqa: ARG001
    """Read every set of a backup, or one, and compare it with its manifest. Exit code 1: something is not as it was.

    Example: healthsync backup verify /mnt/backup/healthsync
    """
    source = open_backup(place)
    found = check(source, source.ids() if which is None else [which])
    output.told(
        {"backup": str(place), "sound": True, "sets": found.sets, "pieces": found.pieces, "bytes": found.size},
        f"sound: {found.sets} sets, {found.size} bytes read",
        as_json=json,
    )


@app.command("list")
def list_sets(place: Place, limit: Limit = None, data: AnyData = DATA, json: Json = False) -> None:  # noqa: ARG001
    """List the sets of a backup, oldest first.

    Example: healthsync backup list /mnt/backup/healthsync
    """
    source = open_backup(place)
    output.listing(
        [_described(source.read_set(name)) for name in newest(source.ids(), limit)],
        {"set": "SET", "made_at": "MADE", "events": "EVENTS", "bytes": "BYTES", "version": "VERSION"},
        as_json=json,
        empty=f"no sets yet; make one: healthsync backup create {place}",
    )


def restore(
    place: Place,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            envvar="HEALTHSYNC_DATA",
            help="Where to: a new directory, or an empty one.",
            show_default="./data",
            callback=new_data,
            is_eager=True,
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="The file of keys; without it clients need new certificates and tokens.")
    ] = None,
    which: Set = None,
    erasures: Annotated[
        list[Path] | None, typer.Option(help="Another ledger of erasures, beside the one of the backup.")
    ] = None,
    json: Json = False,
) -> None:
    """Put a set of a backup into a new directory. Its log has a new epoch: devices send their last 72 hours again.

    Example: healthsync restore /mnt/backup/healthsync --data /var/lib/healthsync --keys /mnt/safe/keys.tar
    """
    source = open_backup(place)
    kept = source.read_set(which or _newest(source, place))
    target = Path(data or DATA)
    people = 0
    entries = ledger_of(place, erasures or ())

    def end(staging: Path) -> None:
        nonlocal people
        finish(staging)
        with DataDirectory(staging).registry() as registry:
            ask_again(staging, registry.erasures.errands())
            named = users_with_keys(staging) | named_in(staging) if entries else ()
            people = begin_again(staging, registry, named, entries, now_us())

    put_back(source, kept, target, keys=None if keys is None else read_keys(keys), finish=end)
    shown = _described(kept) | {"data": str(target), "keys": keys is not None, "to_erase": people}
    if json:
        output.emit(shown)
        return
    output.facts([("set", kept.id), ("made", kept.made_at), ("events", shown["events"]), ("data", str(target))])
    if keys is None:
        output.say("without keys: the next start makes new ones; devices enrol again, and trust the new ca.crt")
    if people:
        output.say(f"{people} people were erased since: the start erases them again before anybody is served")
    output.say(f"start it: healthsync up --data {target}")


def finish(staging: Path) -> None:
    """What was put back is another log from now on, and the audit log says so."""
    place = DataDirectory(staging)
    if (staging / "events.db").exists():
        accept_restored(place)
    else:
        place.audit("storage.restored", rows=0)


def _create(data: Path, directory: BackupDirectory) -> MadeBackup:
    return make_backup(data, directory, now_us=now_us(), topics_file=load_settings(data).topics_file)


def _create_file(data: Path, place: Path) -> MadeBackup:
    """A directory beside it that is packed then."""
    if not place.parent.is_dir():
        raise NotFoundError(f"{place.parent} is missing", hint="make the directory, or name another one")
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        directory = BackupDirectory.make(folder)
        made = _create(data, directory)
        pack(directory, place)
    finally:
        shutil.rmtree(folder)
    return made


def _refuse_inside(data: Path, place: Path, keys: Path | None) -> None:
    wrong = misplaced(data, place, keys)
    if wrong is not None:
        raise UsageError(wrong.message, hint=wrong.hint)


def _newest(source: BackupSource, place: Path) -> str:
    names = source.ids()
    if not names:
        raise NotFoundError(f"there is no set in {place}", hint=f"make one: healthsync backup create {place}")
    return names[-1]


def _described(kept: BackupSet) -> dict[str, Any]:
    return {
        "set": kept.id,
        "made_at": kept.made_at,
        "events": 0 if kept.log is None else kept.log.head,
        "epoch": "" if kept.log is None else kept.log.epoch,
        "files": len(kept.files),
        "bytes": kept.size,
        "version": kept.program,
    }
