"""Why an event was rejected: one closed vocabulary for receipts, metrics, the CLI and HTTP."""

from enum import StrEnum
from typing import Self

from healthsync_mqtt.errors import InputError


class Reason(StrEnum):
    """Why an event was not accepted. The words are a stable contract: never renamed, never reused."""

    #: The payload or the event is not what a delivery may be: not JSON, not UTF-8, not an object, empty.
    MALFORMED = "malformed"
    #: The payload, or a series of samples, is longer than the limit.
    TOO_LARGE = "too_large"
    #: The delivery carries more events than the limit; none of them was read.
    TOO_MANY = "too_many"
    #: The JSON is nested deeper than the limit.
    TOO_DEEP = "too_deep"
    #: The gzip stream expands beyond a limit, is damaged, or is more than one plain member.
    DECOMPRESS_LIMIT = "decompress_limit"
    #: A JSON object names the same key twice, so that two readers could see two events.
    REPEATED_KEY = "repeated_key"
    #: A field that the event needs is absent.
    MISSING_FIELD = "missing_field"
    #: A field that no event of this type has, or that no batch has: what the batch holds is read all the same.
    UNKNOWN_FIELD = "unknown_field"
    #: A field holds another JSON type than it must.
    WRONG_TYPE = "wrong_type"
    #: A number that is not finite, or too big to be carried exactly by every JSON reader.
    BAD_NUMBER = "bad_number"
    #: The event id, user id or batch id is empty, too long, or has characters that an id may not have.
    BAD_ID = "bad_id"
    #: A text is too long, or has controls, invisible formatting, private-use characters or half a surrogate pair.
    BAD_STRING = "bad_string"
    #: A time that is not an RFC 3339 date and time of the years 1970 to 9999.
    BAD_TIME = "bad_time"
    #: A time without an offset or Z.
    NAIVE_TIME = "naive_time"
    #: A time further ahead of the bridge's clock than the allowance for clock error. One of the clocks is wrong,
    #: perhaps the bridge's: it holds the event (the receipt says ``held``) and takes it when its clock allows. It has
    #: room for some only: keep the event and send it again now and then. Where it is less than a day ahead, the receipt
    #: says ``retry``, too: soon.
    FUTURE_TIME = "future_time"
    #: The end lies before the start, the span is too long, or a part lies outside its session.
    BAD_INTERVAL = "bad_interval"
    #: The type is not in the catalogue.
    UNKNOWN_TYPE = "unknown_type"
    #: A value outside the plausible range of its type.
    OUT_OF_RANGE = "out_of_range"
    #: The event names another user than the topic it came on.
    IDENTITY_MISMATCH = "identity_mismatch"
    #: The sender may not publish this.
    NOT_ALLOWED = "not_allowed"
    #: The user has not consented to data of this type being stored.
    NO_CONSENT = "no_consent"
    #: A unit that is none of those in which a number of this type may come; nothing is guessed.
    UNKNOWN_UNIT = "unknown_unit"


class RefusedError(InputError):
    """One event cannot be accepted: ``code`` is why, ``field`` the dotted path of what is wrong, if it has one.

    ``retry``: time alone may mend it. ``due_us``: it will, when the bridge's clock says this.
    """

    def __init__(
        self, code: Reason, field: str | None, message: str, *, retry: bool = False, due_us: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.retry = retry
        self.due_us = due_us

    def kept(self) -> Self:
        """The refusal alone, for who keeps it: its traceback holds the frames that it came through, and all in them."""
        self.__context__ = self.__cause__ = None
        return self.with_traceback(None)
