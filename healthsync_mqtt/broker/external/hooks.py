"""Access hooks: a broker's question in its own form in, its answer in its own form out. Pure.

One encoder a broker, beside the rest that is that broker's; one decision behind all of them (``gatekeeper.py``).
"""

from collections.abc import Mapping

from healthsync_mqtt.broker.external.emqx import hooks as emqx
from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper, UndecidedError
from healthsync_mqtt.broker.external.mosquitto import goauth
from healthsync_mqtt.broker.external.question import Hook, HookAnswer, Question, Unreadable
from healthsync_mqtt.broker.external.rabbitmq import hooks as rabbitmq
from healthsync_mqtt.broker.external.vernemq import hooks as vernemq
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.proof import PerhapsNewError, UnprovedError
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("auth")

_NO_HOOK = HookAnswer(b'{"error":"no such hook"}', status=404)
_HOOKS: Mapping[str, Hook] = {**emqx.HOOKS, **rabbitmq.HOOKS, **goauth.HOOKS, **vernemq.HOOKS}


async def answered(gate: Gatekeeper, question: Question, newcomers: Newcomers) -> HookAnswer:
    """``answer``, after what a login waits for has happened beside the loop: a password is checked, the registry read.

    Others are answered meanwhile, and as at the front door so many passwords wait and no more.
    """
    read = False
    while True:
        try:
            return answer(gate, question)
        except UnprovedError:
            await newcomers.proving()
        except UndecidedError as error:
            if read:
                gate.refuse(error)
                return refusal(question)
            read = True
            await newcomers.reading()


def refusal(question: Question) -> HookAnswer:
    """No, in the words of the broker that asks."""
    hook = _HOOKS.get(question.path)
    return _NO_HOOK if hook is None else hook.refusal


def answer(gate: Gatekeeper, question: Question) -> HookAnswer:
    """The answer to a question; 404 for a path that is no hook. Whatever goes wrong, the answer is no.

    PerhapsNewError and UnprovedError are as in ``Gatekeeper.login``.
    """
    hook = _HOOKS.get(question.path)
    if hook is None:
        return _NO_HOOK
    try:
        return hook.decide(gate, question)
    except (PerhapsNewError, UnprovedError):
        raise
    except (Unreadable, ValueError, RecursionError):
        return hook.refusal
    except HealthSyncError as error:
        if error.reason != "token_invalid":
            log.warning("auth.not_decided", hook=question.path, problem=str(error), fix=error.hint)
        return hook.refusal
    except Exception as error:  # noqa: BLE001  # a broker may take any other answer for "ask somebody else"
        log.error("auth.failed", hook=question.path, problem=error.__class__.__name__)  # noqa: TRY400  # texts hold secrets
        return hook.refusal
