"""Refused logins on their way to the registry and the audit log: counted as they come, written in few rows."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.login.refused_logins import RefusedLogin
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.topics.grammar import is_id

_MOST_COUNTED: Final = 500
_MOST_ROWS: Final = 20
"""Of reasons, addresses and client ids together that are counted apart; and rows of the audit log at one time."""

_Key = tuple[str, str, str]
"""Reason, address, and the client id that was claimed; an empty text for all the others."""


@dataclass(slots=True)
class _Count:
    number: int
    first_us: int
    last_us: int


class RefusedLoginCounts:
    """``note`` only counts, on any thread; ``flush`` blocks."""

    def __init__(
        self, audit: AuditLog, registry: Registry, *, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._audit = audit
        self._registry = registry
        self._clock_us = clock_us
        self._counts: dict[_Key, _Count] = {}

    def note(self, reason: str, peer: str, claimed: str) -> None:
        """A login from ``peer`` was refused. ``reason`` is one of the program's own texts; ``claimed`` anybody's."""
        key = (reason, peer, claimed if is_id(claimed) else "")
        for coarser in ((reason, peer, ""), (reason, "", "")):
            if key in self._counts or len(self._counts) < _MOST_COUNTED:
                break
            key = coarser
        now_us = self._clock_us()
        count = self._counts.setdefault(key, _Count(0, now_us, now_us))
        count.number += 1
        count.last_us = max(count.last_us, now_us)

    def flush(self) -> None:
        """Write what came since the last call: for each client id, and one audit row for each reason and address.

        Notes for the audit log that others left behind are carried, too. StoreError or UnavailableError: what was
        counted is kept.
        """
        if self._counts:
            self._write_counts()
        deliver(self._registry.audit_outbox, self._audit)

    def _write_counts(self) -> None:
        counts, self._counts = self._counts, {}
        try:
            self._write(counts)
        except BaseException:
            for key, count in counts.items():
                newer = self._counts.get(key)
                self._counts[key] = count if newer is None else _sum(count, newer)
            raise

    def _write(self, counts: Mapping[_Key, _Count]) -> None:
        clients = [
            RefusedLogin(
                client_id=claimed,
                reason=reason,
                address=peer,
                count=count.number,
                first_us=count.first_us,
                last_us=count.last_us,
            )
            for (reason, peer, claimed), count in counts.items()
            if claimed
        ]
        with self._registry.write(quiet=True):  # the rows and the notes of the audit log: all or none
            self._registry.refused_logins.note(clients)
            for (reason, peer), (number, names) in _by_address(counts).items():
                self._registry.audit_outbox.note(
                    "login.refused",
                    actor="service",
                    now_us=self._clock_us(),
                    subject=self._audit.pseudonym("address", peer) if peer else None,
                    detail={"reason": reason, "count": number} | ({"clients": names} if names else {}),
                )


def _by_address(counts: Mapping[_Key, _Count]) -> dict[tuple[str, str], tuple[int, int]]:
    """For each reason and address, how many there were under how many names; a bounded number of them."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for (reason, peer, claimed), count in counts.items():
        key = (reason, peer) if (reason, peer) in found or len(found) < _MOST_ROWS else (reason, "")
        number, names = found.get(key, (0, 0))
        found[key] = number + count.number, names + (claimed != "")
    return found


def _sum(first: _Count, second: _Count) -> _Count:
    return _Count(
        first.number + second.number, min(first.first_us, second.first_us), max(first.last_us, second.last_us)
    )
