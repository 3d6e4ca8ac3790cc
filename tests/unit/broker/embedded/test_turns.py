"""Turns are fair: counted in work, on a loop that the test turns by hand."""

from collections.abc import Callable

import pytest

from healthsync_mqtt.broker.embedded.turns import (
    HURRIED_PASS,
    LIGHT_TURN,
    PASS,
    RESERVE,
    TURN,
    TurnAccount,
    Turns,
    TurnUsage,
    WaitingPlace,
)


class Loop:
    """A round of the loop at a time; a rest is a round."""

    def __init__(self) -> None:
        self.now = 0.0
        self._soon: list[Callable[[], None]] = []
        self._later: list[Callable[[], None]] = []
        #: how often everything else had the loop, and other threads the interpreter
        self.rests = 0
        #: whether others wait for each round of the loop
        self.hurried = False
        self.turns = Turns(self._soon.append, self._later.append, lambda: self.now, hurried=lambda: self.hurried)

    def run(self) -> None:
        soon, self._soon[:] = list(self._soon), []
        later, self._later[:] = list(self._later), []
        self.rests += bool(later)
        for work in soon + later:
            work()

    @property
    def idle(self) -> bool:
        return not self._soon and not self._later


class Client:
    def __init__(self, work: int = 0, *, step: int = 10, stranger: bool = False) -> None:
        self.stranger = stranger
        self.left = work
        self.done = 0
        self.turns = 0
        self.step = step
        self.account = TurnAccount()
        #: how often it was asked whether it is put off, and what it says
        self.asked = 0
        self.behind = False

    def put_off(self) -> bool:
        self.asked += 1
        return self.behind

    @property
    def waits(self) -> bool:
        return self.left > 0

    def turn(self, work: int) -> int:
        self.turns += 1
        spent = 0
        while spent < work and self.left > 0:
            self.left -= self.step
            spent += self.step
        self.done += spent
        return spent


def test_what_fits_is_done_at_once() -> None:
    loop, client = Loop(), Client(PASS - RESERVE - 10)
    loop.turns.arrived(client)
    assert not client.waits
    assert loop.turns.waiting == 0
    loop.run()
    assert loop.idle


def test_a_flood_waits_for_the_rest_of_the_loop_after_each_pass() -> None:
    loop, flood = Loop(), Client(100 * PASS)
    loop.turns.arrived(flood)
    passes = 0
    while flood.waits:
        before = flood.done
        loop.run()
        passes += 1
        assert flood.done - before <= PASS + flood.step
    assert passes >= 98


@pytest.mark.parametrize("floods", [1, 50, 500])
def test_a_bystander_waits_for_one_pass_at_most(floods: int) -> None:
    loop = Loop()
    attackers = [Client(1000 * PASS) for _ in range(floods)]
    for attacker in attackers:
        loop.turns.arrived(attacker)
    while any(attacker.account.place is WaitingPlace.LIGHT for attacker in attackers):
        loop.run()
    before = sum(attacker.done for attacker in attackers)
    bystander = Client(10)
    loop.turns.arrived(bystander)
    while bystander.waits:
        loop.run()
    assert sum(attacker.done for attacker in attackers) - before <= PASS + TURN


def test_a_bystander_behind_many_newcomers_waits_for_a_little_of_each() -> None:
    loop = Loop()
    attackers = [Client(1000 * PASS) for _ in range(500)]
    for attacker in attackers:
        loop.turns.arrived(attacker)
    bystander = Client(10)
    loop.turns.arrived(bystander)
    before = sum(attacker.done for attacker in attackers)
    while bystander.waits:
        loop.run()
    assert sum(attacker.done for attacker in attackers) - before <= 500 * LIGHT_TURN + PASS


def test_floods_share_alike() -> None:
    loop = Loop()
    floods = [Client(1000 * PASS) for _ in range(20)]
    for flood in floods:
        loop.turns.arrived(flood)
    for _ in range(100):
        loop.run()
    shares = [flood.done for flood in floods]
    assert max(shares) - min(shares) <= PASS + TURN


def test_one_that_comes_again_and_again_with_a_little_does_not_go_before_the_others() -> None:
    """Always having just been served is no way to the front: it is light again only behind all that waited."""
    loop = Loop()
    floods = [Client(10_000 * PASS) for _ in range(10)]
    for flood in floods:
        loop.turns.arrived(flood)
    loop.run()
    sly = Client()
    passes = 200
    for _ in range(passes):
        sly.left = TURN
        loop.turns.arrived(sly)
        loop.run()
    assert sly.done <= 2 * max(flood.done for flood in floods)


def test_who_is_released_goes_on_in_the_next_pass_and_not_at_once() -> None:
    loop, client = Loop(), Client(10)
    loop.turns.later(client)
    loop.turns.later(client)
    assert client.waits
    loop.run()
    assert not client.waits
    assert client.turns == 1


@pytest.mark.parametrize("much", [True, False])
def test_many_who_were_held_up_for_sending_much_are_not_before_who_needs_little(much: bool) -> None:
    """Forty-five were released by one commit, each with a batch: a bystander's event waited for all of them."""
    loop = Loop()
    batch = 2 * TURN
    released = [Client(batch, step=batch) for _ in range(45)]
    for each in released:
        if not much:  # whatever held it up: it has just used more than goes first
            each.account.usage.charge(batch, loop.rests)
        loop.turns.later(each, much=much)
    bystander = Client(10)
    loop.run()
    loop.turns.arrived(bystander)
    before = sum(each.done for each in released)
    while bystander.waits:
        loop.run()
    assert sum(each.done for each in released) - before <= PASS
    while any(each.waits for each in released):
        loop.run()


def test_all_connections_of_a_user_have_one_little_that_goes_first() -> None:
    """With fifty connections a user had fifty times as much before everybody else, and more than there is."""
    loop = Loop()
    flood = Client(10_000 * PASS)
    loop.turns.arrived(flood)
    crowd = [Client() for _ in range(100)]
    for each in crowd:
        loop.turns.of_user(each.account, "alice")
    loop.run()
    before, rests = sum(each.done for each in crowd), loop.rests
    bystander = Client()
    for _ in range(200):
        for each in crowd:
            each.left = LIGHT_TURN
            loop.turns.arrived(each)
        bystander.left = 10
        loop.turns.arrived(bystander)
        loop.run()
        assert not bystander.waits
    least = 20 * TURN  # of turns like everybody who floods
    assert least <= sum(each.done for each in crowd) - before <= (loop.rests - rests) * PASS
    assert all(each.turns for each in crowd)


def test_what_is_of_nobody_any_more_is_forgotten() -> None:
    turns = Loop().turns
    crowd = [TurnAccount() for _ in range(3)]
    for account, user in zip(crowd, ("alice", "alice", "bob"), strict=True):
        turns.of_user(account, user)
    assert crowd[0].usage is crowd[1].usage is not crowd[2].usage
    assert len(turns._of_users) == 2
    del crowd, account
    assert len(turns._of_users) == 0


def test_who_is_put_off_for_another_reason_has_no_turn_and_who_needs_little_is_not_asked() -> None:
    loop, flood, other = Loop(), Client(100 * PASS), Client(100 * PASS)
    for each in (flood, other):
        loop.turns.arrived(each)
    flood.behind, done = True, flood.done
    while flood.account.place is not WaitingPlace.NOWHERE:
        loop.run()
    assert flood.done == done
    assert flood.waits
    bystander = Client(10)
    loop.turns.arrived(bystander)
    assert (bystander.waits, bystander.asked) == (False, 0)
    flood.behind = False
    loop.turns.later(flood, much=True)
    loop.run()
    loop.run()
    assert flood.done > done


def test_one_that_waits_no_more_is_passed_over() -> None:
    loop, flood, gone = Loop(), Client(3 * PASS), Client(PASS)
    loop.turns.arrived(flood)
    loop.turns.arrived(gone)
    gone.left = 0
    while not loop.idle:
        loop.run()
    assert gone.turns == 1  # at once, a little; and no turn for nothing
    assert loop.turns.waiting == 0
    assert gone.account.place is WaitingPlace.NOWHERE


def test_who_is_slowed_down_is_known_for_about_a_minute() -> None:
    loop, flood, other = Loop(), Client(1000 * PASS), Client(10)
    loop.turns.arrived(flood)
    for _ in range(100):
        loop.run()
    loop.turns.arrived(other)
    assert loop.turns.busy([flood, other]) == [flood]
    loop.now += 200
    assert loop.turns.busy([flood, other]) == []


@pytest.mark.parametrize("floods", [1, 10, 500])
def test_other_threads_have_the_interpreter_after_each_pass(floods: int) -> None:
    """What was never idle starved the journal's thread: each commit took hundreds of passes."""
    loop = Loop()
    attackers = [Client(1000 * PASS) for _ in range(floods)]
    for _ in range(200):
        for attacker in attackers:
            loop.turns.arrived(attacker)
        loop.run()
    assert loop.rests > 190
    assert sum(attacker.done for attacker in attackers) <= (loop.rests + 1) * (PASS + attackers[0].step)


def test_many_that_each_send_a_little_are_followed_by_rests_too() -> None:
    loop = Loop()
    came: list[Client] = []
    for _ in range(50):
        crowd = [Client(LIGHT_TURN) for _ in range(200)]
        came += crowd
        for client in crowd:
            loop.turns.arrived(client)
        loop.run()
    done = sum(client.done for client in came)
    assert done > 10 * PASS
    assert done <= (loop.rests + 1) * (PASS + LIGHT_TURN)


def test_a_little_is_done_at_once_while_floods_wait() -> None:
    loop = Loop()
    for attacker in [Client(1000 * PASS) for _ in range(50)]:
        loop.turns.arrived(attacker)
    while loop.rests < 5:
        loop.run()
    bystander = Client()
    for _ in range(20):
        for _ in range(3):
            bystander.left = LIGHT_TURN // 3
            loop.turns.arrived(bystander)
            assert not bystander.waits
        loop.run()


def test_who_used_a_turn_is_not_light_before_it_is_forgiven() -> None:
    account = TurnUsage()
    assert account.allowance(0) == LIGHT_TURN
    account.charge(LIGHT_TURN + 10, 0)
    assert account.allowance(0) < 0
    assert account.allowance(1) == LIGHT_TURN - 10
    account.charge(1_000_000, 1)
    assert account.allowance(1 + 2 * TURN // LIGHT_TURN) > 0


def test_a_turn_that_fails_stops_nobody_else() -> None:
    class Broken(Client):
        def turn(self, work: int) -> int:
            self.left = 0
            raise ValueError("broken")

    loop = Loop()
    broken, other = Broken(PASS), Client(2 * TURN)
    loop.turns.later(broken)
    loop.turns.later(other)
    with pytest.raises(ValueError, match="broken"):
        loop.run()
    while not loop.idle:
        loop.run()
    assert other.done == 2 * TURN


def test_one_that_overdraws_its_turn_is_followed_by_a_rest() -> None:
    """A payload is not cut in two: what it costs beyond the turn is taken from the pass."""
    loop, dear = Loop(), Client(10 * PASS, step=10 * PASS)
    loop.turns.arrived(dear)
    assert not dear.waits
    other, bystander = Client(TURN), Client(10)
    loop.turns.arrived(other)
    assert other.done <= LIGHT_TURN
    loop.turns.arrived(bystander)
    assert not bystander.waits, "what is left for who needs little is theirs"
    loop.run()
    assert loop.rests == 1
    assert not other.waits


def test_where_others_wait_for_each_round_a_flood_gets_less_of_it_and_who_needs_little_as_much() -> None:
    loop, floods = Loop(), [Client(100 * PASS) for _ in range(5)]
    for flood in floods:
        loop.turns.arrived(flood)
    loop.run()
    loop.hurried = True
    for _ in range(10):
        before = sum(flood.done for flood in floods)
        loop.run()
        assert sum(flood.done for flood in floods) - before <= HURRIED_PASS - RESERVE + floods[0].step
        bystander = Client(LIGHT_TURN)
        loop.turns.arrived(bystander)
        loop.run()
        assert not bystander.waits
    loop.hurried = False
    loop.run()
    before = sum(flood.done for flood in floods)
    loop.run()
    assert sum(flood.done for flood in floods) - before > HURRIED_PASS


def test_turns_that_come_to_more_than_they_should_take_nothing_from_who_needs_little() -> None:
    """A batch that unfolds is a turn and a half: an event that came then waited for the next pass."""
    loop, batch = Loop(), TURN + TURN * 7 // 10
    loop.hurried = True
    floods = [Client(1000 * batch, step=batch) for _ in range(10)]
    for flood in floods:
        loop.turns.arrived(flood)
    while any(flood.account.place is WaitingPlace.LIGHT for flood in floods):
        loop.run()
    for _ in range(20):
        loop.run()
        bystander = Client(10)
        loop.turns.arrived(bystander)
        assert not bystander.waits


def test_strangers_who_come_faster_than_they_are_let_in_are_behind_who_is_known_and_needs_little() -> None:
    loop, login = Loop(), 700
    crowd = [Client(login, step=login, stranger=True) for _ in range(100)]
    for stranger in crowd:
        loop.turns.arrived(stranger)
    for _ in range(10):
        loop.turns.arrived(Client(login, step=login, stranger=True))
        bystander = Client(10)
        loop.turns.arrived(bystander)
        loop.run()
        assert not bystander.waits


def test_strangers_are_let_in_beside_a_flood_and_the_flood_goes_on_beside_strangers() -> None:
    loop, login = Loop(), 700
    flood = Client(1000 * PASS)
    loop.turns.arrived(flood)
    crowd = [Client(login, step=login, stranger=True) for _ in range(20)]
    for stranger in crowd:
        loop.turns.arrived(stranger)
    before = flood.done
    for _ in range(20):
        loop.run()
    assert not any(stranger.waits for stranger in crowd)
    assert flood.done - before >= 10 * TURN


def test_a_stranger_who_is_not_done_in_a_turn_waits_like_everybody_who_floods() -> None:
    loop = Loop()
    strangers = [Client(100 * PASS, stranger=True) for _ in range(50)]
    for stranger in strangers:
        loop.turns.arrived(stranger)
    for _ in range(50):
        loop.run()
    before = [stranger.done for stranger in strangers]
    for _ in range(200):
        loop.run()
    done = [stranger.done - then for stranger, then in zip(strangers, before, strict=True)]
    assert max(done) - min(done) <= TURN + strangers[0].step
