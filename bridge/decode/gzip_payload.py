"""gzip payloads, unpacked within bounds."""

import zlib

from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError

MAGIC = b"\x1f\x8b"
_SMALL = 131_072
_GZIP_ONLY = 31  # wbits: the largest window, with a gzip header and trailer


def says_it_unfolds_to(payload: bytes) -> int:
    """The length that a gzip member names at its end. It may lie, but ``inflate`` unfolds no small liar."""
    return int.from_bytes(payload[-4:], "little")


def unfolded(payload: bytes, limits: Limits) -> int:
    """About what a payload that waits will take in memory."""
    if payload[:2] != MAGIC:
        return len(payload)
    return max(len(payload), min(says_it_unfolds_to(payload), limits.max_payload, limits.max_ratio * len(payload)))


def inflate(payload: bytes, limits: Limits) -> bytes:
    """The content of one gzip member; never allocates more than the limit. Raises RefusedError."""
    by_ratio = limits.max_ratio * len(payload)
    bound = min(limits.max_payload, by_ratio)
    small = says_it_unfolds_to(payload) <= _SMALL < bound
    if small:
        bound = _SMALL
    member = zlib.decompressobj(_GZIP_ONLY)
    try:
        content = member.decompress(payload, bound + 1)
    except zlib.error as error:
        raise RefusedError(Reason.DECOMPRESS_LIMIT, None, f"damaged gzip stream: {error}") from None
    if len(content) > bound:
        if small:
            raise RefusedError(Reason.DECOMPRESS_LIMIT, None, "the gzip stream expands to more than it says")
        what = f"{limits.max_payload} bytes" if bound == limits.max_payload else f"{limits.max_ratio} times its size"
        raise RefusedError(Reason.DECOMPRESS_LIMIT, None, f"the gzip stream expands to more than {what}")
    if not member.eof:
        raise RefusedError(Reason.DECOMPRESS_LIMIT, None, "the gzip stream is cut short")
    if member.unused_data:
        raise RefusedError(Reason.DECOMPRESS_LIMIT, None, "something follows the first gzip member")
    if content.startswith(MAGIC):
        raise RefusedError(Reason.DECOMPRESS_LIMIT, None, "gzip inside gzip")
    return content


def beginning(payload: bytes, most: int) -> bytes:
    """The first bytes of what a gzip member holds, whatever becomes of the rest; of a damaged one perhaps none."""
    try:
        return zlib.decompressobj(_GZIP_ONLY).decompress(payload[: 2 * most], most)
    except zlib.error:
        return b""
