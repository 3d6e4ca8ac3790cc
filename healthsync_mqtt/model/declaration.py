"""What a login says of all its messages because they do not."""

from typing import Final, NamedTuple


class Declared(NamedTuple):
    """What an admin declared with a login; None: nothing was said, and nothing is guessed."""

    #: an IANA name, of times that come without an offset
    zone: str | None = None
    #: of numbers that come without one
    unit: str | None = None
    #: seconds that a sum which has only a start is of
    bucket_s: int | None = None
    #: which user, number or slot of the gadget is the user of the login
    slot: str | None = None
    #: bytes of its longest message
    longest: int | None = None


NOTHING_DECLARED: Final = Declared()
