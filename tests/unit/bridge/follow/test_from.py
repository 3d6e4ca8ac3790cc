"""``from``: a subscriber is given the past out of the log before the present."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.ports import Wish
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.start_position import Earliest, FromPosition, FromTime, parse_since
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.storage.subscriber_start import place
from healthsync_mqtt.testing.log_items import item
from tests.unit.bridge.bench import until
from tests.unit.bridge.follow.test_publish import Line, Stand, stand, standing

__all__ = ["stand"]

ALICE = "users/alice/canonical/+"
STEPS = "users/alice/canonical/steps"


def wishing(stand: Stand, line: Line, topic_filter: str, since: str | None = None) -> None:
    """One more filter of a connected session, as the door adds it."""
    session = line.session
    assert session is not None
    stand.sessions.index.add(session, topic_filter, 1)
    wish = Wish(topic_filter, 1, 0, () if since is None else (("from", since),))
    assert stand.publisher.refusal(session, wish) is None
    stand.publisher.prepare(session, [wish], lambda: stand.publisher.attach(session))


def connected(stand: Stand, topic_filter: str = ALICE, since: str | None = None, *, clean: bool = True) -> Line:
    line = Line()
    principal = Principal(role=Role.subscriber, client_id="app", users=None, types=None)
    session, _ = stand.sessions.open(line, principal, clean=clean)
    line.session, line.wanted = session, lambda: stand.publisher.wanted(session)
    wishing(stand, line, topic_filter, since)
    return line


async def all_of(line: Line, ids: Sequence[str]) -> None:
    while len(line.ids()) < len(ids):
        before = len(line.ids())
        line.acknowledge()
        await until(lambda: len(line.ids()) > before)  # noqa: B023
    assert line.ids() == list(ids)


async def test_from_earliest_the_past_comes_first_and_then_the_present(stand: Stand) -> None:
    names = [f"e{number}" for number in range(1_500)]
    stand.store(*names)
    line = connected(stand, since="earliest")
    stand.store("live")
    await all_of(line, [*names, "live"])
    line.acknowledge()
    stand.store("later")
    await until(lambda: line.ids()[-1] == "later")


async def test_from_a_seq_of_the_users_events(stand: Stand) -> None:
    for number in range(20):
        stand.store(f"a{number}")
        stand.store(f"b{number}", user="bob")
    line = connected(stand, since="18")
    await all_of(line, ["a17", "a18", "a19"])
    assert line.events()[0]["seq"] == 18


async def test_from_a_time_is_what_came_in_then_or_later(stand: Stand) -> None:
    for number in range(10):
        stand.log.stage([item(f"e{number}")], [], 1_700_000_000_000_000 + number * 1_000_000)
        stand.log.commit()
    stand.publisher._front.head = stand.log.head()
    line = connected(stand, since="2023-11-14T22:13:27Z")
    await all_of(line, ["e7", "e8", "e9"])


async def test_another_filter_of_the_session_brings_nothing_again(stand: Stand) -> None:
    stand.store("s0", event_type="steps")
    line = connected(stand)
    stand.store("h1")
    stand.store("s2", event_type="steps")
    await all_of(line, ["h1", "s2"])
    line.acknowledge()
    wishing(stand, line, STEPS, "earliest")
    stand.store("h3")
    await all_of(line, ["h1", "s2", "s0", "s2", "h3"])
    line.acknowledge()
    stand.store("s4", event_type="steps")
    await until(lambda: line.ids()[-1] == "s4")
    assert line.ids().count("s4") == 1


async def test_a_filter_without_from_has_no_past_while_another_has(stand: Stand) -> None:
    stand.store("h0", "h1")
    stand.store("b0", user="bob")
    line = connected(stand, since="earliest")
    wishing(stand, line, "users/bob/canonical/+")
    stand.store("b1", user="bob")
    await all_of(line, ["h0", "h1", "b1"])


async def test_the_same_filter_again_brings_the_past_again(stand: Stand) -> None:
    stand.store("a", "b")
    line = connected(stand, since="earliest")
    await all_of(line, ["a", "b"])
    line.acknowledge()
    wishing(stand, line, ALICE, "earliest")
    await all_of(line, ["a", "b", "a", "b"])


async def test_a_replay_outlasts_the_service() -> None:
    log = MemoryEventLog()
    names = [f"e{number}" for number in range(300)]
    async with standing(log) as stand:
        stand.store(*names)
        line = connected(stand, since="earliest", clean=False)
        await until(lambda: len(line.ids()) >= 100)
        line.reads = False
    assert log.reader().cursors() == {"subscriber:app": 0}  # before the SUBACK, and nothing is acknowledged
    async with standing(log) as stand:
        again = stand.connect(clean=False)
        await all_of(again, names)


async def test_what_there_is_no_consent_for_is_no_part_of_the_past(stand: Stand) -> None:
    stand.store("mine")
    stand.store("hers", user="carol")
    line = connected(stand, "users/+/canonical/+", "earliest")
    stand.store("then", user="bob")
    await all_of(line, ["mine", "then"])


async def test_a_from_that_means_nothing_is_refused(stand: Stand) -> None:
    line = connected(stand)
    assert line.session is not None
    for topic_filter, since in (
        (ALICE, "yesterday"),
        (ALICE, "2023-11-14T22:13:27"),
        (ALICE, "-1"),
        (ALICE, ""),
        ("users/+/canonical/+", "7"),
        ("$share/g/users/+/canonical/steps", "7"),
    ):
        refusal = stand.publisher.refusal(line.session, Wish(topic_filter, 1, 0, (("from", since),)))
        assert refusal is not None, (topic_filter, since)
        assert refusal.reason == "bad_from"


async def test_two_froms_are_refused_whichever_comes_first(stand: Stand) -> None:
    line = connected(stand)
    assert line.session is not None
    for said in (("earliest", "1"), ("1", "earliest"), ("earliest", "earliest")):
        asked = Wish(ALICE, 1, 0, (("other", "x"), *(("from", each) for each in said)))
        refusal = stand.publisher.refusal(line.session, asked)
        assert refusal is not None
        assert (refusal.reason, "once" in refusal.said) == ("bad_from", True)


def test_places_in_the_log() -> None:
    log = MemoryEventLog()
    for number in range(9):
        log.stage([item(f"e{number}", ("alice", "bob")[number % 2])], [], 100 + 10 * (number // 3))
        log.commit()
    reader = log.reader()
    assert place(Earliest(), reader, 9, None) == 0
    assert [place(FromTime(at), reader, 9, None) for at in (0, 100, 101, 110, 115, 120, 121)] == [0, 0, 3, 3, 6, 6, 9]
    assert [place(FromPosition(at), reader, 9, "bob") for at in (0, 1, 2, 4, 5)] == [0, 0, 2, 6, 8]
    assert place(FromPosition(1), reader, 9, "nobody") == 0
    assert place(FromTime(0), MemoryEventLog().reader(), 0, None) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol"]), st.integers(1, 9)), max_size=12),
    st.sets(st.integers(1, 60)),
    st.sampled_from([2, 4, 8, 64]),
)
def test_a_place_is_found_among_the_users_own_rows_and_others_change_nothing(
    runs: list[tuple[str, int]], purged: set[int], block: int
) -> None:
    """In a log on disk, whose newest rows are in no index yet: what somebody else has there is nobody's answer."""
    owners = [user for user, count in runs for _ in range(count)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.db"
        with SqliteEventLog.open(path, tuning=Tuning(rows_per_block=block)) as log:
            for number, user in enumerate(owners):
                log.stage([item(f"e{number}", user)], [], 100 + number)
                log.commit()
            log.purge("heart_rate", 1 << 62, sorted(seq for seq in purged if seq <= len(owners)))
            head = log.commit()
            with SqliteLogReader.open(path) as reader:
                for user in ("alice", "bob", "carol"):
                    mine = [seq for seq, owner in enumerate(owners, 1) if owner == user]
                    for position in range(len(mine) + 3):
                        begin = place(FromPosition(position), reader, head, user)
                        assert [seq for seq in mine if seq > begin] == mine[max(0, position - 1) :]
                for number in range(len(owners) + 2):
                    assert place(FromTime(100 + number), reader, head, None) == min(number, head)


def test_what_from_may_be() -> None:
    assert parse_since("earliest") == Earliest()
    assert parse_since("0017") == FromPosition(17)
    assert parse_since("1970-01-01T00:00:01Z") == parse_since("1970-01-01T01:00:01+01:00") == FromTime(1_000_000)
    for wrong in ("", "Earliest", "1.5", "-3", "٣", "9" * 19, "1970-01-01", "1970-01-01T00:00:01", "now"):
        with pytest.raises(InputError) as refused:
            parse_since(wrong)
        assert "earliest" in refused.value.hint


@pytest.mark.parametrize("seed", range(12))
async def test_filters_that_go_back_at_random_miss_nothing_and_repeat_nothing_for_the_others(
    stand: Stand, seed: int
) -> None:
    """Each filter ends with exactly what its last ``from`` asked for; what another asks for brings it nothing twice.

    A SUBSCRIBE without ``from`` of a filter that is there changes nothing: clients say it again at each connection.
    """
    rng = Random(seed)
    kinds = {"heart_rate": "users/alice/canonical/heart_rate", "steps": STEPS, "weight": "users/alice/canonical/weight"}
    logged: list[str] = []  # the type of each row
    line = connected(stand, "users/bob/canonical/+")
    assert line.session is not None
    starts: dict[str, int] = {}
    heard: dict[str, int] = {}  # what had come when the filter was subscribed to last

    for _ in range(120):
        match rng.randrange(6):
            case 0 | 1 | 2:
                kind = rng.choice(list(kinds))
                for _ in range(rng.randrange(1, 8)):
                    stand.store(f"{kind}-{len(logged)}", event_type=kind)
                    logged.append(kind)
            case 3:
                kind = rng.choice(list(kinds))
                if kind in starts and rng.random() < 0.4:
                    wishing(stand, line, kinds[kind])
                else:
                    starts[kind] = rng.randrange(len(logged) + 1)
                    heard[kind] = len(line.events()) + line.session.backlog
                    wishing(stand, line, kinds[kind], str(starts[kind] + 1))
            case _:
                line.reads = rng.random() < 0.8
                line.acknowledge()
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
    line.reads = True
    last = -1
    while last != len(line.ids()):
        last = len(line.ids())
        for _ in range(3):
            line.acknowledge()
            for _ in range(10):
                await asyncio.sleep(0)
    for kind, start in starts.items():
        got = [int(name.rsplit("-", 1)[1]) for name in line.ids() if name.startswith(kind)]
        wanted = [number for number, each in enumerate(logged) if each == kind and number >= start]
        assert got[len(got) - len(wanted) :] == wanted
        since_then = [name for name in line.ids()[heard[kind] :] if name.startswith(kind)]
        assert len(since_then) <= len(wanted)
