"""How much of what is refused is kept: pure rules that every store applies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import NamedTuple

from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.event import Rejection
from healthsync_mqtt.model.origin import Origin

#: What a row costs beside its bytes: refusals of which nothing is kept are bounded too.
ROW_COST = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Bounds of the quarantine, in unfolded bytes with ``ROW_COST`` for each row. What is oldest goes first."""

    device_bytes: int = 4 * 1024 * 1024
    user_bytes: int = 16 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024
    #: Bytes that are kept of one refusal; of one that is held, to be tried again, all are.
    row_bytes: int = 64 * 1024


class KeptBytes(NamedTuple):
    """What is kept of a refusal's bytes: the beginning, how many there were, their digest where that is not all."""

    raw: bytes
    size: int
    sha256: str | None


def kept(rejection: Rejection, quotas: Quotas) -> KeptBytes:
    """The part of a rejection's bytes that goes into the quarantine."""
    raw, omitted = rejection.raw, rejection.omitted
    if omitted is not None:
        return KeptBytes(b"", omitted.size, omitted.sha256)
    if len(raw) <= quotas.row_bytes or rejection.due_us is not None:
        return KeptBytes(raw, len(raw), None)
    return KeptBytes(raw[: quotas.row_bytes], len(raw), sha256(raw).hexdigest())


def due(rejection: Rejection) -> int | None:
    """When it is tried again; None for what is not kept whole."""
    return rejection.due_us if rejection.raw and rejection.omitted is None else None


def fingerprint(origin: Origin, rejection: Rejection) -> bytes:
    """Equal for refusals of the same bytes of one sender for one reason."""
    why = _prefixed((rejection.reason.value, rejection.field, rejection.id))
    digest = blake2b(_sender(origin) + why, digest_size=16)
    digest.update(rejection.raw)
    if rejection.form != OWN_FORM:
        digest.update(b"in " + rejection.form.encode())
    if rejection.omitted is not None:
        digest.update(rejection.omitted.sha256.encode())
    return digest.digest()


def going(oldest: Sequence[tuple[int, int]], over: int) -> tuple[list[int], int]:
    """Which of the oldest rows (number, bytes) go for ``over`` bytes, and how many are over then.

    The last of them stays, so that the newest row stays however small a quota is.
    """
    numbers: list[int] = []
    for no, size in oldest[:-1]:
        if over <= 0:
            break
        numbers.append(no)
        over -= size + ROW_COST
    return numbers, over


@lru_cache(maxsize=256)
def _sender(origin: Origin) -> bytes:
    return _prefixed(origin)


def _prefixed(parts: Iterable[str | None]) -> bytes:
    """Texts one after another, so that no two lists of them are the same bytes."""
    texts = [b"\xff" if part is None else part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join([b"%d:%b" % (len(text), text) for text in texts])
