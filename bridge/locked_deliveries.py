"""Deliveries of users whose data keys cannot be had now: they wait aside, in their order, and nobody waits for them."""

from collections.abc import Callable

from bridge.group import Group, WaitingDelivery


class LockedOut:
    """Pure. What is here is in no group and in no commit, and nobody was told of it."""

    def __init__(self) -> None:
        self._lines: dict[str, list[WaitingDelivery]] = {}

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return bool(self._lines)

    def part(self, group: Group, user: str) -> bool:
        """Take a user's deliveries out of a group that was not stored.

        False: there are none, or a part of a long message is among them, which is not taken apart.
        """
        mine = [each for each in group.waiting if each.delivery.origin.user == user]
        if not mine or (group.part is not None and group.part.delivery.origin.user == user):
            return False
        self._take(group, mine)
        return True

    def sift(self, group: Group) -> None:
        """Take out of a new group what came behind those who wait: it must not be stored before them."""
        mine = [each for each in group.waiting if each.of is None and each.delivery.origin.user in self._lines]
        if mine:
            self._take(group, mine)

    def release(self) -> list[WaitingDelivery]:
        """All of them, of each user in order; from now on nobody waits."""
        waiting = [each for line in self._lines.values() for each in line]
        self._lines = {}
        return waiting

    def change(self, how: Callable[[WaitingDelivery], WaitingDelivery]) -> None:
        """Change each."""
        self._lines = {user: [how(each) for each in line] for user, line in self._lines.items()}

    def _take(self, group: Group, mine: list[WaitingDelivery]) -> None:
        group.part_with(mine)
        for each in mine:
            self._lines.setdefault(each.delivery.origin.user, []).append(each)
