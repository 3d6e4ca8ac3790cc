"""How a target is said in CONNECT, and what the CONNACK means, in both versions of MQTT. Pure."""

from healthsync_mqtt.mqtt.codec import v3, v5
from healthsync_mqtt.mqtt.codec.packets import NO_PROPERTIES, Connack, Connect, Properties, Property
from healthsync_mqtt.mqtt.links.port import MAX_PACKET, Agreed, Target


def connect(target: Target) -> bytes:
    """The CONNECT packet. No topic aliases are allowed in it, so none come."""
    properties: Properties = NO_PROPERTIES
    if target.version == 5:
        properties = {
            Property.SESSION_EXPIRY: 0 if target.clean else target.session_expiry_s,
            Property.RECEIVE_MAXIMUM: target.receive_maximum,
            Property.MAXIMUM_PACKET_SIZE: max(target.max_packet, target.longest),
        }
        if target.method:
            properties = {**properties, Property.AUTHENTICATION_METHOD: target.method}
    packet = Connect(
        client_id=target.account.client_id,
        clean_session=target.clean,
        keep_alive=target.keep_alive,
        username=target.account.username,
        password=target.account.password.encode(),
        will=target.will,
        protocol_level=target.version,
        properties=properties,
    )
    return v5.encode(packet) if target.version == 5 else v3.encode(packet)


def agreement(target: Target, answer: Connack) -> Agreed:
    """What an accepted CONNECT was agreed on."""
    said = answer.properties
    is_v5 = target.version == 5
    return Agreed(
        version=target.version,
        session_present=bool(answer.session_present),
        send_window=said.get(Property.RECEIVE_MAXIMUM, 65_535) if is_v5 else 0,
        shared_subscriptions=is_v5 and said.get(Property.SHARED_SUBSCRIPTION_AVAILABLE, 1) == 1,
        max_qos=said.get(Property.MAXIMUM_QOS, 2),
        retain=said.get(Property.RETAIN_AVAILABLE, 1) == 1,
        max_packet=min(said.get(Property.MAXIMUM_PACKET_SIZE, MAX_PACKET), target.most),
        keep_alive=float(said.get(Property.SERVER_KEEP_ALIVE, target.keep_alive)),
        topic_aliases=said.get(Property.TOPIC_ALIAS_MAXIMUM, 0),
        method=said.get(Property.AUTHENTICATION_METHOD, ""),
    )


def version_refused(code: int) -> bool:
    """Whether a CONNACK's code says that the version is not spoken."""
    return code in {1, 132}


def method_refused(code: int) -> bool:
    """Whether a CONNACK's code says that the authentication method is unknown; without one the login may be good."""
    return code == 140


def login_refused(code: int) -> bool:
    """Whether a CONNACK's code says that client id, name and password do not fit."""
    return code in {2, 4, 5, 133, 134, 135, 138, 140}
