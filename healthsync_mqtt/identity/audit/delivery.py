"""Carries the registry's notes into the audit log. Whoever is interrupted leaves the rest to the next one."""

from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.audit.outbox import AuditOutbox


def deliver(outbox: AuditOutbox, log: AuditLog) -> int:
    """Make a row of each note, once; how many there were. StoreError or UnavailableError: they are kept."""
    count = 0
    while notes := outbox.pending():
        anchor = outbox.anchor()
        head = log.take(notes)
        # A log that lost the row which the registry knows of goes on, and the registry goes on to miss it.
        outbox.arrived(notes, head if anchor is None or log.has(anchor) else None)
        count += len(notes)
    return count
