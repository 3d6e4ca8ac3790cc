"""What measured for a user, in the order in which it counts, as it is told."""

from pathlib import Path

import msgspec

from healthsync_mqtt.model.times import iso
from healthsync_mqtt.summaries.file import SummaryFile


class SourceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A source; ``place`` is the user's own order, null where it has none."""

    place: int | None
    source: str
    events: int
    types: int
    last: str | None


def described_sources(summaries: Path, user: str, preferred: tuple[str, ...]) -> list[SourceLine]:
    """The preferred ones first; the others as the file of days has them."""
    file = SummaryFile.read(summaries)
    found = []
    if file is not None:
        found = file.sources(user)
        file.close()
    known = {each.name: each for each in found}
    order = {name: number for number, name in enumerate(preferred, 1)}
    names = [*preferred, *(name for name in known if name not in order)]
    return [
        SourceLine(
            place=order.get(name),
            source=name,
            events=known[name].events if name in known else 0,
            types=known[name].types if name in known else 0,
            last=iso(known[name].last_us) if name in known else None,
        )
        for name in names
    ]
