"""What the parts of an InfluxDB sink hand each other: a point as a line, an answer, a refusal."""

from typing import NamedTuple


class Line(NamedTuple):
    """One point: its series (measurement and tags as they are written), its field set, its time in nanoseconds."""

    series: str
    fields: str
    time_ns: int

    @property
    def text(self) -> str:
        """The line, without an end."""
        return f"{self.series} {self.fields} {self.time_ns}"

    @property
    def point(self) -> tuple[str, int]:
        """What makes it one point: a later line of the same series and time overwrites its fields."""
        return (self.series, self.time_ns)

    @property
    def names(self) -> frozenset[str]:
        """The names of its fields."""
        return frozenset(part.partition("=")[0] for part in self.fields.split(","))


class ServerAnswer(NamedTuple):
    """What came back from the server: a status, or 0 and the word of what went wrong before one came.

    ``fault``: timeout, unreachable, reset, tls, unreadable.
    """

    status: int
    body: str = ""
    retry_after: str | None = None
    fault: str = ""
