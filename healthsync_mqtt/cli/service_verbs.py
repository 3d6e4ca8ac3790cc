"""What a running service does for commands, whichever broker it works on: the verbs of its admin channel."""

from typing import TYPE_CHECKING, Any, Final

from healthsync_mqtt.control.admin_server import Handler
from healthsync_mqtt.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bridge.service import Service

_OF_THE_DOOR: Final = ("clients", "kick", "places", "trace", "turned_away")
"""What only our own broker knows."""


def verbs(service: "Service") -> dict[str, Handler]:
    """What every service does."""

    async def status(_arguments: dict[str, Any]) -> dict[str, Any]:
        return service.report().as_json()

    async def heed(_arguments: dict[str, Any]) -> dict[str, Any]:
        await service.serving.heed()
        return {}

    async def rejected_replay(arguments: dict[str, Any]) -> dict[str, Any]:
        number = arguments.get("number")
        if not isinstance(number, int):
            raise UsageError("rejected_replay takes a number")
        return await service.release.release(number)

    async def rejected_purge(arguments: dict[str, Any]) -> dict[str, Any]:
        before_us, user = arguments.get("before_us"), arguments.get("user")
        if not isinstance(before_us, int) or not (user is None or isinstance(user, str)):
            raise UsageError("rejected_purge takes before_us and user")
        return {"more": not await service.old_refusals.purge(before_us, user)}

    return {"status": status, "heed": heed, "rejected_replay": rejected_replay, "rejected_purge": rejected_purge}


def verbs_beside_another_broker(service: "Service") -> dict[str, Handler]:
    """The same, and what is said where the clients are another broker's."""

    async def elsewhere(_arguments: dict[str, Any]) -> dict[str, Any]:
        raise UnavailableError(
            "the clients of this installation are at a broker of its own, which knows who is connected",
            hint="ask the broker, by its own tools and its log",
        )

    return verbs(service) | dict.fromkeys(_OF_THE_DOOR, elsewhere)
