"""VerneMQ's webhooks."""

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.question import (
    Hook,
    HookAnswer,
    Question,
    Unreadable,
    address_of,
    flag_of,
    read_json,
    said,
    text_of,
)


def _vernemq(gate: Gatekeeper, question: Question) -> HookAnswer:
    hook = question.headers.get("vernemq-hook", "").removesuffix("_m5")
    asked = read_json(question.body)
    client_id, username = text_of(asked, "client_id"), text_of(asked, "username")
    if text_of(asked, "mountpoint"):
        return _NO
    if hook == "auth_on_register":
        address = address_of(asked, "peer_addr")
        gate.login(client_id, username, text_of(asked, "password"), question.now, address)
        return _YES
    principal = gate.who(client_id, username, question.now)
    if hook == "auth_on_publish":
        allowed = gate.may_publish(principal, text_of(asked, "topic"), retain=flag_of(asked.get("retain")))
        return _YES if allowed else _NO
    if hook != "auth_on_subscribe" or principal is None or not isinstance(asked.get("topics"), list):
        return _NO
    topics = []
    for entry in asked["topics"]:
        if not isinstance(entry, dict) or type(entry.get("qos")) is not int:
            raise Unreadable
        allowed = gate.may_subscribe(principal, text_of(entry, "topic"))
        topics.append({"topic": entry["topic"], "qos": entry["qos"] if allowed else 128})
    return said({"result": "ok", "topics": topics})


_YES, _NO = HookAnswer(b'{"result":"ok"}'), HookAnswer(b'{"result":{"error":"not_allowed"}}')
HOOKS = {"/vernemq": Hook(_vernemq, _NO)}
