"""Log and bucket side by side, per user, measurement and day: counts and a checksum, and a repair of what differs.

It finds what no answer tells: a server that said 204 and dropped, a bucket restored from an older copy, points that
somebody deleted or changed.

The service goes on meanwhile, so the order of reading is what makes it true: first how far the sink is, then the
bucket, then the log in one snapshot. What the bucket has by then is in the log, and what the sink had shipped before
must be in the bucket. What came in between may be there, and what it superseded may be there still.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.lineprotocol import UnmappableError, flag
from healthsync_mqtt.sinks.influx.packer import Packer
from healthsync_mqtt.sinks.influx.readback import Readback, StoredField, Value, samples_of
from healthsync_mqtt.storage.port import LogReader

_DAY_NS = 86_400_000_000_000
_PAGE = 2000
#: How far behind the start of a purged event its points may lie, rounded up: a series reaches into later days.
_PURGED_MARGIN_US = 3 * 86_400_000_000
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One user, measurement and day. Counts are samples (one field of one point); lines are for the repair."""

    user: str
    measurement: str
    day: int
    expected: int
    found: int
    checksum_expected: str
    checksum_found: str
    missing: int
    wrong: int
    surplus: int
    write: tuple[Line, ...] = field(repr=False)
    erase: tuple[Line, ...] = field(repr=False)

    @property
    def equal(self) -> bool:
        """Nothing to repair."""
        return not (self.missing or self.wrong or self.surplus)


def checksum(samples: Mapping[StoredField, Value]) -> str:
    """Of a set of samples, in any order: the sum of their hashes."""
    total = 0
    for (series, name, time_ns), value in samples.items():
        text = f"{series} {name} {time_ns} {value!r}".encode()
        total += int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    return f"{total & _MASK:016x}"


class _Log(NamedTuple):
    """Samples that must be in the bucket, samples that may, and the lines they are of."""

    expected: dict[StoredField, Value]
    allowed: dict[StoredField, Value]
    lines: dict[StoredField, Line]


class Reconciliation:
    """Compares as far as ``through``, the sink's cursor; ``refused`` are events whose absence is known.

    Rows that ``permit`` does not cover may be in the bucket, and need not.
    """

    def __init__(
        self,
        reader: LogReader,
        packer: Packer,
        readback: Readback,
        subject: Callable[[str], str],
        *,
        through: Callable[[], int],
        refused: Callable[[], Iterable[int]] = tuple,
        permit: Callable[[Record], bool] = lambda _record: True,
        marks: bool = False,
    ) -> None:
        self._reader = reader
        self._packer = packer
        self._readback = readback
        self._subject = subject
        self._through = through
        self._refused = refused
        self._permit = permit
        self._marks = marks

    def compare(self, user: str, type_name: str, since_us: int | None = None) -> Iterator[Difference]:
        """Each day on which either side has something, from the day of ``since_us`` on; UnavailableError.

        Days whose events may have been purged from the log are left out.
        """
        through = self._through()
        found = {
            (measurement, day): self._readback.read(
                measurement, self._subject(user), day * _DAY_NS, (day + 1) * _DAY_NS
            )
            for measurement, day in self._days(user, type_name, since_us)
        }
        self._packer.refresh()  # a point may have been moved out of another's way meanwhile, before it was sent
        with self._reader.snapshot():
            expected, allowed, lines = self._expected(user, type_name, since_us, through)
            # The bucket has what was purged from the log: it would look like a surplus, and be erased.
            purged_us = self._reader.purged_before(type_name)
        first_ns = self._first_ns(since_us, purged_us)
        for key, samples in found.items():
            if first_ns is None or key[1] * _DAY_NS >= first_ns:
                yield self._difference(user, key, samples, _Log(expected[key], allowed[key], lines[key]))

    def _days(self, user: str, type_name: str, since_us: int | None) -> list[tuple[str, int]]:
        """The measurements and days that the log has points of, those of superseded rows too, in order."""
        with self._reader.snapshot():
            _, _, lines = self._expected(user, type_name, since_us, 0)
            first_ns = self._first_ns(since_us, self._reader.purged_before(type_name))
        measurements = [type_name, *(CATALOGUE[type_name].spread.parts if type_name in CATALOGUE else ())]
        keys = [key for key in lines if first_ns is None or key[1] * _DAY_NS >= first_ns]
        return sorted(keys, key=lambda key: (measurements.index(key[0]), key[1]))

    @staticmethod
    def _first_ns(since_us: int | None, purged_us: int | None) -> int | None:
        """The start of the first day to compare."""
        if purged_us is not None:
            since_us = max(since_us or 0, purged_us + _PURGED_MARGIN_US)
        return None if since_us is None else since_us * 1000 // _DAY_NS * _DAY_NS

    def _expected(self, user: str, type_name: str, since_us: int | None, through: int) -> tuple[Any, Any, Any]:
        """By measurement and day: samples that must be there, samples that may, and the lines they are of."""
        refused = frozenset(self._refused())
        expected: Any = defaultdict(dict)
        allowed: Any = defaultdict(dict)
        lines: Any = defaultdict(dict)
        margin = None if since_us is None else since_us - 2 * _DAY_NS // 1000  # a series reaches into later days
        # Superseded, and by a row that the sink may not have come to: what it had there then.
        standing: dict[str, Record] = {}
        for record, superseded in self._rows(user, type_name, margin):
            if record.seq <= through:
                standing.pop(record.id, None)
            if record.op != Op.UPSERT:
                continue
            if superseded and record.seq <= through:
                standing[record.id] = record
            for key, line in self._lines(record):
                lines[key]  # a day of which nothing is left is looked at too
                if superseded and record.seq <= through:
                    continue
                samples = self._readback.comparable(samples_of(line))
                allowed[key] |= samples
                if superseded or record.seq > through or record.seq in refused or not self._permit(record):
                    continue
                expected[key] |= samples
                lines[key] |= dict.fromkeys(samples, line)
        for record in standing.values():
            for key, line in self._lines(record):
                allowed[key] |= self._readback.comparable(samples_of(line))
        return expected, allowed, lines

    def _lines(self, record: Record) -> Iterator[tuple[tuple[str, int], Line]]:
        """Measurement and day of each line of a row; none of one that cannot be mapped."""
        try:
            made = self._packer.lines(record)
        except UnmappableError:
            return
        for line in made:
            yield (line.series.partition(",")[0], line.time_ns // _DAY_NS), line

    def _rows(self, user: str, type_name: str, since_us: int | None) -> Iterator[tuple[Record, bool]]:
        """All rows in their order, and whether a later one supersedes each."""
        after = 0
        wanted = {"user": user, "type": type_name, "since_us": since_us}
        while rows := self._reader.read(after, _PAGE, history=True, **wanted):  # type: ignore[arg-type]
            last = rows[-1].seq
            latest = {row.seq for row in self._reader.read(after, _PAGE, **wanted) if row.seq <= last}  # type: ignore[arg-type]
            after = last
            yield from ((row, row.seq not in latest) for row in rows)

    def _difference(self, user: str, key: tuple[str, int], found: dict[StoredField, Value], log: "_Log") -> Difference:
        expected, allowed, lines = log
        if self._marks:
            gone = {(series, at) for (series, name, at), value in found.items() if name == "deleted" and value}
            back = {sample[::2] for sample in expected}
            found = {sample: value for sample, value in found.items() if sample[::2] not in gone - back}
        missing = [sample for sample in expected if sample not in found]
        wrong = [sample for sample, value in expected.items() if sample in found and found[sample] != value]
        surplus = [sample for sample in found if sample not in allowed]
        relevant = {sample: value for sample, value in found.items() if sample in expected or sample not in allowed}
        write = dict.fromkeys(lines[sample] for sample in (*missing, *wrong))
        # A point with a field too many is written anew after it is erased; a mark cannot take a field away.
        whole = {sample[::2] for sample in allowed}
        erase = {sample[::2] for sample in surplus if not self._marks or sample[::2] not in whole}
        write |= dict.fromkeys(line for line in lines.values() if not self._marks and line.point in erase)
        return Difference(
            user=user,
            measurement=key[0],
            day=key[1],
            expected=len(expected),
            found=len(relevant),
            checksum_expected=checksum(expected),
            checksum_found=checksum(relevant),
            missing=len(missing),
            wrong=len(wrong),
            surplus=len(surplus),
            write=tuple(write),
            erase=tuple(Line(series, flag("deleted", True), at) for series, at in sorted(erase)),
        )
