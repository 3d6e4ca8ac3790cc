"""The ledger of erasures: a file apart from every backup, so that a copy of before is erased when it is put back.

A line names nobody: it has a random key of its own and the hash of the person's id under that key. So whoever has both
a copy with names and the ledger can tell whom to erase, and the ledger alone says how many.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.model.times import iso

FILE: Final = "erasures.jsonl"


class LedgerEntry(NamedTuple):
    """One erasure."""

    id: str
    key: str
    mark: str
    at: str

    def means(self, user_id: str) -> bool:
        """Whether it is about this person."""
        return hmac.compare_digest(self.mark, _mark(self.key, user_id))


def entry(erasure_id: str, user_id: str, at_us: int) -> LedgerEntry:
    """A new line about a person."""
    key = secrets.token_hex(16)
    return LedgerEntry(erasure_id, key, _mark(key, user_id), iso(at_us))


def read(path: Path) -> list[LedgerEntry]:
    """The lines of a ledger; none where there is no file. A last line that was cut is not there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read", hint="put it back from a copy") from error
    found = []
    for line in lines:
        try:
            values = json.loads(line)
            found.append(LedgerEntry(*(str(values[name]) for name in LedgerEntry._fields)))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def add(path: Path, entries: Iterable[LedgerEntry]) -> None:
    """Add the lines that are not there yet, durable when it returns. StoreError."""
    known = {each.id for each in read(path)}
    new = [each for each in entries if each.id not in known]
    if not new:
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            lines = "".join(json.dumps(each._asdict()) + "\n" for each in new)
            os.write(descriptor, ("\n" + lines).encode())  # first an end for a line that was cut
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", hint="make room there") from error


def _mark(key: str, user_id: str) -> str:
    return hmac.digest(bytes.fromhex(key), user_id.encode(), hashlib.sha256).hex()
