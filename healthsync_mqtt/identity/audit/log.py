"""The audit log: who did what to whom and when, in a chain of digests that shows every later change.

Row ``n`` holds SHA-256 over its own content and the digest of row ``n - 1``. A file beside the database,
``audit.head``, holds the number and digest of the newest row under a keyed digest, so that rows missing at the end are
noticed too, and so is a chain that somebody has computed anew. Persons appear as pseudonyms: keyed digests that only
this installation can make, so that erasing a person does not break the chain.

Several processes append: a file lock makes the row and the head one step for all of them. What is written in the
registry's own transactions comes from there as notes (``outbox``), each once.

Where the registry is on a server, the rows are there, too, for all machines. Each machine keeps a head of its own: the
newest row that it has written, so that rows which the server lost are missed wherever they were known.
"""

import hashlib
import hmac
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from healthsync_mqtt.config.private_files import (
    create_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.errors import ConfigError, StoreError, UnavailableError
from healthsync_mqtt.identity.audit.outbox import AuditHead, AuditNote
from healthsync_mqtt.identity.people.opening import place_of
from healthsync_mqtt.identity.sql import migrate, numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

if TYPE_CHECKING:
    from healthsync_mqtt.identity.audit.server import AuditServer, ServerRows
    from healthsync_mqtt.postgres.connection import ServerPlace

    _Rows = sqlite3.Connection | ServerRows

GENESIS: Final = "0" * 64
HEAD_LOST: Final = "audit.head_lost"
"""The action of a row that had to be written without a trustworthy head: what was before it may be incomplete."""

_BUSY_S: Final = 5.0
_PAGE: Final = 1_000
_MOST_TAKEN: Final = 10_000
"""Origins of notes that are remembered; a note that arrived is deleted where it was within milliseconds."""
_SQL: Final = statements("audit", "audit")
_BEHIND_ALL: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One action. ``subject`` is a pseudonym; ``detail`` has neither secrets nor health values."""

    no: int
    at_us: int
    actor: str
    action: str
    subject: str | None
    detail: Mapping[str, Any]


class AuditVerdict(NamedTuple):
    """What ``verify`` found: the number of rows, the first bad row with the reason (None when all is well).

    ``unchecked`` says in words what could not be checked: a change there would not have been noticed.
    """

    rows: int
    first_bad: int | None
    reason: str
    unchecked: tuple[str, ...] = ()


class AuditLog:
    """The log of one data directory. Calls block for a few milliseconds and may come from any thread."""

    def __init__(self, path: Path, key: bytes, server: "AuditServer | None" = None) -> None:
        self._path = path
        self._server = server
        self._head_path = path.with_suffix(".head")
        self._key = key

    @classmethod
    def open(cls, path: Path, key_file: Path) -> "AuditLog":
        """The log at ``path``, created when missing together with its key. ConfigError for loose file modes.

        On the server of the settings where they name one: ConfigError when the key is not the installation's.
        """
        place = place_of(path.parent)
        if place is not None:
            return cls._open_on(place, path, key_file)
        make_private_directory(path.parent)
        make_private_directory(key_file.parent)
        with _making(path.parent, key_file, path):
            if not key_file.exists():
                key = secrets.token_bytes(32)
                log = cls(path, key)
                if not path.exists():  # before the rows, and with a new key only: rows that vanish later are missed
                    log._write_head(AuditHead(0, GENESIS))
                write_durably(key_file, key.hex().encode())
            log = cls(path, bytes.fromhex(read_private(key_file).decode()))
            create_private(path)
            try:
                with closing(log._opened()) as connection:
                    migrate(connection, numbered("audit"), "the audit log")
            except sqlite3.Error as error:
                raise StoreError(f"the audit log could not be opened: {error}", hint=fix_of(error)) from error
        return log

    @classmethod
    def _open_on(cls, place: "ServerPlace", path: Path, key_file: Path) -> "AuditLog":
        from healthsync_mqtt.identity.audit.server import AuditServer  # noqa: PLC0415

        if path.exists():
            raise UnavailableError(
                f"registry.url names a server, and there is an audit log in {path}",
                hint="start the service once, it takes its rows over; where that is not meant, move the file away",
            )
        make_private_directory(path.parent)
        make_private_directory(key_file.parent)
        server = AuditServer(place)
        with _making(path.parent, key_file, path.with_suffix(".head")):
            if not key_file.exists():
                server.refuse_new_key(key_file)
                write_durably(key_file, secrets.token_bytes(32).hex().encode())
            log = cls(path, bytes.fromhex(read_private(key_file).decode()), server)
            server.agree(hmac.digest(log._key, b"mark", "sha256").hex(), key_file)
            if not log._head_path.exists():  # a machine that joins: from now on it misses what is lost
                with closing(log._connect()) as connection:
                    log._write_head(_last(connection))
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
        content = (now_us, actor, action, subject, detail or {})
        return self._write(lambda connection, last: _insert(connection, last, *content)).no

    def take(self, notes: Sequence[AuditNote]) -> AuditHead:
        """Write the notes that are not rows yet, durable on return; the newest row."""

        def insert(connection: "_Rows", last: AuditHead) -> AuditHead:
            for each in notes:
                if connection.execute(_SQL["is_taken"], (each.origin,)).fetchone() is None:
                    last = _insert(connection, last, each.at_us, each.actor, each.action, each.subject, each.detail)
                    connection.execute(_SQL["take"], (each.origin,))
            connection.execute(_SQL["forget_taken"], (_MOST_TAKEN,))
            return last

        return self._write(insert)

    def has(self, head: AuditHead) -> bool:
        """Whether this very row is in the log."""
        with closing(self._connect()) as connection:
            row = connection.execute(_SQL["hash"], (head.no,)).fetchone()
        return row is not None and hmac.compare_digest(row[0], head.hash)

    def rows(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        subject: str | None = None,
        newest: bool = False,
        before: int = _BEHIND_ALL,
    ) -> list[AuditRow]:
        """Rows in their order, after ``after``; with ``newest`` the last ``limit`` of those before ``before``."""
        asked = (after, subject, limit, before) if newest else (after, subject, limit)
        with closing(self._connect()) as connection:
            found = connection.execute(_SQL["newest" if newest else "oldest"], asked).fetchall()
        listed = [
            AuditRow(no=no, at_us=at, actor=actor, action=action, subject=about, detail=json.loads(detail))
            for no, at, actor, action, about, detail in found
        ]
        return listed[::-1] if newest else listed

    def verify(self, anchor: AuditHead | None = None) -> AuditVerdict:
        """Recompute the chain; the first row that is not as it was written, or the first that is missing.

        ``anchor`` is a row that another file knows of. Nothing is locked: rows may be written meanwhile.
        """
        head = self._read_head()  # before the rows: those can only be more by then
        count, last = 0, AuditHead(0, GENESIS)
        for row in self._pages():
            reason = _flaw(row, last, [known for known in (head, anchor) if known is not None])
            if reason:
                return AuditVerdict(count, last.no + 1, reason)
            count, last = count + 1, AuditHead(row[0], row[-1])
        if head is None:
            return AuditVerdict(count, last.no + 1, "audit.head is missing or forged: rows may be missing at the end")
        newest = max(head.no, 0 if anchor is None else anchor.no)
        if newest > last.no:
            return AuditVerdict(count, last.no + 1, f"rows are missing at the end: there were {newest}")
        unchecked = []
        if last.no > head.no:
            unchecked.append(f"whether rows are missing after row {last.no}: audit.head ends with row {head.no}")
        if anchor is None:
            unchecked.append("whether audit.db and audit.head are older copies: the registry knows no row yet")
        return AuditVerdict(count, None, "", tuple(unchecked))

    def _pages(self) -> Iterator[tuple[Any, ...]]:
        """Every row; each page is read for itself, so that no writer waits."""
        after = 0
        while True:
            with closing(self._connect()) as connection:
                page = connection.execute(_SQL["page"], (after, _PAGE)).fetchall()
            if not page:
                return
            yield from page
            after = page[-1][0]

    def _write(self, insert: "Callable[[_Rows, AuditHead], AuditHead]") -> AuditHead:
        try:
            with directory_lock(self._path.parent), closing(self._connect()) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                last = _last(connection)
                head = self._read_head()
                if head is None:
                    last = _insert(connection, last, time.time_ns() // 1000, "audit", HEAD_LOST, None, {})
                elif head.no >= last.no:
                    last = head  # rows that are missing at the end stay missing: their numbers are not given again
                last = insert(connection, last)
                connection.commit()
                self._write_head(last)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the audit log could not be written: {error}", hint=fix_of(error)) from error
        return last

    def _connect(self) -> "sqlite3.Connection | ServerRows":
        if self._server is not None:
            return self._server.connect()
        return self._opened()

    def _opened(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise ConfigError(f"{self._path} is missing", hint="restore it from a backup")
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = EXTRA")
        return connection

    def _read_head(self) -> AuditHead | None:
        try:
            found = json.loads(self._head_path.read_text(encoding="utf-8"))
            head = AuditHead(found["no"], found["hash"])
            genuine = hmac.compare_digest(found["mac"], self._mac(head))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return head if genuine else None

    def _write_head(self, head: AuditHead) -> None:
        content = {"no": head.no, "hash": head.hash, "mac": self._mac(head)}
        write_durably(self._head_path, json.dumps(content).encode() + b"\n")

    def _mac(self, head: AuditHead) -> str:
        return hmac.digest(self._key, f"head\0{head.no}\0{head.hash}".encode(), "sha256").hex()


def _making(directory: Path, *parts: Path) -> AbstractContextManager[None]:
    """The lock under which a log is made. One that is there is opened even while somebody hangs on the lock."""
    return nullcontext() if all(part.exists() for part in parts) else directory_lock(directory)


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


def _flaw(row: tuple[Any, ...], last: AuditHead, known: Iterable[AuditHead]) -> str:
    """What is wrong with a row that follows ``last``; nothing when it is as it was written."""
    no, content, stored = row[0], row[:-1], row[-1]
    if no != last.no + 1:
        return "the row is missing"
    if row[3] == HEAD_LOST:
        return "audit.head was missing or forged when this row was written"
    if content[-1] != last.hash or _digest(content) != stored:
        return "the row was changed, or stands in another's place"
    if any(other.no == no and not hmac.compare_digest(other.hash, stored) for other in known):
        return "the chain was written anew: audit.head or the registry knows another row"
    return ""


def _last(connection: "_Rows") -> AuditHead:
    row = connection.execute(_SQL["last"]).fetchone()
    return AuditHead(0, GENESIS) if row is None else AuditHead(*row)


def _insert(connection: "_Rows", last: AuditHead, *content: Any) -> AuditHead:
    """Add a row of (at_us, actor, action, subject, detail) after ``last``."""
    *plain_part, detail = content
    text = json.dumps(detail, sort_keys=True, separators=(",", ":"))
    row = (last.no + 1, *plain_part, text, last.hash)
    digest = _digest(row)
    connection.execute(_SQL["insert"], (*row, digest))
    return AuditHead(last.no + 1, digest)


def _digest(content: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
