"""The contract of the ways out: to the door's sessions, to an external broker, to a list; and that it can fail."""

from collections.abc import Callable

import pytest

from bridge.edges.embedded import DoorOutlet
from bridge.edges.external import LinkOutlet
from bridge.ports import Outlet
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.testing.memory_link import MemoryBroker, MemoryLink
from healthsync_mqtt.testing.memory_outlet import MemoryOutlet
from healthsync_mqtt.testing.outlet_contract import OutletContract, WayOut
from healthsync_mqtt.topics.access import AccessRules
from tests.unit.bridge.bench import REGISTRY


class Ear:
    """A client's connection: what it was sent."""

    session: Session

    def __init__(self) -> None:
        self.packets: list[Publish] = []
        self._decoder = Decoder(1 << 28, 1 << 28, server=False)

    def flush(self) -> None:
        while data := self.session.transmit():
            self.packets += [packet for packet in self._decoder.feed(data) if isinstance(packet, Publish)]
            for packet in self.packets:
                self.session.on_puback(packet.packet_id)

    def close(self, reason: str, *, will: bool) -> None:
        raise AssertionError(reason)


class ToSessions:
    def __init__(self) -> None:
        self._sessions = Sessions(LimitSettings(), AccessRules(REGISTRY))
        self._ear = Ear()
        principal = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
        self._ear.session, _ = self._sessions.open(self._ear, principal, clean=True)
        self.outlet: Outlet = DoorOutlet(self._sessions)

    def listen(self, topic: str) -> None:
        self._sessions.index.add(self._ear.session, topic, 1)

    def heard(self) -> list[tuple[str, bytes, bool]]:
        return [(packet.topic.decode(), packet.payload, packet.retain) for packet in self._ear.packets]

    def away(self) -> None:
        self._sessions.leave(self._ear, self._ear.session, 0.0)


class ToABroker:
    def __init__(self) -> None:
        self._broker = MemoryBroker(max_packet=2_000)
        self._broker.answers = False
        self._outlet = LinkOutlet()
        self._outlet.connected(MemoryLink(self._broker))
        self.outlet: Outlet = self._outlet

    def listen(self, topic: str) -> None:
        """Who subscribes is the broker's knowledge."""

    def heard(self) -> list[tuple[str, bytes, bool]]:
        return [tuple(each) for each in self._broker.taken]

    def away(self) -> None:
        self._outlet.connected(None)


class OfALinkThatBroke(ToABroker):
    """The connection is over, and nobody has told the outlet yet."""

    def away(self) -> None:
        assert isinstance(self._outlet._link, MemoryLink)
        self._outlet._link.drop()


class InMemory:
    def __init__(self, kind: Callable[..., MemoryOutlet] = MemoryOutlet) -> None:
        self._memory = kind(set(), room=2_000)
        self.outlet: Outlet = self._memory

    def listen(self, topic: str) -> None:
        assert self._memory.ears is not None
        self._memory.ears.add(topic)

    def heard(self) -> list[tuple[str, bytes, bool]]:
        return [(topic, payload, False) for topic, payload in self._memory.messages]

    def away(self) -> None:
        self._memory.ears = set()


class TestOutlets(OutletContract):
    @pytest.fixture(params=[ToSessions, ToABroker, OfALinkThatBroke, InMemory])
    async def way(self, request: pytest.FixtureRequest) -> WayOut:
        made: WayOut = request.param()
        return made


class Deaf(MemoryOutlet):
    def listening(self, topic: str) -> bool:
        return False


class Loud(MemoryOutlet):
    def listening(self, topic: str) -> bool:
        return True


class Small(MemoryOutlet):
    def room(self, topic: str) -> int:
        return super().room(topic) + 1


class Backwards(MemoryOutlet):
    def send(self, topic: str, payload: bytes) -> bool:
        taken = super().send(topic, payload)
        self.messages.reverse()
        return taken


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Deaf, OutletContract.test_who_listens_gets_what_is_sent_whole_and_in_order),
        (Backwards, OutletContract.test_who_listens_gets_what_is_sent_whole_and_in_order),
        (Small, OutletContract.test_what_there_is_room_for_is_taken_and_what_there_is_not_goes_nowhere),
        (Loud, OutletContract.test_without_anybody_there_it_is_said_and_nothing_raises),
    ],
)
async def test_an_outlet_with_a_fault_does_not_pass(
    broken: Callable[..., MemoryOutlet], clause: Callable[..., object]
) -> None:
    with pytest.raises(AssertionError):
        await clause(OutletContract(), InMemory(broken))
