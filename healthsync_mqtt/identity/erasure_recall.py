"""A copy of before that was put back: whom the ledger knows as erased is erased again."""

from collections.abc import Iterable, Sequence

from healthsync_mqtt.identity.erasure_ledger import LedgerEntry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso


def recall(registry: Registry, in_log: Iterable[str], entries: Sequence[LedgerEntry], now_us: int) -> int:
    """Begin the erasures of everybody in the registry or the log whom the ledger names; how many that are.

    Whoever was added after the erasure is another life of the name, and stays.
    """
    with registry.write():
        users = registry.erasures.users()
        under_way = {each.user_id for each in registry.erasures.open()}
        people = [name for name in {*in_log, *users} if name not in under_way]
        begun = 0
        for entry in entries:
            for name in people:
                if not entry.means(name):
                    continue
                since_us = users.get(name)
                if since_us is not None and iso(since_us) > entry.at:
                    continue
                registry.erase(name, now_us, erasure_id=entry.id)
                people.remove(name)
                begun += 1
                break
        return begun
