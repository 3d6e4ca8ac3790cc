"""Who an accepted delivery is from. Pure; the payload has no say in it."""

from collections.abc import Mapping

from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import owns
from healthsync_mqtt.topics.registry import Channel


def origin_of(channel: Channel, variables: Mapping[str, str], principal: Principal | None, topic: str) -> Origin:
    """The origin of a message on ``topic``, which ``TopicRegistry.parse`` made ``channel`` and ``variables`` of.

    ``principal`` is the session's identity, None when an external broker has decided. The device is the topic's, and
    on a topic that names none the sending device's. DeniedError when the channel takes no events, or the topic is not
    the sender's own.
    """
    if not channel.ingest:
        raise DeniedError(f"{channel.key} takes no events", hint="publish events to an events topic")
    user, device, provider = variables["user"], variables.get("device"), variables.get("provider")
    if principal is None:
        return Origin(user, device, provider, topic)
    if principal.role not in channel.roles_publish or not owns(principal, variables):
        raise DeniedError("the events topic is not the sender's own", hint="publish to your own events topic")
    return Origin(user, device or principal.device, provider, topic)
