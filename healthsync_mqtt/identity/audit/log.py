"""The audit log: who did what to whom and when, in a chain of digests that shows every later change.

Row ``n`` holds SHA-256 over its own content and the digest of row ``n - 1``. A file beside the database,
``audit.head``, holds the number and digest of the newest row under a keyed digest, so that rows missing at the end are
noticed too, and so is a chain that somebody has computed anew. Persons appear as pseudonyms: keyed digests that only
this installation can make, so that erasing a person does not break the chain.

Several processes append: a file lock makes the row and the head one step for all of them.
"""

import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from healthsync_mqtt.config.private_files import (
    create_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.errors import ConfigError, StoreError

GENESIS: Final = "0" * 64
HEAD_LOST: Final = "audit.head_lost"
"""The action of a row that had to be written without a trustworthy head: what was before it may be incomplete."""

_BUSY_S = 5.0
_OLDEST = (
    "SELECT no, at_us, actor, action, subject, detail FROM audit"
    " WHERE no > ?1 AND (?2 IS NULL OR subject = ?2) ORDER BY no LIMIT ?3"
)
_NEWEST = _OLDEST.replace("ORDER BY no", "ORDER BY no DESC")
_INSERT = (
    "INSERT INTO audit (no, at_us, actor, action, subject, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One action. ``subject`` is a pseudonym; ``detail`` has neither secrets nor health values."""

    no: int
    at_us: int
    actor: str
    action: str
    subject: str | None
    detail: Mapping[str, Any]


class Verdict(NamedTuple):
    """What ``verify`` found: the number of rows, and the first bad row with the reason, None when all is well."""

    rows: int
    first_bad: int | None
    reason: str


class _Head(NamedTuple):
    no: int
    hash: str


class AuditLog:
    """The log of one data directory. Calls block for a few milliseconds and may come from any thread."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._head_path = path.with_suffix(".head")
        self._key = key

    @classmethod
    def open(cls, path: Path, key_file: Path) -> "AuditLog":
        """The log at ``path``, created when missing together with its key. ConfigError for loose file modes."""
        make_private_directory(path.parent)
        make_private_directory(key_file.parent)
        with directory_lock(path.parent):
            if not key_file.exists():
                write_durably(key_file, secrets.token_hex(32).encode())
            log = cls(path, bytes.fromhex(read_private(key_file).decode()))
            if create_private(path):
                log._write_head(_Head(0, GENESIS))
            with closing(log._connect()) as connection:
                script = (resources.files("healthsync_mqtt.identity.audit") / "audit.sql").read_text(encoding="utf-8")
                connection.executescript(script)
        return log

    def pseudonym(self, kind: str, *names: str) -> str:
        """How a person or device appears: the same word for the same names, and no way back."""
        digest = hmac.digest(self._key, "\0".join(("pseudonym", kind, *names)).encode(), "sha256")
        return f"{kind}:{digest.hex()[:16]}"

    def append(
        self,
        action: str,
        *,
        actor: str,
        now_us: int,
        subject: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Write one row, durable on return; its number. StoreError when it cannot be written."""
        try:
            with directory_lock(self._path.parent), closing(self._connect()) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                last = _last(connection)
                head = self._read_head()
                if head is None:
                    last = _insert(connection, last, now_us, "audit", HEAD_LOST, None, {})
                elif head.no >= last.no:
                    last = head  # rows that are missing at the end stay missing: their numbers are not given again
                last = _insert(connection, last, now_us, actor, action, subject, detail or {})
                connection.commit()
                self._write_head(last)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the audit log could not be written: {error}", hint="is the disk full?") from error
        return last.no

    def rows(
        self, *, after: int = 0, limit: int = 1000, subject: str | None = None, newest: bool = False
    ) -> list[AuditRow]:
        """Rows in their order, after ``after``; with ``newest`` the last ``limit`` of them."""
        with closing(self._connect()) as connection:
            found = connection.execute(_NEWEST if newest else _OLDEST, (after, subject, limit)).fetchall()
        listed = [
            AuditRow(no=no, at_us=at, actor=actor, action=action, subject=about, detail=json.loads(detail))
            for no, at, actor, action, about, detail in found
        ]
        return listed[::-1] if newest else listed

    def verify(self) -> Verdict:
        """Recompute the chain; the first row that is not as it was written, or the first that is missing."""
        with directory_lock(self._path.parent), closing(self._connect()) as connection:
            return self._judge(connection.execute("SELECT * FROM audit ORDER BY no"), self._read_head())

    def _judge(self, rows: Iterator[tuple[Any, ...]], head: _Head | None) -> Verdict:
        count, last = 0, _Head(0, GENESIS)
        for row in rows:
            no, content, stored = row[0], row[:-1], row[-1]
            if no != last.no + 1:
                return Verdict(count, last.no + 1, "the row is missing")
            if row[3] == HEAD_LOST:
                return Verdict(count, no, "audit.head was missing or forged when this row was written")
            if content[-1] != last.hash or _digest(content) != stored:
                return Verdict(count, no, "the row was changed, or stands in another's place")
            if head is not None and head.no == no and not hmac.compare_digest(head.hash, stored):
                return Verdict(count, no, "the chain was written anew: audit.head knows another row")
            count, last = count + 1, _Head(no, stored)
        if head is None:
            return Verdict(count, last.no + 1, "audit.head is missing or forged: rows may be missing at the end")
        if head.no > last.no:
            return Verdict(count, last.no + 1, f"rows are missing at the end: there were {head.no}")
        return Verdict(count, None, "")

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise ConfigError(f"{self._path} is missing", hint="restore it from a backup")
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = EXTRA")
        return connection

    def _read_head(self) -> _Head | None:
        try:
            found = json.loads(self._head_path.read_text(encoding="utf-8"))
            head = _Head(found["no"], found["hash"])
            genuine = hmac.compare_digest(found["mac"], self._mac(head))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return head if genuine else None

    def _write_head(self, head: _Head) -> None:
        content = {"no": head.no, "hash": head.hash, "mac": self._mac(head)}
        write_durably(self._head_path, json.dumps(content).encode() + b"\n")

    def _mac(self, head: _Head) -> str:
        return hmac.digest(self._key, f"head\0{head.no}\0{head.hash}".encode(), "sha256").hex()


def subject_of(log: AuditLog, user: str | None, device: str | None = None) -> str | None:
    """The pseudonym of a user, or of a user's device; None for an action about nobody."""
    if user is None:
        return None
    return log.pseudonym("user", user) if device is None else log.pseudonym("device", user, device)


def plain(detail: Mapping[str, Any]) -> dict[str, Any]:
    """``detail`` as JSON values, without what is None."""
    return {key: _plain(value) for key, value in detail.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool):
        return str(value) if isinstance(value, str) else value
    return [_plain(item) for item in value]


def _last(connection: sqlite3.Connection) -> _Head:
    row = connection.execute("SELECT no, hash FROM audit ORDER BY no DESC LIMIT 1").fetchone()
    return _Head(0, GENESIS) if row is None else _Head(*row)


def _insert(connection: sqlite3.Connection, last: _Head, *content: Any) -> _Head:
    """Add a row of (at_us, actor, action, subject, detail) after ``last``."""
    *plain_part, detail = content
    text = json.dumps(detail, sort_keys=True, separators=(",", ":"))
    row = (last.no + 1, *plain_part, text, last.hash)
    digest = _digest(row)
    connection.execute(_INSERT, (*row, digest))
    return _Head(last.no + 1, digest)


def _digest(content: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
