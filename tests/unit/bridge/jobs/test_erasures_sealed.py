"""A sealed log: the person's keys go first, so that no copy of the rows can be read; also those made meanwhile."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.embedded import EmbeddedEdge
from bridge.jobs import erasures
from bridge.service import Service
from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.cli.status import _noteworthy
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.keys.faults import KeyDestroyedError, KeyUnavailableError
from healthsync_mqtt.keys.opening import ring_of
from healthsync_mqtt.model.erasure import ErasureStep, PersonErasure
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.sealed import own_ring, sealed_reader, sealed_writer

WHO = "marker-zoe"


def test_the_keys_are_destroyed_before_a_row_is_touched_and_once_more_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "_LATE_S", 0.0)
    data = tmp_path / "data"
    place = DataDirectory(data)
    with place.changing() as change:
        for user in (WHO, "bob"):
            change.registry.add_user(user, "*", NOW_US)
            change.registry.add_device(user, f"{user}-watch", NOW_US)
    with sealed_writer(data) as log:
        log.stage([item("a1", WHO), item("b1", "bob")], [], NOW_US)
        log.commit()
    sealed = own_ring(data).seal(WHO, b"a copy", b"")
    with place.changing() as change:
        change.registry.erase(WHO, NOW_US + 10_000_000)
    real = erasures.Erasures._leave_log
    seen = []

    async def leave_log(self: erasures.Erasures, erasure: PersonErasure) -> None:
        assert erasure.step is ErasureStep.log
        with sealed_reader(data) as reader:
            seen.append(reader.rows_of(WHO, 0, 9))
            row = reader.get(1)
            assert row is None or (row.id, row.body) == ("", b""), row
        ring = own_ring(data)
        with pytest.raises(KeyDestroyedError):
            ring.open(WHO, sealed, b"")
        ring.seal(WHO, b"what was on its way", b"")
        assert WHO.encode() in (data / "keys.db").read_bytes()
        await real(self, erasure)

    monkeypatch.setattr(erasures.Erasures, "_leave_log", leave_log)

    async def work() -> None:
        async with Service.open(load_settings(data), EmbeddedEdge.open) as service:
            assert service.erasures is not None
            await service.erasures.finish()

    asyncio.run(work())
    assert seen == [[1]], "the row was there"
    left = [each.name for each in data.rglob("*") if each.is_file() and WHO.encode() in each.read_bytes()]
    assert left == []
    with sealed_reader(data) as reader:
        assert [(row.user, row.id) for row in reader.read(0, 9)] == [("bob", "b1")]


def test_it_waits_for_an_outer_key_that_is_away_and_ends_where_that_is_lost_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key opens the tokens with which a provider is told; what waits says so, and what to do about it."""
    monkeypatch.setattr(erasures, "_LATE_S", 0.0)
    data = tmp_path / "data"
    place = DataDirectory(data)
    with place.changing() as change:
        change.registry.add_user(WHO, "*", NOW_US)
    with LinkBook.open(data) as book:
        book.agree(WHO, "whoop", Tokens("access", "refresh", NOW_US, account="marker-account"), "read", NOW_US)
    with place.changing() as change:
        erasure = change.registry.erase(WHO, NOW_US + 10_000_000)
    outer = data / "keys" / "outer.json"

    async def work() -> None:
        async with Service.open(load_settings(data), EmbeddedEdge.open) as service:
            assert service.erasures is not None
            content = outer.read_bytes()
            outer.unlink()
            ring_of(data)._known.clear()  # as after a start: nobody has used her key yet
            with pytest.raises(KeyUnavailableError):
                await service.erasures.look()
            (left,) = service.erasures.report()
            assert (left["step"], left["pending"]) == ("links", [])
            assert "outer.json is missing" in left["message"]
            assert left["fix"].endswith("if it is lost for good: healthsync key rewrap --give-up-lost")
            assert f"{left['message']}; {left['fix']}" in dict(_noteworthy({"erasures": [left]}))["erasure"]
            words = ["key", "rewrap", "--give-up-lost", "--yes", "--data", str(data)]
            done = await asyncio.to_thread(CliRunner().invoke, program(needed(words)), words)
            assert done.exit_code == 0, done.output
            assert outer.read_bytes() != content
            await service.erasures.finish()
            assert service.erasures.report() == [], "no provider can be told any more"

    asyncio.run(work())
    with place.registry() as registry:
        assert registry.erasures.done() == (erasure.id,)
    assert not any(WHO.encode() in each.read_bytes() for each in data.rglob("*") if each.is_file())
