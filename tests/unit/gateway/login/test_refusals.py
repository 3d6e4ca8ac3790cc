"""HeldRefusals that are held back: what one address may have of them, and who makes room for whom."""

import asyncio
from contextlib import ExitStack

from healthsync_mqtt.gateway.login.refusals import HeldRefusals

LONG_S = 600.0


def test_an_address_that_has_its_share_is_not_looked_at() -> None:
    refusals = HeldRefusals(most=10, most_of_address=2)
    with ExitStack() as held:
        assert all(held.enter_context(refusals.place("a")) for _ in range(2))
        with refusals.place("a") as third:
            assert third is None
        with refusals.place("b") as other:
            assert other is not None
    assert refusals.total == 0


async def test_the_oldest_of_the_address_that_has_most_makes_room() -> None:
    refusals = HeldRefusals(most=3, most_of_address=3)

    async def held(address: str) -> None:
        with refusals.place(address) as place:
            assert place is not None
            await place.hold(LONG_S)

    crowd = [asyncio.create_task(held("a")) for _ in range(3)]
    await asyncio.sleep(0)
    with refusals.place("a") as fourth:
        assert fourth is None  # the crowd itself gets nothing sooner
    newcomer = asyncio.create_task(held("b"))
    await crowd[0]
    await asyncio.sleep(0)
    assert [task.done() for task in (*crowd, newcomer)] == [True, False, False, False]
    assert refusals.total == 3
    for task in (*crowd, newcomer):
        task.cancel()
    await asyncio.gather(*crowd, newcomer, return_exceptions=True)
    assert refusals.total == 0


def test_a_crowd_of_addresses_with_one_each_shuts_nobody_out() -> None:
    refusals = HeldRefusals(most=3, most_of_address=3)
    with ExitStack() as held:
        for address in ("a", "b", "c"):
            held.enter_context(refusals.place(address))
        with refusals.place("d") as newcomer:
            assert newcomer is not None
            assert refusals.total == 3
    assert refusals.total == 0
