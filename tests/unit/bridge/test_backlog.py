"""What waits for a commit is taken fairly once it is more than one commit takes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.backlog import LIGHT, MUCH, Backlog, work_of
from bridge.group import WaitingDelivery
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.origin import Origin

MOST = 1_000


def waiting(
    user: str, events: int = 1, *, refused: int = 0, source: Any = None, name: int = 0, size: int = 0
) -> WaitingDelivery:
    nothing: Any = None
    decoded = Decoded(None, [nothing] * events, [nothing] * refused, events + refused, size)
    return WaitingDelivery(Delivery(source or user, name, Origin(user, "d", None, "t"), b""), decoded, 1)


def commits(backlog: Backlog) -> list[list[WaitingDelivery]]:
    found = []
    while backlog:
        found.append(backlog.take(MOST, 10**9))
    return found


def test_what_one_commit_takes_goes_in_its_order() -> None:
    backlog = Backlog()
    came = [waiting(f"u{n % 3}", n) for n in range(1, 30)]
    for each in came:
        backlog.append(each)
    assert commits(backlog) == [came]


def test_who_sends_little_waits_for_no_more_than_the_commit_that_runs() -> None:
    """The bystander's event waited behind everything that fifty connections had sent before."""
    backlog = Backlog()
    for n in range(200):
        backlog.append(waiting("mallory", 0, refused=500, name=n))
    backlog.append(waiting("bob"))
    backlog.append(waiting("carol", LIGHT))
    first = backlog.take(MOST, 10**9)
    assert {each.delivery.origin.user for each in first} == {"bob", "carol"}
    for n in range(20):
        assert [each.delivery.origin.user for each in backlog.take(MOST, 10**9)] == ["mallory"]  # and none starves
        backlog.append(waiting("bob"))
        assert [each.delivery.origin.user for each in backlog.take(MOST, 10**9)] == ["bob"], n


def users(commit: list[WaitingDelivery]) -> set[str]:
    return {each.delivery.origin.user for each in commit}


def test_who_sends_little_does_not_wait_for_what_one_commit_takes_of_others_either() -> None:
    """A bystander's event was in one commit with five hundred refusals, which take long to write."""
    backlog = Backlog()
    for n in range(2 * MUCH):
        backlog.append(waiting("mallory", source=f"m{n % 50}", name=n))
    backlog.append(waiting("bob"))
    assert users(backlog.take(MUCH * 3, 10**9)) == {"bob"}
    backlog.append(waiting("bob"))
    assert users(backlog.take(MUCH * 3, 10**9)) == {"bob", "mallory"}, "every other commit is for everybody"
    assert not backlog


def test_a_commit_ends_early_only_for_who_has_little_where_one_other_has_much() -> None:
    backlog = Backlog()
    flood, crowd = [waiting("mallory", name=n) for n in range(LIGHT + 1)], [waiting(f"u{n}") for n in range(MUCH)]
    assert not backlog.urgent(flood), "nobody waits"
    backlog.append(waiting("mallory"))
    assert not backlog.urgent(flood), "what waits is of the same user"
    backlog.append(waiting("carol", LIGHT + 1))
    assert not backlog.urgent(flood), "who waits has much, too"
    backlog.append(waiting("bob", LIGHT))
    assert backlog.urgent(flood)
    assert not backlog.urgent(crowd), "everybody has as little"
    assert not backlog.urgent([])


def test_few_messages_of_many_events_are_much() -> None:
    """A bystander's event was in one commit with three batches of five hundred events each."""
    backlog = Backlog()
    for n in range(3):
        backlog.append(waiting("mallory", MUCH, name=n))
    backlog.append(waiting("bob"))
    assert users(backlog.take(MUCH * 10, 10**9)) == {"bob"}
    assert users(backlog.take(MUCH * 10, 10**9)) == {"mallory"}


def test_equals_share_a_commit() -> None:
    backlog = Backlog()
    came = [waiting(f"u{n % 10}", name=n) for n in range(2 * MUCH)]
    for each in came:
        backlog.append(each)
    assert commits(backlog) == [came]


def test_a_commit_of_little_is_for_those_who_have_little() -> None:
    """The first few events of a flood were a commit of their own: whoever came meanwhile waited for the rest."""
    backlog = Backlog()
    for n in range(MOST):
        backlog.append(waiting("mallory", 0, refused=1, source=f"m{n % 50}", name=n))
    assert sum(map(work_of, backlog.take(MOST, 10**9))) >= MOST
    backlog.append(waiting("bob"))
    assert users(backlog.take(MOST, 10**9)) == {"bob"}


def test_those_who_send_much_take_turns() -> None:
    backlog = Backlog()
    for n in range(50):
        backlog.append(waiting("mallory", MOST, name=n))
    for n in range(3):
        backlog.append(waiting("bob", MOST, name=n))
    users = [each.delivery.origin.user for commit in commits(backlog)[:6] for each in commit]
    assert users.count("bob") == 3


def test_a_commit_is_bounded_in_refused_events_too() -> None:
    backlog = Backlog()
    for n in range(40):
        backlog.append(waiting(f"u{n % 4}", 0, refused=20))
    found = commits(backlog)
    assert max(sum(map(work_of, commit)) for commit in found) <= MOST + 200
    assert sum(map(len, found)) == 40


EVENTS = st.integers(1, 20) | st.integers(1, 400)


def test_of_one_user_a_commit_has_no_more_than_is_asked_for_and_others_fill_it() -> None:
    backlog = Backlog()
    for n in range(3):
        for user in ("mallory", "carol", "dave"):
            backlog.append(waiting(user, 100, name=n))
    first = backlog.take(MOST, 10**9, of_one=150)
    assert [(each.delivery.origin.user, each.delivery.token) for each in first] == [
        (user, n) for n in range(2) for user in ("mallory", "carol", "dave")
    ]
    assert backlog.work == 300
    assert len(backlog.take(MOST, 10**9, of_one=300)) == 3, "it is no more than that of all of them"
    assert (backlog.work, backlog.held, bool(backlog)) == (0, 0, False)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), EVENTS), max_size=60),
    st.integers(0, 9),
    st.none() | st.integers(1, 2 * MOST),
)
def test_what_is_of_one_source_or_one_user_keeps_its_order(
    came: list[tuple[int, int, int]], between: int, of_one: int | None
) -> None:
    backlog = Backlog()
    taken: list[WaitingDelivery] = []
    for number, (user, source, events) in enumerate(came):
        backlog.append(waiting(f"u{user}", events, source=f"s{source}", name=number))
        if between and number % between == 0:
            taken += backlog.take(MOST, 10**9, of_one=of_one)
    while backlog:
        taken += backlog.take(MOST, 10**9, of_one=of_one)
    assert (backlog.work, backlog.held) == (0, 0)
    assert sorted(each.delivery.token for each in taken) == list(range(len(came)))
    for key in (lambda each: each.delivery.source, lambda each: each.delivery.origin.user):
        for name in set(map(key, taken)):
            tokens = [each.delivery.token for each in taken if key(each) == name]
            assert tokens == sorted(tokens)


def test_long_events_are_as_much_work_as_their_bytes() -> None:
    """A bystander's event was in one commit with series, of which each takes as long as two hundred small events."""
    assert work_of(waiting("mallory", 1, size=200_000)) > LIGHT
    assert work_of(waiting("mallory", 500, size=50_000)) == 500, "of many small ones it is their number"
    backlog = Backlog()
    for n in range(2):
        backlog.append(waiting("mallory", 1, name=n, size=200_000))
    backlog.append(waiting("bob"))
    assert users(backlog.take(5_000, 10**9)) == {"bob"}
