"""The names of data keys: random, and such that a flipped bit makes no name of another key, or of none."""

import binascii
import secrets
from typing import Final

ID_BYTES: Final = 8
_RANDOM: Final = 6


def new_key_id() -> bytes:
    """A name that no other key has."""
    random = secrets.token_bytes(_RANDOM)
    return random + _check(random)


def is_key_id(name: bytes) -> bool:
    """Whether ``new_key_id`` can have made it."""
    return len(name) == ID_BYTES and _check(name[:_RANDOM]) == name[_RANDOM:]


def _check(random: bytes) -> bytes:
    return binascii.crc_hqx(random, 0x4853).to_bytes(ID_BYTES - _RANDOM, "big")
