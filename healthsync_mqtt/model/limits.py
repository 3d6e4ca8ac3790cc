"""How much one delivery may ask of the decoder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one delivery; the defaults suit a phone that uploads a day at once."""

    #: Bytes of a payload, also after decompression.
    max_payload: int = 1_048_576
    #: The same of a message in a format of its own, where its login says nothing.
    max_message: int = 41_943_040
    #: Decompressed bytes for each compressed byte.
    max_ratio: int = 100
    #: Events of one delivery.
    max_events: int = 500
    #: Events and refusals that a message in a format of its own comes to.
    max_made: int = 100_000
    #: JSON objects and arrays inside each other, counted from the event.
    max_depth: int = 16
    #: Characters of any text.
    max_string: int = 1024
    #: Characters of a batch id (an event id has at most 128, in every installation).
    max_batch_id: int = 64
    #: Samples of one series.
    max_samples: int = 20_000
    #: Fields that this version does not know, in each of ``device`` and ``source``.
    max_unknown: int = 16
    #: How far a time may lie ahead of the bridge's clock, in microseconds.
    max_future_us: int = 600_000_000
    #: How far beyond that it may be our clock that is wrong: such an event is to be sent again later.
    doubtful_future_us: int = 86_400_000_000


DEFAULT = Limits()
