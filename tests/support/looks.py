"""Jobs of the service that look again and again: a test waits for a whole look, and not for a time."""

from typing import Any

from tests.support.inprocess import House


async def whole_look(house: House, holder: object, method: str) -> None:
    """Return when a look that began after this call is over; ``holder.method`` is what every look begins with."""
    begun = 0
    look: Any = getattr(holder, method)

    def counted(*arguments: Any) -> Any:
        nonlocal begun
        begun += 1
        return look(*arguments)

    setattr(holder, method, counted)
    try:
        await house.until(lambda: begun >= 2, "the service looks again")  # the second begins when the first is over
    finally:
        setattr(holder, method, look)


async def registry_looked(house: House) -> None:
    """The service has looked what changed in the registry, and acted on it."""
    await whole_look(house, house.serving.revocations._newcomers, "read")


async def keys_looked(house: House) -> None:
    """The service has looked what changed of the keys, and acted on it."""
    await whole_look(house, house.serving.keys._keys, "refresh")


def is_connected(house: House, client_id: str) -> bool:
    """Whether the service has a connection of this client."""
    return any(client["client_id"] == client_id for client in house.door.clients())
