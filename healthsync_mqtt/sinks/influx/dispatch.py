"""The lines of one read on their way: what is to be sent next, and which were refused. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from healthsync_mqtt.sinks.influx.answers import AnswerVerdict, Means
from healthsync_mqtt.sinks.influx.line import Line


class SentLine(NamedTuple):
    """A line with the event it is of."""

    seq: int
    place: int
    line: Line


class Refused(NamedTuple):
    """A line that is given up, and the verdict on it."""

    sent: SentLine
    verdict: AnswerVerdict


class Dispatch:
    """Sends all, in parts where it must: every line ends accepted or refused, none is forgotten."""

    def __init__(self, lines: Sequence[SentLine], max_bytes: int) -> None:
        self._parts: list[Sequence[SentLine]] = [part for part in reversed(_parts(lines, max_bytes)) if part]
        self.refused: list[Refused] = []
        self.accepted = 0

    @property
    def part(self) -> Sequence[SentLine]:
        """What is to be sent now; empty when all is done."""
        return self._parts[-1] if self._parts else ()

    def took(self, verdict: AnswerVerdict) -> None:
        """The verdict on the part. WAIT, DOUBT and PAUSE change nothing."""
        if verdict.means in {Means.WAIT, Means.DOUBT, Means.PAUSE}:
            return
        part = self._parts.pop()
        if verdict.means is Means.ADVANCE:
            self.accepted += len(part)
        elif verdict.means is Means.REFUSE:
            self._refuse([part[place] for place in verdict.lines], verdict)
            self._push(_without(part, verdict.lines))
        elif verdict.means is Means.SUSPECT and len(part) > 1:
            for place in reversed(verdict.lines):
                self._push([part[place]])
            self._push(_without(part, verdict.lines))
        elif len(part) == 1:
            self._refuse(part, verdict)
        else:
            half = len(part) // 2
            self._push(part[half:])
            self._push(part[:half])

    def put_off(self) -> None:
        """Send the other parts first."""
        self._parts.insert(0, self._parts.pop())

    def _push(self, part: Sequence[SentLine]) -> None:
        if part:
            self._parts.append(part)

    def _refuse(self, lines: Sequence[SentLine], verdict: AnswerVerdict) -> None:
        self.refused += [Refused(sent, verdict) for sent in lines]


def _without(part: Sequence[SentLine], places: Sequence[int]) -> list[SentLine]:
    gone = set(places)
    return [sent for place, sent in enumerate(part) if place not in gone]


def _parts(lines: Sequence[SentLine], max_bytes: int) -> list[list[SentLine]]:
    parts: list[list[SentLine]] = [[]]
    size = 0
    for sent in lines:
        length = len(sent.line.series) + len(sent.line.fields) + 22
        if size + length > max_bytes and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append(sent)
        size += length
    return parts
