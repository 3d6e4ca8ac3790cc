"""What formats remember of a type goes when the consent to store it does, whatever comes next."""

import asyncio
import json
from pathlib import Path

import pytest

from bridge.jobs.consent_watch import ConsentWatch
from bridge.jobs.format_memories import FormatMemories
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.formats.port import AppMessage, Fold
from healthsync_mqtt.identity.consent.decisions import NOBODY, in_force
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import FormatMemory
from tests.support.consent import agreed, grant
from tests.support.patience import until
from tests.unit.bridge.bench import NOW_US, Bench, delivery


class Nights:
    """A test's format: it remembers the last word that it was told, which is about sleep."""

    name = "nights"
    summary = "a test's"
    roots = ()
    remembers: frozenset[str] = frozenset({"sleep"})

    def takes(self) -> tuple[()]:
        return ()

    def fold(self, _state: bytes, message: AppMessage) -> Fold:
        yield from ()
        return json.dumps(json.loads(message.payload)["word"]).encode()


class Two(Nights):
    """The same with weights beside, and what it remembers can be taken apart."""

    name = "two"

    def holds(self, state: bytes) -> frozenset[str]:
        return frozenset(state.decode().split(",")) if state else frozenset()

    def without(self, state: bytes, types: frozenset[str]) -> bytes:
        return ",".join(each for each in state.decode().split(",") if each not in types).encode()


class Unknown(Nights):
    """Of what its state is, only a message says."""

    name = "unknown"
    remembers: frozenset[str] = frozenset()


@pytest.fixture(autouse=True)
def _forms(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = {form.name: form for form in (Nights(), Two(), Unknown())}
    monkeypatch.setattr("bridge.pipeline.FORMATS", forms)
    monkeypatch.setattr("bridge.jobs.format_memories.FORMATS", forms)


def message(bench: Bench, word: str, form: str = "nights") -> Delivery:
    made = delivery(bench.source(), 1, json.dumps({"word": word}).encode())
    return made._replace(origin=Origin("alice", "phone", None, f"users/alice/devices/phone/formats/{form}"), form=form)


class Rig:
    """A pipeline, its gate, and the job beside it."""

    def __init__(self) -> None:
        self.gate = ConsentGate(agreed("alice", "bob"))
        self.bench = Bench(gate=self.gate)
        self.now_s = 0.0
        self.now_us = NOW_US
        reader = self.bench.log.reader()
        self.job = FormatMemories(
            self.gate,
            self.bench.pipeline.folds,
            reader,
            self.bench.chores,
            clock_us=lambda: self.now_us,
            monotonic_s=lambda: self.now_s,
        )

    async def kept(self, state: bytes, form: str = "nights", user: str = "alice") -> None:
        self.bench.chores.add(lambda journal: journal.remember(FormatMemory(user, "phone", form, state)))
        await self.bench.settle()

    async def look(self) -> None:
        await self.job.look()
        await self.bench.settle()

    def state(self, form: str = "nights", user: str = "alice") -> bytes:
        return self.bench.log.reader().format_state(user, "phone", form)


async def test_what_is_remembered_goes_at_the_withdrawal_and_nothing_of_others() -> None:
    rig = Rig()
    try:
        await rig.kept(b"a night")
        await rig.kept(b"a night of bob's", user="bob")
        await rig.look()
        assert rig.state() == b"a night"
        rig.gate.amend(in_force(grant("alice", ["weight"])))
        await rig.look()
        assert rig.state() == b""
        assert rig.state(user="bob") == b"a night of bob's"
        commits = rig.bench.log.commits
        await rig.look()
        assert rig.bench.log.commits == commits, "nothing more is to be done"
    finally:
        rig.bench.close()


async def test_of_what_can_be_taken_apart_the_rest_stays() -> None:
    rig = Rig()
    try:
        await rig.kept(b"sleep,weight,steps", "two")
        rig.gate.amend(in_force(grant("alice", ["weight", "steps"])))
        await rig.look()
        assert rig.state("two") == b"weight,steps"
    finally:
        rig.bench.close()


async def test_what_nobody_can_tell_goes_with_the_last_consent() -> None:
    rig = Rig()
    try:
        await rig.kept(b"something", "unknown")
        await rig.kept(b"of a format that is gone", "withdrawn")
        rig.gate.amend(in_force(grant("alice", ["weight"])))
        await rig.look()
        assert (rig.state("unknown"), rig.state("withdrawn")) == (b"something", b"of a format that is gone")
        rig.gate.replace(NOBODY)
        await rig.look()
        assert (rig.state("unknown"), rig.state("withdrawn")) == (b"", b"")
    finally:
        rig.bench.close()


async def test_what_was_withdrawn_while_the_service_was_down_goes_at_its_start() -> None:
    rig = Rig()
    try:
        await rig.kept(b"a night", user="removed")
        await rig.look()
        assert rig.state(user="removed") == b""
    finally:
        rig.bench.close()


async def test_consent_that_ends_at_its_date_takes_along_what_is_remembered() -> None:
    rig = Rig()
    rig.gate.replace(in_force(grant("alice", expires_us=NOW_US + 1_000)))
    try:
        await rig.kept(b"a night")
        await rig.look()
        rig.now_us += 2_000
        await rig.look()
        assert rig.state() == b"a night"
        rig.now_s += 3_601
        await rig.look()
        assert rig.state() == b""
    finally:
        rig.bench.close()


async def test_a_message_that_is_under_way_brings_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state was made before the withdrawal; written after what is left, it would stay."""
    rig = Rig()
    try:
        await rig.kept(b"old")
        await rig.look()
        rig.bench.log.gate.clear()
        rig.bench.pipeline.submit([message(rig.bench, "new")])
        await until(lambda: bool(rig.bench.log._memories), "it waits for its commit")
        rig.gate.amend(in_force(grant("alice", ["weight"])))
        await rig.job.look()
        rig.bench.log.gate.set()
        await rig.bench.settle()
        assert rig.state() == b'"new"', "consent was asked before it was withdrawn"
        await rig.look()
        assert rig.state() == b""
    finally:
        rig.bench.close()


async def test_a_log_that_cannot_be_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    try:
        await rig.kept(b"a night")
        await rig.look()
        rig.gate.amend(in_force(grant("alice", ["weight"])))

        def broken(_user: str) -> list[FormatMemory]:
            raise StoreError("the disk failed")

        with monkeypatch.context() as patch:
            patch.setattr(rig.job._reader, "format_states", broken)
            with pytest.raises(StoreError):
                await rig.job.look()
        await rig.look()
        assert rig.state() == b""
    finally:
        rig.bench.close()


async def test_what_the_watch_of_an_external_bridge_reads_reaches_it(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("alice", "all", NOW_US)
        rig = Rig()
        watch = ConsentWatch(tmp_path / "registry.db", rig.gate)
        try:
            await rig.kept(b"a night")
            await rig.look()
            assert rig.state() == b"a night"
            registry.consent.withdraw("alice", ["sleep"], NOW_US + 1)
            await watch.look()
            await rig.look()
            assert rig.state() == b""
        finally:
            watch.close()
            rig.bench.close()
            await asyncio.sleep(0)
