"""The contract of what keeps sessions: the file, one in memory, one that keeps nothing; and that it can fail."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from healthsync_mqtt.broker.embedded.sessions.port import (
    Keep,
    KeepNothing,
    KeptSession,
    KeptWill,
    OwedMessage,
    Subscribed,
)
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.testing.keep_contract import KeepContract, KeepPlace, LastingKeepContract
from healthsync_mqtt.testing.memory_keep import MemoryKeep, MemoryRecord


class InAFile:
    """A kill is a copy of the files as they are: the store that was killed may do what it wants afterwards."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs = 0
        self._stores: list[SessionStore] = []

    def open(self) -> Keep:
        self._stores.append(SessionStore.open(self._path / "sessions.db"))
        return self._stores[-1]

    def end(self, *, clean: bool) -> None:
        if clean:
            self._stores[-1].close()
        before = self._path
        self._runs += 1
        shutil.copytree(before, self._path)

    def close(self) -> None:
        for store in self._stores:
            store.close()

    @property
    def _path(self) -> Path:
        return self._directory / str(self._runs)


class InMemory:
    def __init__(self, kind: Callable[[MemoryRecord], Keep] = MemoryKeep) -> None:
        self._kind = kind
        self._record = MemoryRecord()

    def open(self) -> Keep:
        return self._kind(self._record)

    def end(self, *, clean: bool) -> None:
        pass


class TestInAFile(LastingKeepContract):
    @pytest.fixture
    async def place(self, tmp_path: Path) -> AsyncIterator[KeepPlace]:
        place = InAFile(tmp_path)
        yield place
        place.close()


class TestInMemory(LastingKeepContract):
    @pytest.fixture
    def place(self) -> KeepPlace:
        return InMemory()


class TestNothing(KeepContract):
    @pytest.fixture
    def place(self) -> KeepPlace:
        return InMemory(lambda _record: KeepNothing())


class Deaf(MemoryKeep):
    def durable(self, then: Callable[[], None]) -> None:
        pass


class TellsTwice(MemoryKeep):
    def durable(self, then: Callable[[], None]) -> None:
        then()
        then()


class OneNumber(MemoryKeep):
    def opened(self, principal: Principal) -> int:
        self._record.sessions[1] = KeptSession(1, principal, None, {}, {}, [])
        return 1


class FirstWord(MemoryKeep):
    def owed(self, session: int, no: int, message: OwedMessage | None) -> None:
        if message is None or no not in self._record.sessions[session].owed:
            super().owed(session, no, message)


class KeepsFilters(MemoryKeep):
    def filter(self, session: int, topic_filter: str, kept: Subscribed | None) -> None:
        if kept is not None:
            super().filter(session, topic_filter, kept)


class KeepsDropped(MemoryKeep):
    def dropped(self, session: int) -> None:
        pass


class GivesAgain(MemoryKeep):
    def sessions(self) -> list[KeptSession]:
        return list(self._found)


class Forgets(MemoryKeep):
    def __init__(self, record: MemoryRecord) -> None:
        record.sessions.clear()
        super().__init__(record)


class KeepsWills(MemoryKeep):
    def will(self, no: int, will: KeptWill | None) -> None:
        if will is not None:
            super().will(no, will)


class OldPacketIds(MemoryKeep):
    def unreleased(self, session: int, packet_id: int, *, waits: bool) -> None:
        super().unreleased(session, packet_id, waits=True)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (TellsTwice, LastingKeepContract.test_who_asks_is_told_once_whatever_was_said),
        (OneNumber, LastingKeepContract.test_every_session_has_a_number_of_its_own),
        (OneNumber, LastingKeepContract.test_no_number_of_a_session_that_is_kept_comes_again),
        (FirstWord, LastingKeepContract.test_the_newest_word_counts),
        (KeepsFilters, LastingKeepContract.test_what_is_gone_does_not_come_back),
        (KeepsWills, LastingKeepContract.test_what_is_gone_does_not_come_back),
        (OldPacketIds, LastingKeepContract.test_what_is_gone_does_not_come_back),
        (KeepsDropped, LastingKeepContract.test_what_is_gone_does_not_come_back),
        (KeepsDropped, LastingKeepContract.test_the_next_session_of_a_client_has_nothing_of_the_one_before),
        (GivesAgain, LastingKeepContract.test_what_was_durable_is_there_after_a_kill_and_is_given_once),
        (Forgets, LastingKeepContract.test_a_clean_end_keeps_what_was_said_last),
        (Forgets, LastingKeepContract.test_what_is_owed_keeps_its_order),
        (Deaf, LastingKeepContract.test_a_callback_may_say_more),
    ],
)
async def test_a_keep_with_a_fault_does_not_pass(
    broken: Callable[[MemoryRecord], Keep], clause: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healthsync_mqtt.testing.keep_contract._WITHIN_S", 0.0)
    with pytest.raises((AssertionError, ValueError, TimeoutError)):
        await clause(LastingKeepContract(), InMemory(broken))
