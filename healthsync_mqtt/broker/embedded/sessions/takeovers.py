"""How often one identity may take its own connection over: a device that reconnects, or a token on two machines. Pure.

Two holders of one token drive each other out for ever. Past the limit the one that is connected stays, and the other is
told to come back later; nothing is lost by either.
"""

from collections import OrderedDict, deque

_WINDOW_S = 60.0
_REMEMBER = 10_000


class Takeovers:
    """Take-overs of the last minute by client id. Remembers a bounded number of ids."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allow(self, client_id: str, now: float) -> bool:
        """Count a take-over, unless there were as many as a minute may have."""
        times = self._times.setdefault(client_id, deque())
        self._times.move_to_end(client_id)
        while len(self._times) > _REMEMBER:
            self._times.popitem(last=False)
        while times and now - times[0] >= _WINDOW_S:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        return True
