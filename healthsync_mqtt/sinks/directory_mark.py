"""Which directory of sinks this is: a link to it is the same one, and a copy of it is another.

Ledgers and pseudonyms are one only where they are the same files. So the mark is made of a random word in a file and of
that file's number on its disk, which no copy has.
"""

import secrets
from hashlib import blake2b
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_files import directory_lock, read_private, write_durably

_FILE: Final = "directory.id"
_BYTES: Final = 16


def known_mark(directory: Path) -> str:
    """The mark; empty where none was made yet. OSError, ConfigError."""
    file = directory / _FILE
    if not file.exists():
        return ""
    word, number = read_private(file), file.stat().st_ino
    return blake2b(b"%b:%d" % (word, number), digest_size=_BYTES).hexdigest()


def made_mark(directory: Path) -> str:
    """The mark, made at the first call. OSError, ConfigError, UnavailableError."""
    with directory_lock(directory):
        if not (directory / _FILE).exists():
            write_durably(directory / _FILE, secrets.token_hex(_BYTES).encode() + b"\n")
    return known_mark(directory)
