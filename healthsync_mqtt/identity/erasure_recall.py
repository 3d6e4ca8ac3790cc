"""A copy of before that was put back: whom the ledger knows as erased is erased again."""

from collections.abc import Iterable, Sequence

from healthsync_mqtt.identity.erasure_ledger import LedgerEntry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.erasure import LEFT_THE_LOG
from healthsync_mqtt.model.times import iso


def recall(
    registry: Registry, in_files: Iterable[str], entries: Sequence[LedgerEntry], now_us: int, *, restored: bool = False
) -> int:
    """Begin the erasures of everybody in the registry or the files whom the ledger names; how many that are.

    ``in_files``: whom the log has, and where files were ``restored`` whom any of them names; each was read at another
    moment, and keys may be much older than a set. So the registry may have done an erasure, and forgotten the name,
    of which another file still has the person. One that is under way begins anew where the log has the person although
    it had left it, and where files were restored. Whoever was added after the erasure is another life of the name, and
    stays.
    """
    with registry.write():
        users = registry.erasures.users()
        in_files = set(in_files)
        begun, under_way = 0, set[str]()
        for each in registry.erasures.open():
            if each.user_id is not None:
                under_way.add(each.user_id)
                if restored or (each.step in LEFT_THE_LOG and each.user_id in in_files):
                    registry.erasures.begin_again(each)
                    begun += 1
        strangers = sorted(in_files - users.keys() - under_way)
        people = [name for name in users if name not in under_way]
        for entry in entries:
            # The registry that has done one knows nobody whom that was about.
            done_here = registry.erasures.get(entry.id) is not None
            for name in strangers if done_here else [*strangers, *people]:
                if not entry.means(name):
                    continue
                since_us = users.get(name)
                if since_us is not None and iso(since_us) > entry.at:
                    continue
                registry.erase(name, now_us, erasure_id=entry.id)
                (strangers if since_us is None else people).remove(name)
                begun += 1
                break
        return begun
