"""The simulator finds planted defects of each kind, replays a seed exactly, and finds nothing in the service itself."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import pytest

from bridge.jobs.revocations import Revocations
from healthsync_mqtt.broker.embedded.sessions import store
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.proof import Answer, Login, Proof
from healthsync_mqtt.identity.login.tokens import TokenVerifier
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.sinks import shipper
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep
from healthsync_mqtt.storage.port import Item, Quarantined
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.simulator.machine import SimulatedJournal
from healthsync_mqtt.testing.simulator.node import ServiceParts
from healthsync_mqtt.testing.simulator.sink import ConcurrentReader, ServerSink, Work
from healthsync_mqtt.testing.simulator.virtual_time import StandstillError, VirtualLoop
from healthsync_mqtt.testing.simulator.world import SeedOutcome, SimulatedFault, simulate

MOST_SEEDS = 100
TRIED = frozenset(SimulatedFault)


class EarlyJournal(SimulatedJournal):
    """Says that a commit is done before it is."""

    def commit(self, done: Callable[[int, StoreError | None], None]) -> None:
        self._loop.call_later(0.001, done, self._log.head(), None)
        self._loop.call_later(0.3, self._late)

    def hurry(self) -> None:
        """There is no commit to hurry."""

    def _late(self) -> None:
        with suppress(Exception):  # the process may be dead by now
            self._log.commit()


class SlowJournal(SimulatedJournal):
    """Mostly in the middle of a commit."""

    def commit(self, done: Callable[[int, StoreError | None], None]) -> None:
        self._due = (self._loop.call_later(self._chance.expovariate(4.0), self._commit, done), done)


class FirstWinsLog(SqliteEventLog):
    """De-duplicates by arrival: what comes second under an id is a duplicate, whatever its version."""

    def stage(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        seen: set[tuple[str, str]] = self.__dict__.setdefault("seen", set())
        fresh = []
        for item in items:
            key = (item.origin.user, item.event.id)
            if key not in seen:
                seen.add(key)
                fresh.append(item)
        seqs = iter(super().stage(fresh, rejected, received_us))
        return [next(seqs) if item in fresh else 0 for item in items]


class HastySink(ServerSink):
    """Says that everything has arrived, and sends it afterwards."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self._later: list[Work] = []

    def begin(self, rows: Rows) -> Work:
        work = super().begin(rows)
        self._later.append(Work(rows, list(work.left)))
        work.left.clear()
        return work

    def mend(self, now_us: int) -> SinkStep:
        if self._later and super().step(self._later[0]).next is Next.DONE:
            self._later.pop(0)
        return super().mend(now_us)


class TornReader(ConcurrentReader):
    """Reads each page of a piece as the log is at that moment."""

    def snapshot(self) -> AbstractContextManager[None]:
        return nullcontext()


def found(plan: ServiceParts, *faults: SimulatedFault) -> SeedOutcome | None:
    """The first seed at which a promise breaks."""
    for seed in range(MOST_SEEDS):
        outcome = simulate(seed, plan=plan, only=frozenset(faults))
        if outcome.violations:
            return outcome
    return None


def test_an_acknowledgement_before_the_commit_is_found() -> None:
    outcome = found(ServiceParts(journal=EarlyJournal), SimulatedFault.POWER_CUT)
    assert outcome is not None
    assert any(each.startswith("G1") for each in outcome.violations), outcome
    assert simulate(outcome.seed, only=frozenset({SimulatedFault.POWER_CUT})).violations == ()


def test_a_dedupe_by_arrival_order_is_found() -> None:
    outcome = found(ServiceParts(open_log=FirstWinsLog.open))
    assert outcome is not None
    assert any(each.startswith(("G1", "G5")) for each in outcome.violations), outcome


def test_a_cursor_before_its_effect_is_found() -> None:
    outcome = found(ServiceParts(sink=HastySink), SimulatedFault.KILL, SimulatedFault.SINK_AWAY)
    assert outcome is not None
    assert any(each.startswith(("G2", "G6")) for each in outcome.violations), outcome


def test_a_torn_snapshot_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "_ROWS_A_READ", 1)
    outcome = found(ServiceParts(journal=SlowJournal, sink_reader=TornReader), SimulatedFault.SINK_AWAY)
    assert outcome is not None
    assert any(each.startswith("G2: the sink") for each in outcome.violations), outcome
    whole = simulate(outcome.seed, plan=ServiceParts(journal=SlowJournal), only=frozenset({SimulatedFault.SINK_AWAY}))
    assert whole.violations == ()


class ForgetfulLog(SqliteEventLog):
    """Refuses for good what its clock finds early: the acknowledgement was the last that anybody hears of it."""

    def stage(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        for_good = [row._replace(rejection=row.rejection._replace(due_us=None)) for row in rejected]
        return super().stage(items, for_good, received_us)


def test_a_refusal_for_good_by_a_wrong_clock_is_found() -> None:
    outcome = found(ServiceParts(open_log=ForgetfulLog.open), SimulatedFault.CLOCK_JUMP)
    assert outcome is not None
    assert any(each.startswith("G1") for each in outcome.violations), outcome
    assert simulate(outcome.seed, only=frozenset({SimulatedFault.CLOCK_JUMP})).violations == ()


class HastyStore(SessionStore):
    """Says that what is owed outlasts a crash, and writes it afterwards."""

    def durable(self, then: Callable[[], None]) -> None:
        then()


def test_a_session_that_is_told_of_before_it_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_GATHER_S", 0.5)
    outcome = found(ServiceParts(open_sessions=HastyStore.open), SimulatedFault.KILL, SimulatedFault.POWER_CUT)
    assert outcome is not None
    assert any(each.startswith("sessions") for each in outcome.violations), outcome
    assert simulate(outcome.seed, only=frozenset({SimulatedFault.KILL, SimulatedFault.POWER_CUT})).violations == ()


class BlindRevocations(Revocations):
    """Reads the registry, and ends no connection for what it found there."""

    async def look(self) -> None:
        await self._newcomers.read()
        self._consents_read()


def test_a_connection_that_outlives_its_rights_is_found() -> None:
    outcome = found(ServiceParts(revocations=BlindRevocations), SimulatedFault.REVOCATION)
    assert outcome is not None
    assert any(each.startswith("G7") for each in outcome.violations), outcome
    assert simulate(outcome.seed, only=frozenset({SimulatedFault.REVOCATION})).violations == ()


class SignatureAlone:
    """Takes every token that we signed, whatever has become of its holder since."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def answer(self, proof: Proof, now: float) -> Answer:
        claims = self._verifier.verify(proof.secret(), now=now)
        role, device = claims.role, claims.device
        user = claims.subject if role is Role.device else None
        return Login(
            principal=Principal(role=role, client_id=proof.client_id, user=user, device=device, users=None, types=None),
            expires_at=claims.expires_at,
            jti=claims.jti,
        )


def test_a_login_that_asks_no_registry_is_found() -> None:
    def lax(directory: Directory, verifier: TokenVerifier) -> Logins:
        return Logins(directory, [SignatureAlone(verifier)])

    outcome = found(ServiceParts(logins=lax), SimulatedFault.REVOCATION)
    assert outcome is not None
    assert any(each.startswith("G7") for each in outcome.violations), outcome


@pytest.mark.parametrize("seed", [3, 7])
def test_a_seed_replays_exactly(seed: int) -> None:
    assert simulate(seed) == simulate(seed)


def test_the_service_as_it_is_keeps_its_promises() -> None:
    broken = [outcome for outcome in (simulate(seed, only=TRIED) for seed in range(25)) if outcome.violations]
    assert broken == []


@pytest.mark.parametrize("seed", [650, 810])
def test_what_the_service_held_is_stored_in_the_end(seed: int) -> None:
    """After a restore the client sends it again; a late receipt that says held is of an event that was stored since."""
    assert simulate(seed).violations == ()


def test_a_program_that_waits_for_nothing_is_found() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(StandstillError):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()


def test_time_passes_only_when_everybody_waits() -> None:
    async def hours() -> float:
        import asyncio

        await asyncio.sleep(7200)
        return asyncio.get_running_loop().time()

    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(hours()) == pytest.approx(7200)
    finally:
        loop.close()
