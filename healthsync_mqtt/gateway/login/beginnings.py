"""How often one may begin to sign in: by address and in all. Pure; who calls brings the time.

What is answered wrongly is held back elsewhere, as wrong tokens are. This bounds what costs the service something
before anybody has shown a thing: challenges, signatures to look at, and ways to an organisation's login.
"""

from collections import OrderedDict
from typing import Final

from healthsync_mqtt.broker.embedded.limits.addresses import network
from healthsync_mqtt.broker.embedded.limits.rates import Bucket
from healthsync_mqtt.gateway.bodies.problem import HttpError

PER_S: Final = 1.0
BURST: Final = 60
"""Of one address, which may be that of a whole office."""
PER_S_IN_ALL: Final = 50.0
BURST_IN_ALL: Final = 500
_REMEMBER: Final = 10_000


class Beginnings:
    """The buckets. What is refused takes nothing, so that whoever waits as long as they are told is let in."""

    def __init__(self) -> None:
        self._all = Bucket(PER_S_IN_ALL, BURST_IN_ALL)
        self._addresses: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, peer: str, now: float) -> None:
        """Count one at ``now``, in monotonic seconds. HttpError 429."""
        address = network(peer)
        of_address = self._addresses.pop(address, None) or Bucket(PER_S, BURST)
        wait = max(of_address.wait(now), self._all.wait(now))
        if wait <= 0.0:
            for bucket in (of_address, self._all):
                bucket.take(now)
        self._addresses[address] = of_address
        while len(self._addresses) > _REMEMBER:
            self._addresses.popitem(last=False)
        if wait > 0.0:
            raise HttpError(429, "too_many", "there are too many attempts to sign in", retry_after_s=wait)
