"""Telling a provider that our access is over, with the tokens that a link left behind."""

from functools import partial

import msgspec

from healthsync_mqtt.adapters import revocation_endpoints
from healthsync_mqtt.adapters.cloud import Cloud, CloudClient, TokenRefused, Tokens, token_request, tokens_of
from healthsync_mqtt.adapters.provider_threads import ProviderThreads
from healthsync_mqtt.cloud_links.former_links import Parting, PartingBook
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.faults import LOST


async def told(
    parting: Parting, book: PartingBook, *, cloud: Cloud, client: CloudClient, threads: ProviderThreads, now_us: int
) -> bool:
    """Whether there is nothing more to tell: it knows, has no such call, or lets us in no more."""
    leave = cloud.leave
    if leave is None:
        return True
    try:
        tokens = Tokens(*msgspec.json.decode(book.tokens(parting)))
    except LOST:
        return True  # no tokens, so no access
    except StoreError:
        return False
    if tokens.expires_us > now_us:
        access = cloud.access(client, tokens, now_us)
        left = await threads.call(parting.provider, partial(revocation_endpoints.told, leave, access))
        if not left.again:
            return left.done
    if not tokens.refresh:
        return True
    request = token_request(cloud, client, {"refresh_token": tokens.refresh})
    found = tokens_of(cloud, await threads.ask(parting.provider, request), now_us, tokens)
    if isinstance(found, TokenRefused):
        return found.dead
    book.keep(parting, msgspec.json.encode(list(found)))
    access = cloud.access(client, found, now_us)
    left = await threads.call(parting.provider, partial(revocation_endpoints.told, leave, access))
    return left.done
