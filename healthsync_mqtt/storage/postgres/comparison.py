"""A log on PostgreSQL beside the anchor of one of its bridges."""

from healthsync_mqtt.postgres.connection import Connection, ServerPlace
from healthsync_mqtt.postgres.schema import schema_version
from healthsync_mqtt.storage.anchor import AnchorComparison, AnchorFile, AnchorVerdict, UnreadableAnchorError
from healthsync_mqtt.storage.postgres.connection import LogFacts, fetch, row_at
from healthsync_mqtt.storage.postgres.statements import statements

_SQL = statements("writer")


def compare(file: AnchorFile | None, connection: Connection, place: ServerPlace) -> AnchorComparison:
    """What the log is, seen from its anchor. Nothing is changed; the anchor is read first, for others may write.

    An anchor of a name that the log had before is no anchor any more: another bridge accepted what became of it.
    """
    try:
        anchor = None if file is None else file.read()
    except UnreadableAnchorError:
        return AnchorComparison(AnchorVerdict.UNREADABLE)
    if schema_version(connection, place) == 0:
        if anchor is None:
            return AnchorComparison(AnchorVerdict.UNANCHORED)
        return AnchorComparison(AnchorVerdict.MISSING, "", 0, anchor.epoch, anchor.head)
    facts, head = LogFacts(connection), fetch(connection, _SQL["head"])[0][0]
    if anchor is None or anchor.epoch in facts.former:
        return AnchorComparison(AnchorVerdict.UNANCHORED, facts.epoch, head)
    verdict = AnchorVerdict.WHOLE
    if anchor.epoch != facts.epoch:
        verdict = AnchorVerdict.OTHER_EPOCH
    elif anchor.head > head:
        verdict = AnchorVerdict.SHORTER
    elif anchor.head:
        row = row_at(connection, anchor.head)
        if row is None or row.witness(facts.secret) != anchor.witness:
            verdict = AnchorVerdict.OTHER_ROWS
    return AnchorComparison(verdict, facts.epoch, head, anchor.epoch, anchor.head)
