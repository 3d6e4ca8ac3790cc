"""The hooks of mosquitto-go-auth, response_mode json."""

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.question import Hook, HookAnswer, Question, read_either, text_of

_READ, _WRITE, _READ_WRITE, _SUBSCRIBE = 1, 2, 3, 4


def _goauth_user(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_either(question)
    gate.login(text_of(asked, "clientid"), text_of(asked, "username"), text_of(asked, "password"), question.now)
    return _YES


def _goauth_superuser(_gate: Gatekeeper, _question: Question) -> HookAnswer:
    return _NO


def _goauth_acl(gate: Gatekeeper, question: Question) -> HookAnswer:
    asked = read_either(question)
    principal = gate.who(text_of(asked, "clientid"), text_of(asked, "username"), question.now)
    topic, access = text_of(asked, "topic"), int(asked.get("acc", 0))
    reads = access in {_READ, _READ_WRITE, _SUBSCRIBE}
    writes = access in {_WRITE, _READ_WRITE}
    allowed = (reads or writes) and (not reads or gate.may_subscribe(principal, topic))
    # RETAIN is not asked about; the topics on which it is allowed are the client's own status only.
    allowed = allowed and (not writes or gate.may_publish(principal, topic))
    return _YES if allowed else _NO


_YES, _NO = HookAnswer(b'{"Ok":true,"Error":""}'), HookAnswer(b'{"Ok":false,"Error":"denied"}')
HOOKS = {
    "/goauth/user": Hook(_goauth_user, _NO),
    "/goauth/superuser": Hook(_goauth_superuser, _NO),
    "/goauth/acl": Hook(_goauth_acl, _NO),
}
