"""What one bridge does for all that share a log begins with its election, ends with it, and may begin again."""

import asyncio

from bridge.leadership import Leadership
from bridge.supervisor import Supervisor
from healthsync_mqtt.storage.postgres.election import Ballot
from tests.unit.bridge.bench import until

AWAY = Ballot(leads=False)
ELECTED = Ballot(leads=True, head=7, bridges=("a", "b"), leader="a")
SINKS = {"shipper": "", "ships": False, "may_ship": False}


class Job:
    """Counts how often it began and how often it was ended."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def run(self) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


async def test_a_log_of_one_bridge_needs_no_election() -> None:
    job, sinks = Job(), Job()
    async with Supervisor() as tasks:
        leadership = Leadership(tasks, lambda _head: None)
        leadership.start({"publish": job.run}, {"ship": sinks.run}, elected=False)
        await until(lambda: job.begun == sinks.begun == 1)
        assert leadership.leads
        assert leadership.ships
        assert leadership.report() is None
        assert "election" not in tasks.names


async def test_jobs_run_while_this_bridge_leads_and_begin_anew_when_it_does_again() -> None:
    job, heads = Job(), list[int]()
    async with Supervisor() as tasks:
        leadership = Leadership(tasks, heads.append)
        leadership.start({"publish": job.run, "held": job.run}, {}, elected=True)
        leadership.told(AWAY)
        await until(lambda: leadership.report() is not None)
        assert (leadership.leads, job.begun, heads) == (False, 0, [])
        leadership.told(ELECTED)
        await until(lambda: job.begun == 2)
        assert leadership.report() == SINKS | {"bridges": ["a", "b"], "leader": "a", "leads": True}
        leadership.told(ELECTED._replace(head=9))
        await until(lambda: heads == [7, 9])
        assert job.begun == 2
        leadership.told(AWAY)
        await until(lambda: job.ended == 2)
        await until(lambda: tasks.names == ("election",))
        assert not leadership.leads
        assert tasks.down == ()
        leadership.told(ELECTED)
        await until(lambda: job.begun == 4)
        assert tasks.down == ()


async def test_heads_of_a_log_that_another_bridge_leads_are_nobodys_here() -> None:
    job, heads = Job(), list[int]()
    async with Supervisor() as tasks:
        leadership = Leadership(tasks, heads.append)
        leadership.start({"publish": job.run}, {}, elected=True)
        leadership.told(Ballot(leads=False, head=5, bridges=("a", "b"), leader="b"))
        await until(lambda: leadership.report() == SINKS | {"bridges": ["a", "b"], "leader": "b", "leads": False})
        assert (heads, job.begun) == ([], 0)


async def test_sinks_run_where_the_election_says_whoever_leads() -> None:
    publish, ship = Job(), Job()
    async with Supervisor() as tasks:
        leadership = Leadership(tasks, lambda _head: None)
        leadership.start({"publish": publish.run}, {"ship": ship.run, "retain": ship.run}, elected=True)
        ships = Ballot(leads=False, bridges=("a", "b"), leader="b", ships=True, shipper="a", may_ship=True)
        leadership.told(ships)
        await until(lambda: ship.begun == 2)
        assert (publish.begun, leadership.leads, leadership.ships) == (0, False, True)
        report = leadership.report()
        assert report is not None
        assert (report["shipper"], report["ships"], report["may_ship"]) == ("a", True, True)
        leadership.told(ships._replace(leads=True, leader="a"))
        await until(lambda: publish.begun == 1)
        leadership.told(ships._replace(leads=True, leader="a", ships=False, shipper=""))
        await until(lambda: ship.ended == 2)
        assert (publish.ended, leadership.leads, leadership.ships) == (0, True, False)
