"""A client that does what Home Assistant's does: birth and will, wildcards, and a state topic for each discovery."""

import json
from typing import Any

from healthsync_mqtt.mqtt.codec.packets import Publish, Will
from tests.support.inprocess import House
from tests.support.peer import Identity, Peer

STATUS = "homeassistant/status"
PREFIX = "homeassistant/device/"
WILL = Will(STATUS, b"offline", 0, retain=False)


class Dashboard:
    """What it was told: ``configs`` and ``states`` by topic; what is removed is in neither."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.configs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, dict[str, Any]] = {}
        self.messages: list[tuple[str, bytes]] = []
        self._wanted: list[str] = []

    async def begin(self, topic_filter: str = "homeassistant/#") -> None:
        """Birth and discovery, as after its CONNECT."""
        assert await self.peer.subscribe((topic_filter, 1)) == (1,)
        await self.peer.publish(STATUS, b"online", 0)

    async def hear(self) -> None:
        """Take the next message; subscribe to what a discovery names."""
        message = await self.peer.message()
        self.take(message)
        while self._wanted:
            assert await self.peer.subscribe((self._wanted.pop(), 1)) == (1,)

    def take(self, message: Publish) -> None:
        topic = message.topic.decode()
        self.messages.append((topic, message.payload))
        if topic.startswith(PREFIX):
            if message.payload:
                new = topic not in self.configs
                self.configs[topic] = json.loads(message.payload)
                if new:
                    self._wanted.append(self.configs[topic]["state_topic"])
            else:
                self.configs.pop(topic, None)
        elif message.payload:
            self.states[topic] = json.loads(message.payload)
        else:
            self.states.pop(topic, None)

    async def until(self, holds: Any) -> None:
        """Listen until something is so."""
        while not holds():
            await self.hear()

    def value(self, user: str, type_name: str) -> dict[str, Any] | None:
        """The state of a type, without what is not of its value."""
        state = self.states.get(f"users/{user}/latest/{type_name}")
        about = {"start_time", "end_time", "device_id"}
        return None if state is None else {name: said for name, said in state.items() if name not in about}

    def shown(self) -> set[str]:
        """``user/type`` of every discovery it has."""
        return {topic.removeprefix(PREFIX).removesuffix("/config") for topic in self.configs}


async def dashboard(house: House, identity: Identity) -> Dashboard:
    """One that is connected and has begun."""
    found = Dashboard(await house.connect(identity, will=WILL))
    await found.begin()
    return found
