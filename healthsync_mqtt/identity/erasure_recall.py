"""A copy of before that was put back: whom the ledger knows as erased is erased again."""

from collections.abc import Iterable, Sequence

from healthsync_mqtt.identity.erasure_ledger import LedgerEntry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.erasure import LEFT_THE_LOG
from healthsync_mqtt.model.times import iso


def recall(
    registry: Registry, in_log: Iterable[str], entries: Sequence[LedgerEntry], now_us: int, *, restored: bool = False
) -> int:
    """Begin the erasures of everybody in the registry or the log whom the ledger names; how many that are.

    Whoever was added after the erasure is another life of the name, and stays. One that is under way begins anew where
    the log has the person although it had left it, and where files were ``restored``: each was read at another moment.
    """
    with registry.write():
        users = registry.erasures.users()
        in_log = set(in_log)
        begun, under_way = 0, set[str]()
        for each in registry.erasures.open():
            if each.user_id is not None:
                under_way.add(each.user_id)
                if restored or (each.step in LEFT_THE_LOG and each.user_id in in_log):
                    registry.erasures.begin_again(each)
                    begun += 1
        people = [name for name in {*in_log, *users} if name not in under_way]
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
