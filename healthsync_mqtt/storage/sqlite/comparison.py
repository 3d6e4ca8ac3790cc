"""A log in SQLite beside its anchor."""

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import apsw

from healthsync_mqtt.storage.anchor import Anchor, AnchorComparison, AnchorFile, AnchorVerdict, UnreadableAnchorError
from healthsync_mqtt.storage.sqlite.connection import abandon, connected, fetch, has_schema, snapshot, translated
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("writer")


class LastRow(NamedTuple):
    """What stays of a row for as long as there is a log, purged or not."""

    seq: int
    identity: int
    received_us: int

    def witness(self, secret: bytes) -> str:
        """A digest that another row, or the same event received at another time, does not have."""
        return blake2b(b"%d:%d:%d" % self, digest_size=16, key=secret).hexdigest()


def anchor_path(database: Path) -> Path:
    """The anchor of a database: ``events.anchor`` beside ``events.db``."""
    return database.with_suffix(".anchor")


def compare_files(database: Path) -> AnchorComparison:
    """``compare`` with a connection of its own. A writer may go on meanwhile: the anchor is read first."""
    if not database.exists() or not database.stat().st_size:
        return compare(database, None)
    anchor = _read(database)
    with translated("reading"):
        connection = connected(database)
        try:
            fetch(connection, "PRAGMA query_only=ON")
            with snapshot(connection):
                return _compare(anchor, connection)
        finally:
            abandon(connection)


def compare(database: Path, connection: apsw.Connection | None) -> AnchorComparison:
    """What the log is, seen from its anchor; None where there is no file. Nothing is changed."""
    return _compare(_read(database), connection)


def _read(database: Path) -> Anchor | AnchorVerdict | None:
    try:
        return AnchorFile(anchor_path(database)).read()
    except UnreadableAnchorError:
        return AnchorVerdict.UNREADABLE


def _compare(anchor: Anchor | AnchorVerdict | None, connection: apsw.Connection | None) -> AnchorComparison:
    if isinstance(anchor, AnchorVerdict):
        return AnchorComparison(anchor)
    if connection is None or not has_schema(connection):
        if anchor is None:
            return AnchorComparison(AnchorVerdict.UNANCHORED)
        return AnchorComparison(AnchorVerdict.MISSING, "", 0, anchor.epoch, anchor.head)
    meta = dict(fetch(connection, _SQL["meta"]))
    head: int = fetch(connection, _SQL["head"])[0][0]
    if anchor is None:
        return AnchorComparison(AnchorVerdict.UNANCHORED, meta["epoch"], head)
    verdict = AnchorVerdict.WHOLE
    if anchor.epoch != meta["epoch"]:
        verdict = AnchorVerdict.OTHER_EPOCH
    elif anchor.head > head:
        verdict = AnchorVerdict.SHORTER
    elif anchor.head:
        rows = fetch(connection, _SQL["row_at"], (anchor.head,))
        if [LastRow(*row).witness(meta["identity_secret"]) for row in rows] != [anchor.witness]:
            verdict = AnchorVerdict.OTHER_ROWS
    return AnchorComparison(verdict, meta["epoch"], head, anchor.epoch, anchor.head)
