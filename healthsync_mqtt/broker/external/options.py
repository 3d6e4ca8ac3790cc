"""How a target is said to aiomqtt, and what its refusals mean here."""

from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from healthsync_mqtt.broker.external.port import BrokerLostError, ProtocolRefusedError, Target
from healthsync_mqtt.errors import DeniedError

_VERSION_CODES = {1, 132}
_CREDENTIAL_CODES = {2, 4, 5, 133, 134, 135, 140}


def options(target: Target) -> dict[str, Any]:
    """The arguments of an aiomqtt client besides host and port."""
    v5 = target.version == 5
    properties: Any = Properties(PacketTypes.CONNECT) if v5 else None  # type: ignore[no-untyped-call]
    if v5:
        properties.ReceiveMaximum = target.receive_maximum
        properties.SessionExpiryInterval = target.session_expiry_s
        properties.MaximumPacketSize = target.max_packet
    return {
        "username": target.username,
        "password": target.password,
        "identifier": target.client_id,
        "protocol": aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
        "clean_session": None if v5 else False,
        "clean_start": False if v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,  # which 3.1.1 has no word for
        "properties": properties,
        "will": aiomqtt.Will(target.will.topic, target.will.payload, qos=1, retain=True) if target.will else None,
        "keepalive": target.keep_alive,
        "timeout": target.timeout,
        "tls_context": target.tls,
        "max_queued_outgoing_messages": 0,
    }


def refusal(error: MqttConnectError) -> Exception:
    """The error of ours that a refused CONNECT is."""
    code = getattr(error.rc, "value", error.rc)
    if code in _VERSION_CODES:
        return ProtocolRefusedError("the broker does not speak this version of MQTT")
    if code in _CREDENTIAL_CODES:
        return DeniedError(
            "the broker refused the bridge's login",
            hint="give the bridge its credential: healthsync broker provision, or the broker's access hooks",
        )
    return BrokerLostError(f"the broker is not ready to accept connections (code {code})")


def plain(error: BaseException | None) -> str:
    """The words of an error, or at least its name."""
    return str(error) or error.__class__.__name__
