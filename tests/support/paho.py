"""paho's blocking client in tests of one event loop: what each of its versions needs to be used and left."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from paho.mqtt.client import Client

from tests.support.inprocess import House, Identity


class Waking:
    """A client of paho, whose sockets are given back."""

    client: Client

    def release(self) -> None:
        """paho makes a new pair of wake-up sockets for each loop, and forgets to close the old one."""
        for wakeup in (self.client._sockpairR, self.client._sockpairW):
            if wakeup is not None:
                wakeup.close()

    def vanish(self) -> None:
        """The network is gone."""
        self.client.loop_stop()
        self.client._sock_close()


P = TypeVar("P", bound=Waking)


async def play(
    house: House, kind: Callable[..., P], scene: Callable[[Identity, Identity, Callable[..., P]], None]
) -> None:
    """Run a scene of blocking clients in a thread: alice's watch, an app that reads alice."""
    made: list[P] = []

    def paho(identity: Identity, **options: Any) -> P:
        made.append(kind(house, identity, **options))
        return made[-1]

    watch, app = house.device("alice"), house.subscriber("app", ["alice"])
    try:
        await asyncio.to_thread(scene, watch, app, paho)
    finally:
        for client in made:
            client.vanish()
            client.release()
