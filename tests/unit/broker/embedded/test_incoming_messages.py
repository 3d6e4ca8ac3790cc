"""Long messages of one connection: room before they come in, and none for who lets it lie idle."""

import asyncio

from healthsync_mqtt.broker.embedded.incoming_messages import IncomingMessages
from healthsync_mqtt.mqtt.codec.packets import Skipped
from healthsync_mqtt.mqtt.message_room import MessageRoom
from tests.support.patience import until


class Connection:
    def __init__(self, room: MessageRoom, user: str) -> None:
        self.said: list[str] = []
        self.gathering = IncomingMessages(
            room,
            user,
            lambda head: head.topic == b"mine",
            hold=lambda: self.said.append("hold"),
            go_on=lambda: self.said.append("go on"),
            too_slow=lambda: self.said.append("too slow"),
            grace_s=0.001,
        )


async def test_a_message_is_charged_until_it_is_handed_on_and_one_without_room_waits() -> None:
    room = MessageRoom(10, 100)
    one, other = Connection(room, "alice"), Connection(room, "bob")
    assert not one.gathering.keeps(Skipped(b"others", 60))
    assert one.gathering.keeps(Skipped(b"mine", 60))
    assert other.gathering.keeps(Skipped(b"mine", 70))
    assert (one.said, other.said, room.used) == ([], ["hold"], 60)
    one.gathering.handed_on(keeping=True)
    assert room.used == 60
    one.gathering.handed_on(keeping=False)
    assert (other.said, room.used) == (["hold", "go on"], 70)
    other.gathering.close()
    assert room.used == 0


async def test_who_holds_room_and_is_idle_is_cut_off_as_soon_as_somebody_waits() -> None:
    room = MessageRoom(10, 100)
    idle, other = Connection(room, "alice"), Connection(room, "bob")
    assert idle.gathering.keeps(Skipped(b"mine", 60))
    for _ in range(20):
        await asyncio.sleep(0.002)
    assert idle.said == []
    assert other.gathering.keeps(Skipped(b"mine", 60))
    await until(lambda: idle.said == ["too slow"], "it is cut off")
    idle.gathering.close()
    assert other.said == ["hold", "go on"]
    other.gathering.close()
