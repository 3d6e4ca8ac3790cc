"""What every edge of the bridge promises (``bridge.service.Edge``), as tests that any of them runs through.

Subclass ``EdgeContract`` in a test module and give it a ``site`` fixture: a data directory, and the
edge for its service.
"""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from bridge.service import Service
from healthsync_mqtt.mqtt.links.port import ConnectionLostError

_WITHIN_S = 120.0


class RunningEdge(Protocol):
    """A service that listens, alice's device ``watch``, and a subscriber to alice's events whose session lasts."""

    @property
    def service(self) -> Service:
        """What runs."""

    async def publish(self, payload: bytes) -> None:
        """Alice's watch publishes; returns at the acknowledgement. ConnectionLostError when there is none to come."""

    async def receipt(self) -> dict[str, Any]:
        """The next receipt of alice's watch."""

    async def canonical(self) -> dict[str, Any]:
        """The next canonical event of the subscriber, which acknowledges it."""

    async def status(self) -> dict[str, Any]:
        """What the bridge last said of itself."""


class EdgeSite(Protocol):
    """A data directory, and who is known there."""

    def run(self) -> AbstractAsyncContextManager[RunningEdge]:
        """One run of the service after the other; it is stopped at the end."""


def event(name: str, bpm: int = 60) -> bytes:
    """A heart rate."""
    return json.dumps(
        {"id": name, "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z", "value": {"bpm": bpm}}
    ).encode()


def stored(service: Service) -> list[str]:
    """Ids of alice's events in the log."""
    return [record.id for record in service.reader.read(0, 1_000, user="alice")]


async def _stored_at_last(running: RunningEdge, *names: str) -> None:
    """A broker between device and bridge acknowledges before the bridge has it."""
    async with asyncio.timeout(_WITHIN_S):
        while set(names) - set(stored(running.service)):  # noqa: ASYNC110  # no event says it
            await asyncio.sleep(0.01)


class EdgeContract:
    """The tests."""

    async def test_an_event_is_stored_receipted_and_republished(self, site: EdgeSite) -> None:
        async with site.run() as running:
            await running.publish(event("a"))
            receipt = await running.receipt()
            assert (receipt["stored"], receipt["rejected"]) == (["a"], [])
            assert stored(running.service) == ["a"]
            assert receipt["epoch"] == running.service.journal.epoch
            canonical = await running.canonical()
            assert (canonical["id"], canonical["user_id"], canonical["device_id"]) == ("a", "alice", "watch")

    async def test_a_bad_event_blocks_nobody(self, site: EdgeSite) -> None:
        async with site.run() as running:
            await running.publish(b"{")
            assert [each["code"] for each in (await running.receipt())["rejected"]] == ["malformed"]
            await running.publish(event("odd", 900))
            assert [each["code"] for each in (await running.receipt())["rejected"]] == ["out_of_range"]
            await running.publish(event("a"))
            assert (await running.receipt())["stored"] == ["a"]
            assert (await running.canonical())["id"] == "a"

    async def test_it_says_that_it_is_there(self, site: EdgeSite) -> None:
        async with site.run() as running:
            assert (await running.status())["status"] == "online"
            report = running.service.report()
            assert report.healthy
            assert report.broker.connected
            assert report.broker.mode == running.service.edge.mode
            json.dumps(running.service.serving.report().sessions)

    async def test_subscribers_go_on_where_they_were_in_the_next_run(self, site: EdgeSite) -> None:
        async with site.run() as running:
            await running.publish(event("a"))
            assert (await running.canonical())["id"] == "a"
        async with site.run() as running:
            assert stored(running.service) == ["a"]
            await running.publish(event("a"))
            await running.publish(event("b"))
            while (came := (await running.canonical())["id"]) == "a":
                pass  # what the broker had not acknowledged before the end is said again
            assert came == "b"
            assert stored(running.service) == ["a", "b"]

    async def test_a_stop_keeps_what_was_acknowledged_and_takes_nothing_more(self, site: EdgeSite) -> None:
        async with site.run() as running:
            for n in range(20):
                await running.publish(event(f"e{n}"))
            await _stored_at_last(running, *(f"e{n}" for n in range(20)))
            await running.service.stop()
            await running.service.stop()
            await running.service.serving.leave()
        async with site.run() as running:
            assert sorted(stored(running.service)) == sorted(f"e{n}" for n in range(20))

    async def test_new_settings_end_nothing(self, site: EdgeSite) -> None:
        async with site.run() as running:
            await running.publish(event("a"))
            await running.service.reload(running.service.ground.settings)
            await running.publish(event("b"))
            await _stored_at_last(running, "a", "b")
            assert [(await running.canonical())["id"] for _ in "ab"] == ["a", "b"]


class ClosedEdgeContract(EdgeContract):
    """And of one whose acknowledgement is the bridge's own."""

    async def test_what_is_acknowledged_is_stored(self, site: EdgeSite) -> None:
        async with site.run() as running:
            for n in range(10):
                await running.publish(event(f"e{n}"))
                assert f"e{n}" in stored(running.service)

    async def test_what_a_subscriber_has_acknowledged_does_not_come_in_the_next_run(self, site: EdgeSite) -> None:
        async with site.run() as running:
            await running.publish(event("a"))
            assert (await running.canonical())["id"] == "a"
        async with site.run() as running:
            await running.publish(event("b"))
            assert (await running.canonical())["id"] == "b"

    async def test_what_comes_after_the_stop_is_not_acknowledged(self, site: EdgeSite) -> None:
        async with site.run() as running:
            await running.publish(event("a"))
            await running.service.stop()
            async with asyncio.timeout(_WITHIN_S):
                with pytest.raises((ConnectionLostError, ConnectionError)):
                    await running.publish(event("late"))
        async with site.run() as running:
            assert stored(running.service) == ["a"]
