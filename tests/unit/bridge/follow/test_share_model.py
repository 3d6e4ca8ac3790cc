"""A shared group against a slow reference that keeps lists, over whatever its members do in whatever order."""

from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.follow.share import Share

USERS = ("alice", "bob", "carol")
MEMBERS = ("a", "b", "c")
MOST = 6


class Reference:
    """Every event of the group in order, who has it, and whether it is acknowledged."""

    def __init__(self, cursor: int) -> None:
        self.share: Share[str] = Share(cursor, most=MOST)
        self.head = cursor
        self.users: dict[int, str] = {}
        self.owner: dict[int, str] = {}
        self.done: set[int] = set()
        self.windows: dict[str, int] = {}

    def room(self, member: str) -> int:
        return self.windows[member] - sum(owner == member for owner in self.owner.values())

    def come(self, user: str, gap: int) -> None:
        if self.share.room <= 0:
            return
        if gap:
            self.share.skip(self.head + gap)
        self.head += gap + 1
        self.share.take(self.head, user)
        self.users[self.head] = user

    def join(self, member: str, window: int) -> None:
        if member not in self.windows:
            self.windows[member] = window
            self.share.join(member)

    def leave(self, member: str) -> None:
        del self.windows[member]
        self.owner = {seq: owner for seq, owner in self.owner.items() if owner != member}
        self.share.leave(member)

    def window(self, member: str, window: int) -> None:
        self.windows[member] = window
        self.freed(member)

    def acknowledge(self, seq: int) -> None:
        member = self.owner.pop(seq)
        self.done.add(seq)
        self.share.acknowledge(member, seq)
        self.freed(member)

    def freed(self, member: str) -> None:
        if self.room(member) > 0:
            self.share.roomy(member)

    def hand_out(self, most: int) -> None:
        for _ in range(most):
            handed = self.share.next(self.room)
            if handed is None:
                self.nobody_waits_in_vain()
                return
            member, seq, user = handed
            assert self.users[seq] == user
            assert seq not in self.done, "redelivered although acknowledged"
            assert seq not in self.owner, "with two members"
            assert self.room(member) > 0, "no room"
            before = [each for each in self.undone() if each < seq and self.users[each] == user]
            assert all(self.owner.get(each) == member for each in before), "out of order, or with two members"
            assert all(owner == member for each, owner in self.owner.items() if self.users[each] == user)
            self.owner[seq] = member

    def undone(self) -> list[int]:
        return [seq for seq in self.users if seq not in self.done]

    def nobody_waits_in_vain(self) -> None:
        """Nothing was handed out: then nothing that waits could have been."""
        for user in USERS:
            if any(self.users[seq] == user and seq not in self.owner for seq in self.undone()):
                keepers = {owner for seq, owner in self.owner.items() if self.users[seq] == user}
                assert all(self.room(member) <= 0 for member in keepers or self.windows), f"{user} waits in vain"

    def check(self) -> None:
        undone = self.undone()
        assert self.share.cursor == (undone[0] - 1 if undone else self.share.front)
        assert self.share.front >= self.head
        assert self.share.open == len(undone) <= MOST
        assert set(self.share.members) == set(self.windows)

    def end(self) -> None:
        """Whatever happened: one member that takes everything gets what is open, and then nothing is."""
        for member in list(self.windows):
            self.leave(member)
        self.join("last", MOST)
        self.hand_out(MOST + 1)
        for seq in sorted(self.owner):
            self.acknowledge(seq)
        assert self.share.open == 0
        assert self.share.cursor == self.share.front


class GroupMachine(RuleBasedStateMachine):
    """Whatever can happen to a group."""

    @initialize(cursor=st.integers(0, 5))
    def begin(self, cursor: int) -> None:
        self.model = Reference(cursor)

    @rule(user=st.sampled_from(USERS), gap=st.integers(0, 2))
    def an_event_comes(self, user: str, gap: int) -> None:
        self.model.come(user, gap)

    @rule(member=st.sampled_from(MEMBERS), window=st.integers(0, 3))
    def a_member_joins(self, member: str, window: int) -> None:
        self.model.join(member, window)

    @precondition(lambda self: self.model.windows)
    @rule(data=st.data())
    def a_member_goes_away(self, data: st.DataObject) -> None:
        self.model.leave(data.draw(st.sampled_from(sorted(self.model.windows))))

    @precondition(lambda self: self.model.windows)
    @rule(data=st.data(), window=st.integers(0, 4))
    def a_window_changes(self, data: st.DataObject, window: int) -> None:
        self.model.window(data.draw(st.sampled_from(sorted(self.model.windows))), window)

    @precondition(lambda self: self.model.owner)
    @rule(data=st.data())
    def an_acknowledgement_comes(self, data: st.DataObject) -> None:
        self.model.acknowledge(data.draw(st.sampled_from(sorted(self.model.owner))))

    @rule(member=st.sampled_from(MEMBERS), seq=st.integers(0, 30))
    def a_foreign_acknowledgement_changes_nothing(self, member: str, seq: int) -> None:
        if self.model.owner.get(seq) != member:
            self.model.share.acknowledge(member, seq)

    @rule(most=st.integers(1, 10))
    def events_are_handed_out(self, most: int) -> None:
        self.model.hand_out(most)

    @invariant()
    def the_reference_agrees(self) -> None:
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.model.end()


TestShare: Any = GroupMachine.TestCase
TestShare.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("seed", range(40))
def test_a_long_life_of_a_group(seed: int) -> None:
    """Rare orders want many steps, more than Hypothesis makes."""
    rng = Random(seed)
    model = Reference(0)
    for _ in range(600):
        match rng.randrange(10):
            case 0 | 1 | 2:
                model.come(rng.choice(USERS), rng.choice((0, 0, 1)))
            case 3:
                model.join(rng.choice(MEMBERS), rng.randrange(4))
            case 4:
                if model.windows and rng.random() < 0.3:
                    model.leave(rng.choice(sorted(model.windows)))
            case 5:
                if model.windows:
                    model.window(rng.choice(sorted(model.windows)), rng.randrange(4))
            case 6 | 7:
                if model.owner:
                    model.acknowledge(rng.choice(sorted(model.owner)))
            case _:
                model.hand_out(rng.randrange(1, 6))
        model.check()
    model.end()
    assert len(model.done) == len(model.users) > 20
