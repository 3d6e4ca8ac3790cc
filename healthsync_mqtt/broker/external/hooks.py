"""Access hooks: a broker's question in its own form in, its answer in its own form out. Pure.

One encoder a broker, beside the rest that is that broker's; one decision behind all of them (``gatekeeper.py``).
"""

from collections.abc import Mapping

from healthsync_mqtt.broker.external.emqx import hooks as emqx
from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.mosquitto import goauth
from healthsync_mqtt.broker.external.question import Hook, HookAnswer, Question, Unreadable
from healthsync_mqtt.broker.external.rabbitmq import hooks as rabbitmq
from healthsync_mqtt.broker.external.vernemq import hooks as vernemq
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("auth")

_HOOKS: Mapping[str, Hook] = {**emqx.HOOKS, **rabbitmq.HOOKS, **goauth.HOOKS, **vernemq.HOOKS}


def answer(gate: Gatekeeper, question: Question) -> HookAnswer:
    """The answer to a question; 404 for a path that is no hook. Whatever goes wrong, the answer is no."""
    hook = _HOOKS.get(question.path)
    if hook is None:
        return HookAnswer(b'{"error":"no such hook"}', status=404)
    try:
        return hook.decide(gate, question)
    except (Unreadable, ValueError, RecursionError):
        return hook.refusal
    except HealthSyncError as error:
        if error.reason != "token_invalid":
            log.warning("auth.not_decided", hook=question.path, problem=str(error), fix=error.hint)
        return hook.refusal
    except Exception as error:  # noqa: BLE001  # a broker may take any other answer for "ask somebody else"
        log.error("auth.failed", hook=question.path, problem=error.__class__.__name__)  # noqa: TRY400  # texts hold secrets
        return hook.refusal
