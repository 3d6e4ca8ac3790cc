"""Every kind of archive, in the order in which they are asked whether something is theirs; and what reads all of it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.imports.apple import AppleHealth
from healthsync_mqtt.imports.documents import FHIR, FITBIT, GOOGLE_FIT, HEALTH_AUTO_EXPORT, OPEN_MHEALTH, WITHINGS
from healthsync_mqtt.imports.fit import FitFiles
from healthsync_mqtt.imports.fitbit_archive import FitbitArchive
from healthsync_mqtt.imports.google_takeout import GoogleFitTakeout
from healthsync_mqtt.imports.health_auto_export_csv import HealthAutoExportTables
from healthsync_mqtt.imports.openscale_csv import OpenscaleTable
from healthsync_mqtt.imports.own_events import OwnEvents
from healthsync_mqtt.imports.port import Archive, Item, LeftOut, PassedOver, Whose
from healthsync_mqtt.imports.source import Member, Moved, members_of
from healthsync_mqtt.imports.withings_csv import WithingsTables

ARCHIVES: Final[tuple[Archive, ...]] = (
    AppleHealth(),
    FitFiles(),
    OwnEvents(),
    OPEN_MHEALTH,
    FHIR,
    HEALTH_AUTO_EXPORT,
    FITBIT,
    GOOGLE_FIT,
    WITHINGS,
    GoogleFitTakeout(),
    FitbitArchive(),
    WithingsTables(),
    HealthAutoExportTables(),
    OpenscaleTable(),
)
_KINDS: Final = ", ".join(each.summary for each in ARCHIVES)


def kind_of(member: Member, head: bytes) -> Archive | None:
    """Whose a member is, by its content."""
    return next((each for each in ARCHIVES if each.recognises(member, head)), None)


def read_all(path: Path, whose: Whose, moved: Moved = lambda _: None) -> Iterator[Item]:
    """All that a file, a folder or an archive holds: kind by kind, each in the order of names.

    Raises InputError for what cannot be read at all, or is nothing that is known here.
    """
    known: dict[str, list[Member]] = {}
    others: list[Member] = []
    with ExitStack() as opened:
        for member, head in members_of(path, opened, moved):
            kind = kind_of(member, head)
            if kind is None:
                others.append(member)
            else:
                known.setdefault(kind.name, []).append(member)
        if not known:
            raise InputError(f"{path.name} is nothing that can be imported", hint=f"what can be: {_KINDS}")
        for archive in ARCHIVES:
            if archive.name in known:
                yield from archive.read(known[archive.name], whose)
        for member in others:
            yield LeftOut(PassedOver.OTHER_FILE, member.shown, "nothing that is read here")


def names() -> Sequence[tuple[str, str]]:
    """Each kind and what it is, for people."""
    return [(each.name, each.summary) for each in ARCHIVES]
