"""The seam between the log and where its events go: what every kind of sink implements, and what it is handed.

The shipper owns the place in the log, waiting, pausing and the status; a sink owns its server: what an event becomes
there, what an answer means, what was refused. ``healthsync_mqtt.testing.sink_contract`` tries any implementation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol, TypeVar

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.summaries.rules import DayFigures


class Next(Enum):
    """What the shipper does after a step."""

    #: call again: there is more of this shipment
    GO_ON = auto()
    #: everything of this shipment has arrived, or is kept aside in the sink's own ledger
    DONE = auto()
    #: the server is away; later, by itself
    WAIT = auto()
    #: somebody has to change something; asked again every 30 s
    PAUSE = auto()


class SinkStep(NamedTuple):
    """What one step came to. ``message`` is what the server said, free of values; ``wait_s`` what it asked for."""

    next: Next
    reason: str = ""
    message: str = ""
    hint: str = ""
    wait_s: float | None = None


class TrialFinding(NamedTuple):
    """One thing that was tried with a sink. What is ``needed`` and does not work keeps it from shipping."""

    tried: str
    works: bool
    needed: bool = True
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of the log, read in one snapshot.

    ``records`` follow each other and are the latest of their ids in that snapshot; ``older`` has what each of them
    supersedes, by seq. ``withheld`` are rows that consent does not cover now: nothing of them is written, what they
    supersede still goes. ``through`` is where the cursor moves to when all of it has arrived.
    """

    records: Sequence[Record]
    older: Mapping[int, Sequence[Record]]
    through: int
    withheld: frozenset[int] = frozenset()


class Shipment(Protocol):
    """Rows on their way; the sink's own."""

    @property
    def events(self) -> int:
        """How many rows it is of."""


S = TypeVar("S", bound=Shipment)


class Sink(Protocol[S]):
    """One open sink, used from one thread.

    Life: it is made without touching its server; ``warm_up`` once; then, for each piece of the log, ``begin`` and
    ``step`` until that says DONE; ``close`` at the end. After WAIT or PAUSE the same shipment is stepped again, so a
    step repeats what was not answered. A shipment may be dropped at any moment and its rows begun again (a crash, a
    server that was restarted): sending twice must come to the same as sending once. Between shipments ``mend`` is
    called. Errors of the ledger are StoreError, of the configuration ConfigError; a server never raises.
    """

    def warm_up(self, cursor: int) -> None:
        """Remember what has to be remembered of the rows just before ``cursor``."""

    def begin(self, rows: Rows) -> S:
        """Make the work of these rows; asks no server."""

    def step(self, shipment: S) -> SinkStep:
        """Do the next piece of it: at most one request."""

    def mend(self, now_us: int) -> SinkStep:
        """Try again one thing that was kept aside and is due; DONE when nothing is."""

    def probe(self) -> SinkStep:
        """Ask the server for a sign of life: GO_ON, WAIT or PAUSE."""

    @property
    def generation(self) -> int:
        """Changes whenever the server may have been restarted, and with it may have lost what it acknowledged."""

    def disconnect(self) -> None:
        """Forget connection and secrets; the next step makes them anew."""

    def status(self) -> dict[str, object]:
        """What it adds to the shipper's status: counts and what is kept aside."""

    def close(self) -> None:
        """Release the server and the files. Idempotent."""


class UserDay(NamedTuple):
    """What a type on a local day of a user has come to; ``figures`` None: to nothing any more.

    ``again`` says that it may have been sent before, to a server that may have lost it.
    """

    user: str
    type: str
    day: int
    figures: DayFigures | None
    again: bool = False


class DaySink(Protocol):
    """Where users' days go, beside a kind's ``Sink``; used from one thread. A kind that takes none has none.

    Nothing is kept between two calls but the connection: what was not taken is read anew and sent again, so sending
    twice must come to the same as sending once. Of who is erased the kind's ``Sink.mend`` takes days away, too.
    ``healthsync_mqtt.testing.day_contract`` tries any implementation.
    """

    @property
    def generation(self) -> int:
        """See ``Sink``."""

    def send(self, days: Sequence[UserDay]) -> SinkStep:
        """Write these, and take away what came to nothing: DONE when all of it is there, else WAIT or PAUSE."""

    def disconnect(self) -> None:
        """Forget connection and secrets; the next call makes them anew."""
