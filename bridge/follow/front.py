"""How far those have read the log who have everything that there is, and the head of the log: shared by all of them."""

from bridge.follow.canonical_events import CanonicalEvents, Page


class Front:
    """The place of those who are *live*. ``place`` moves with each row that they were offered."""

    __slots__ = ("_events", "head", "place")

    def __init__(self, events: CanonicalEvents, head: int) -> None:
        self._events = events
        self.place = head
        #: the last row of the log that is known
        self.head = head

    def next(self, *, live: bool) -> Page | None:
        """What comes next for them; None when nothing does. Where nobody is ``live``, the place is the head itself."""
        if not live:
            self.place = self.head
            return None
        return self._events.after(self.place, self.head) if self.place < self.head else None
