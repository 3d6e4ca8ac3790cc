"""The end of one link, at somebody's word: the provider is told, where it can be, and nothing more is fetched."""

from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.revocation_endpoints import told
from healthsync_mqtt.adapters.web import Web


def ended(book: LinkBook, link: CloudLink, ready: ReadyAdapter, web: Web, now_us: int) -> bool:
    """End it; whether the provider knows that our access is over. It asks the provider, and blocks."""
    knows = False
    tokens = book.tokens(link)
    if tokens is not None and ready.cloud.leave is not None:
        known = tokens._replace(account=book.account(link.id) or tokens.account)
        knows = told(ready.cloud.leave, ready.cloud.access(ready.client, known, now_us), web).done
    book.leave(link.id)
    return knows
