"""Access hooks: a broker's question in its own form in, its answer in its own form out. Pure.

One encoder a broker, one decision behind all of them (``gatekeeper.py``). Whatever cannot be read is answered with no,
and always with status 200 where the broker would take another status for "ask somebody else".

Facts: the documentation of EMQX 5 and 6, RabbitMQ's auth_backend_http, mosquitto-go-auth and VerneMQ's webhooks.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.errors import ConfigError, TokenError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import AccessRules

_JSON = "application/json"
_TEXT = "text/plain"
_MOST_ACL = 200
"""Rules in EMQX's answer; a principal with more is asked for each topic."""


class Question(NamedTuple):
    """A hook's request: its path below the service's own, its headers in lower case, its body, and the time."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    now: float


class Answer(NamedTuple):
    """A hook's response."""

    body: bytes
    content_type: str = _JSON
    status: int = 200


class Unreadable(Exception):  # noqa: N818  # it is no error of ours
    """The question has not the form of this broker."""


def answer(gate: Gatekeeper, question: Question) -> Answer:
    """The answer to a question; 404 for a path that is no hook."""
    hook = _HOOKS.get(question.path)
    if hook is None:
        return Answer(b'{"error":"no such hook"}', status=404)
    decide, refusal = hook
    try:
        return decide(gate, question)
    except (Unreadable, TokenError, ValueError, RecursionError):
        return refusal


def emqx_acl(rules: AccessRules, principal: Principal) -> list[dict[str, Any]]:
    """A principal's rights in EMQX's words, the last of them "nothing else"; also the ``acl`` claim of a token.

    Empty when there would be too many: then EMQX has to ask for each topic.
    """
    try:
        grants = grants_of(rules, principal)
    except ConfigError:
        return []
    allowed: list[dict[str, Any]] = []
    for grant in grants.publish:
        retain: dict[str, Any] = {} if grant.retain else {"retain": False}
        allowed.append({"permission": "allow", "action": "publish", "topic": grant.filter, "qos": [0, 1, 2]} | retain)
    allowed += [{"permission": "allow", "action": "subscribe", "topic": _literal(name)} for name in grants.subscribe]
    if len(allowed) > _MOST_ACL:
        return []
    return [*allowed, {"permission": "deny", "action": "all", "topic": "#"}]


def _literal(name: str) -> str:
    """A filter with # is allowed as it is spelled only: as a pattern it would allow what is below it."""
    return f"eq {name}" if name.endswith("#") else name


# -- EMQX


def _emqx_auth(gate: Gatekeeper, question: Question) -> Answer:
    asked = _json(question.body)
    client_id, username, password = (_text(asked, key) for key in ("clientid", "username", "password"))
    login = gate.login(client_id, username, password, question.now)
    principal = login.principal
    attributes = {"role": principal.role.value, "user": principal.user, "device": principal.device}
    said: dict[str, Any] = {
        "result": "allow",
        "is_superuser": False,
        "client_attrs": {key: value for key, value in attributes.items() if value is not None},
        "expire_at": int(login.expires_at),
    }
    acl = emqx_acl(gate.rules, principal)
    return _said(said | ({"acl": acl} if acl else {}))


def _emqx_acl(gate: Gatekeeper, question: Question) -> Answer:
    asked = _json(question.body)
    client_id, username, topic, action = (_text(asked, key) for key in ("clientid", "username", "topic", "action"))
    principal = gate.who(client_id, username, question.now)
    if action == "publish":
        allowed = gate.may_publish(principal, topic, retain=_flag(asked.get("retain")))
    else:
        allowed = action == "subscribe" and gate.may_subscribe(principal, topic)
    return _said({"result": "allow" if allowed else "deny"})


# -- RabbitMQ

_MQTT_EXCHANGE = "amq.topic"
_TO_MQTT = str.maketrans("./*", "/.+")


def _rabbit_user(gate: Gatekeeper, question: Question) -> Answer:
    asked = _form(question.body)
    username, password = _text(asked, "username"), _text(asked, "password")
    if gate.is_operator(username, password):
        return Answer(b"allow administrator", _TEXT)
    # Another protocol than MQTT gives no client id, and is not let in.
    gate.login(_text(asked, "client_id"), username, password, question.now)
    return _RABBIT_ALLOW


def _rabbit_vhost(gate: Gatekeeper, question: Question) -> Answer:
    asked = _form(question.body)
    username = _text(asked, "username")
    known = gate.who(username, username, question.now) is not None
    return _RABBIT_ALLOW if known and _text(asked, "vhost") == "/" else _RABBIT_DENY


def _rabbit_resource(gate: Gatekeeper, question: Question) -> Answer:
    asked = _form(question.body)
    username, name = _text(asked, "username"), _text(asked, "name")
    kind, permission = _text(asked, "resource"), _text(asked, "permission")
    if gate.who(username, username, question.now) is None or _text(asked, "vhost") != "/":
        return _RABBIT_DENY
    if kind == "exchange":
        allowed = name == _MQTT_EXCHANGE and permission in {"write", "read"}
    else:
        own = {f"mqtt-subscription-{username}qos{qos}" for qos in (0, 1)}
        allowed = kind == "queue" and name in own and permission in {"configure", "write", "read"}
    return _RABBIT_ALLOW if allowed else _RABBIT_DENY


def _rabbit_topic(gate: Gatekeeper, question: Question) -> Answer:
    asked = _form(question.body)
    username, permission = _text(asked, "username"), _text(asked, "permission")
    principal = gate.who(username, username, question.now)
    topic = _text(asked, "routing_key").translate(_TO_MQTT)
    if _text(asked, "vhost") != "/" or _text(asked, "name") != _MQTT_EXCHANGE:
        return _RABBIT_DENY
    if permission == "write":
        allowed = gate.may_publish(principal, topic)
    else:
        allowed = permission == "read" and gate.may_subscribe(principal, topic)
    return _RABBIT_ALLOW if allowed else _RABBIT_DENY


# -- mosquitto-go-auth, response_mode json

_READ, _WRITE, _READ_WRITE, _SUBSCRIBE = 1, 2, 3, 4


def _goauth_user(gate: Gatekeeper, question: Question) -> Answer:
    asked = _either(question)
    gate.login(_text(asked, "clientid"), _text(asked, "username"), _text(asked, "password"), question.now)
    return _GOAUTH_YES


def _goauth_superuser(_gate: Gatekeeper, _question: Question) -> Answer:
    return _GOAUTH_NO


def _goauth_acl(gate: Gatekeeper, question: Question) -> Answer:
    asked = _either(question)
    principal = gate.who(_text(asked, "clientid"), _text(asked, "username"), question.now)
    topic, access = _text(asked, "topic"), int(asked.get("acc", 0))
    reads = access in {_READ, _READ_WRITE, _SUBSCRIBE}
    writes = access in {_WRITE, _READ_WRITE}
    allowed = (reads or writes) and (not reads or gate.may_subscribe(principal, topic))
    # RETAIN is not asked about; the topics on which it is allowed are the client's own status only.
    allowed = allowed and (not writes or gate.may_publish(principal, topic))
    return _GOAUTH_YES if allowed else _GOAUTH_NO


# -- VerneMQ


def _vernemq(gate: Gatekeeper, question: Question) -> Answer:
    hook = question.headers.get("vernemq-hook", "").removesuffix("_m5")
    asked = _json(question.body)
    client_id, username = _text(asked, "client_id"), _text(asked, "username")
    if _text(asked, "mountpoint"):
        return _VERNEMQ_NO
    if hook == "auth_on_register":
        gate.login(client_id, username, _text(asked, "password"), question.now)
        return _VERNEMQ_YES
    principal = gate.who(client_id, username, question.now)
    if hook == "auth_on_publish":
        allowed = gate.may_publish(principal, _text(asked, "topic"), retain=_flag(asked.get("retain")))
        return _VERNEMQ_YES if allowed else _VERNEMQ_NO
    if hook != "auth_on_subscribe" or principal is None or not isinstance(asked.get("topics"), list):
        return _VERNEMQ_NO
    topics = []
    for entry in asked["topics"]:
        if not isinstance(entry, dict) or type(entry.get("qos")) is not int:
            raise Unreadable
        allowed = gate.may_subscribe(principal, _text(entry, "topic"))
        topics.append({"topic": entry["topic"], "qos": entry["qos"] if allowed else 128})
    return _said({"result": "ok", "topics": topics})


# -- forms


def _said(value: Mapping[str, Any]) -> Answer:
    return Answer(json.dumps(value, separators=(",", ":")).encode())


def _json(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise Unreadable
    return value


def _form(body: bytes) -> dict[str, Any]:
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable
    return fields


def _either(question: Question) -> dict[str, Any]:
    is_form = question.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return _form(question.body) if is_form else _json(question.body)


def _text(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str):
        raise Unreadable
    return value


def _flag(value: object) -> bool:
    """A yes or no as templates write it; whatever is not a clear no is a yes, which allows less."""
    return value not in (False, 0, "false", "0", None)


_EMQX_DENY = Answer(b'{"result":"deny"}')
_RABBIT_ALLOW, _RABBIT_DENY = Answer(b"allow", _TEXT), Answer(b"deny", _TEXT)
_GOAUTH_YES, _GOAUTH_NO = Answer(b'{"Ok":true,"Error":""}'), Answer(b'{"Ok":false,"Error":"denied"}')
_VERNEMQ_YES, _VERNEMQ_NO = Answer(b'{"result":"ok"}'), Answer(b'{"result":{"error":"not_allowed"}}')

_HOOKS: Mapping[str, tuple[Callable[[Gatekeeper, Question], Answer], Answer]] = {
    "/emqx/auth": (_emqx_auth, _EMQX_DENY),
    "/emqx/acl": (_emqx_acl, _EMQX_DENY),
    "/rabbitmq/user": (_rabbit_user, _RABBIT_DENY),
    "/rabbitmq/vhost": (_rabbit_vhost, _RABBIT_DENY),
    "/rabbitmq/resource": (_rabbit_resource, _RABBIT_DENY),
    "/rabbitmq/topic": (_rabbit_topic, _RABBIT_DENY),
    "/goauth/user": (_goauth_user, _GOAUTH_NO),
    "/goauth/superuser": (_goauth_superuser, _GOAUTH_NO),
    "/goauth/acl": (_goauth_acl, _GOAUTH_NO),
    "/vernemq": (_vernemq, _VERNEMQ_NO),
}
