"""RabbitMQ's HTTP hooks. Facts: the documentation of auth_backend_http."""

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.identities import ADMIN
from healthsync_mqtt.broker.external.question import TEXT, Hook, HookAnswer, Question, read_form, text_of
from healthsync_mqtt.broker.external.rabbitmq.names import MQTT_EXCHANGE, OF_CLIENTS, TO_MQTT, queues_of


def _rabbit_user(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_form(question.body)
    username, password = text_of(asked, "username"), text_of(asked, "password")
    # The operator works through the management interface, which gives no client id: it is nobody over MQTT.
    if "client_id" not in asked and gate.is_operator(username, password):
        return HookAnswer(b"allow administrator", TEXT)
    # Another protocol than MQTT gives no client id, and is not let in.
    gate.login(text_of(asked, "client_id"), username, password, question.now)
    return _ALLOW


def _rabbit_vhost(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_form(question.body)
    username = text_of(asked, "username")
    known = username == ADMIN or gate.who(username, username, question.now) is not None
    return _ALLOW if known and text_of(asked, "vhost") == "/" else _DENY


def _rabbit_resource(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_form(question.body)
    username, name = text_of(asked, "username"), text_of(asked, "name")
    kind, permission = text_of(asked, "resource"), text_of(asked, "permission")
    if username == ADMIN:
        return _ALLOW if _of_the_operator(kind, name) and text_of(asked, "vhost") == "/" else _DENY
    if gate.who(username, username, question.now) is None or text_of(asked, "vhost") != "/":
        return _DENY
    if kind == "exchange":
        allowed = name == MQTT_EXCHANGE and permission in {"write", "read"}
    else:
        allowed = kind == "queue" and name in queues_of(username) and permission in {"configure", "write", "read"}
    return _ALLOW if allowed else _DENY


def _of_the_operator(kind: str, name: str) -> bool:
    """What an eviction touches: clients' queues, and which topics go to them."""
    return (kind == "queue" and name.startswith(OF_CLIENTS)) or (kind == "exchange" and name == MQTT_EXCHANGE)


def _rabbit_topic(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_form(question.body)
    username, permission = text_of(asked, "username"), text_of(asked, "permission")
    principal = gate.who(username, username, question.now)
    topic = text_of(asked, "routing_key").translate(TO_MQTT)
    if text_of(asked, "vhost") != "/" or text_of(asked, "name") != MQTT_EXCHANGE:
        return _DENY
    if username == ADMIN:
        allowed = permission == "read"  # asked when a topic is taken from a queue; it has no connection to read over
    elif permission == "write":
        allowed = gate.may_publish(principal, topic)
    else:
        allowed = permission == "read" and gate.may_subscribe(principal, topic)
    return _ALLOW if allowed else _DENY


_ALLOW, _DENY = HookAnswer(b"allow", TEXT), HookAnswer(b"deny", TEXT)
HOOKS = {
    "/rabbitmq/user": Hook(_rabbit_user, _DENY),
    "/rabbitmq/vhost": Hook(_rabbit_vhost, _DENY),
    "/rabbitmq/resource": Hook(_rabbit_resource, _DENY),
    "/rabbitmq/topic": Hook(_rabbit_topic, _DENY),
}
