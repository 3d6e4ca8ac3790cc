"""Apple Health's export: ``export.xml``, alone or in its zip with routes and electrocardiograms, read as a stream.

3 GB are read in the memory of a few hundred kilobytes; what that costs is in ``scripts/bench``.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Final

from healthsync_mqtt.imports.apple import names
from healthsync_mqtt.imports.apple.composites import Gathered, Twins
from healthsync_mqtt.imports.apple.ecg import is_ecg, read_ecg
from healthsync_mqtt.imports.apple.markup import BrokenElement, Element, runs
from healthsync_mqtt.imports.apple.records import AppleRecords, refused
from healthsync_mqtt.imports.apple.workouts import AppleWorkouts
from healthsync_mqtt.imports.port import Item, LeftOut, PassedOver, Read, Reading, Whose
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import Reason, RefusedError

_ROOT: Final = b"<HealthData"
_OTHERS: Final[dict[str, tuple[Reason | PassedOver, str]]] = {
    "ActivitySummary": (PassedOver.SUMMARY, "rings of a day"),
    "ClinicalRecord": (PassedOver.OTHER_FILE, "records of a clinic, which are files of FHIR"),
    "Audiogram": (Reason.UNKNOWN_TYPE, "an audiogram, which has no type here"),
    "VisionPrescription": (Reason.UNKNOWN_TYPE, "a prescription, which has no type here"),
}


class AppleHealth:
    """The export of the app Health (``port.Archive``)."""

    name = "apple_health"
    summary = "Apple Health: export.zip or export.xml, with workout routes and ECGs"

    def recognises(self, member: Member, head: bytes) -> bool:
        """The root element of an export, or an electrocardiogram's first lines. Routes are read with their workouts."""
        if _ROOT in head and b"<ClinicalDocument" not in head:
            return True
        return is_ecg(head) or (member.name.endswith(".gpx") and "workout-routes/" in member.name)

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """The exports first, then the electrocardiograms."""
        routes: set[str] = set()
        for member in members:
            if member.name.endswith(".gpx"):
                continue
            if is_ecg(member.head()):
                yield read_ecg(member, whose.user)
            else:
                yield from _export(member, whose, routes)
        for member in members:
            if member.name.endswith(".gpx") and member.name not in routes:
                yield LeftOut(PassedOver.OTHER_FILE, member.shown, "a route that no workout names")


def _export(member: Member, whose: Whose, routes: set[str]) -> Iterator[Item]:
    twins = Twins()
    records = AppleRecords(whose.user)
    gathered = Gathered(whose.user, records)
    workouts = AppleWorkouts(whose.user, records)
    beside: Counter[str] = Counter()
    shown = member.shown
    quantities, event, new = names.QUANTITIES, records.event, tuple.__new__
    try:
        with member.open() as file:
            twins.look(file)
        with member.open() as file:
            for number, found in enumerate(chain.from_iterable(runs(file)), 1):
                place = f"{shown}: element {number}"
                if isinstance(found, BrokenElement):
                    yield LeftOut(PassedOver.DAMAGED, f"{shown}: {found.place}", found.text)
                elif found[0] == "Record":  # nearly all are: what is not called for them is a tenth of the time
                    try:
                        if found[1]["type"] in quantities:
                            item: Item | None = new(Read, (event(found[1], found[2]), place))
                        else:
                            item = _of_others(found, place, twins, gathered, records)
                    except (RefusedError, KeyError, ValueError) as error:
                        item = refused(error, place)
                    if item is not None:
                        yield item
                elif found.name == "Correlation":
                    yield from gathered.correlation(found, place)
                elif found.name == "Workout":
                    yield from workouts.read(found, place, member)
                elif found.name in _OTHERS:
                    beside[found.name] += 1
    except UnreadableError as error:
        yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
    routes |= workouts.routes
    yield from gathered.rest()
    for name, count in sorted(beside.items()):
        reason, text = _OTHERS[name]
        yield LeftOut(reason, f"{shown}: {name}", text, count)


def _of_others(found: Element, place: str, twins: Twins, gathered: Gathered, records: AppleRecords) -> Item | None:
    """What becomes of a record that is no quantity: nothing yet where it is part of something that is told in several.

    Raises RefusedError, KeyError, ValueError.
    """
    record = found.attributes
    theirs = record["type"]
    if (theirs in names.NUTRIENTS or theirs in names.PRESSURES) and record in twins:
        return LeftOut(PassedOver.PART_OF_ANOTHER, place, "part of a correlation")
    if theirs in names.NUTRIENTS:
        return Read(gathered.meal(record), place)
    if gathered.take(record):
        return None
    return Read(records.event(record, found.parts), place)
