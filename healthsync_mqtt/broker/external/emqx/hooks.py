"""EMQX's HTTP hooks, and its rules as a list. Facts: the documentation of EMQX 5 and 6."""

from typing import Any

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.broker.external.question import (
    Hook,
    HookAnswer,
    Question,
    address_of,
    flag_of,
    read_json,
    said,
    text_of,
)
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import AccessRules

_MOST_ACL = 200
"""Rules in EMQX's answer; a principal with more is asked for each topic."""


def emqx_acl(rules: AccessRules, principal: Principal) -> list[dict[str, Any]]:
    """A principal's rights in EMQX's words, the last of them "nothing else"; also the ``acl`` claim of a token.

    Empty when there would be too many: then EMQX has to ask for each topic.
    """
    try:
        grants = grants_of(rules, principal)
    except ConfigError:
        return []
    # The first rule that fits decides, and to EMQX `+` in a rule fits every topic.
    allowed: list[dict[str, Any]] = [
        {"permission": "deny", "action": "subscribe", "topic": name} for name in grants.withheld
    ]
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


def _emqx_auth(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_json(question.body)
    client_id, username, password = (text_of(asked, key) for key in ("clientid", "username", "password"))
    login = gate.login(client_id, username, password, question.now, address_of(asked, "peerhost"))
    principal = login.principal
    attributes = {"role": principal.role.value, "user": principal.user, "device": principal.device}
    answer: dict[str, Any] = {
        "result": "allow",
        "is_superuser": False,
        "client_attrs": {key: value for key, value in attributes.items() if value is not None},
        "expire_at": int(login.expires_at),
    }
    acl = emqx_acl(gate.rules, principal)
    return said(answer | ({"acl": acl} if acl else {}))


def _emqx_acl(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_json(question.body)
    client_id, username, topic, action = (text_of(asked, key) for key in ("clientid", "username", "topic", "action"))
    principal = gate.who(client_id, username, question.now)
    if action == "publish":
        allowed = gate.may_publish(principal, topic, retain=flag_of(asked.get("retain")))
    else:
        allowed = action == "subscribe" and gate.may_subscribe(principal, topic)
    return said({"result": "allow" if allowed else "deny"})


_DENY = HookAnswer(b'{"result":"deny"}')
HOOKS = {"/emqx/auth": Hook(_emqx_auth, _DENY), "/emqx/acl": Hook(_emqx_acl, _DENY)}
