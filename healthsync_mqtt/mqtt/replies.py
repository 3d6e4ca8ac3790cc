"""What the acknowledgement of a message says to an MQTT 5 client: reason code, reason string, user properties. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from healthsync_mqtt.model.delivery import DeliveryVerdict
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.topics.access import AccessDecision, AccessGround

QOS2: Final = 1 << 16
"""The bit of a token that says QoS 2."""


def token_of(packet_id: int, qos: int) -> int:
    """The token of a message: its packet id, with the bit ``QOS2`` for QoS 2; 0 for QoS 0, which is not answered."""
    return packet_id if qos < 2 else packet_id | QOS2


class Said(NamedTuple):
    """What one acknowledgement says. Equal ones are one object where many follow each other."""

    reason: int = 0
    string: str = ""
    about: tuple[tuple[str, str], ...] = ()


class Reply(NamedTuple):
    """The answer to a message; ``token`` as ``token_of`` makes it, never 0."""

    token: int
    said: Said

    @property
    def ends(self) -> int:
        """The packet id whose exchange ends with this answer although it is of QoS 2; 0: it does not."""
        return self.token & 0xFFFF if self.token & QOS2 and self.said.reason >= ReasonCode.UNSPECIFIED else 0


LISTED: Final = "rejection"
"""The user property of one refused event, there as often as there is room."""

TOO_MANY_REQUESTS: Final = Said(ReasonCode.QUOTA_EXCEEDED, "wait for the answer to the request before this one")

_EARLY: Final = "early by the service's clock: keep it and send it again later"

DONE: Final = Said()
"""It worked, and there is nothing to tell."""


def of_verdict(verdict: DeliveryVerdict) -> Said:
    """What became of the events of a message. 0x99 only when not one of them was taken or ever will be.

    Where none was taken and time alone may mend it, the message is not accepted either: its sender keeps it.
    """
    about = [("stored", str(verdict.stored)), ("duplicate", str(verdict.duplicate))]
    about += [("rejected", str(verdict.rejected)), ("seq", str(verdict.seq)), ("epoch", verdict.epoch)]
    if verdict.held:
        about.append(("held", str(verdict.held)))
    if verdict.reason:
        about.append(("reason", verdict.reason))
    if verdict.field:
        about.append(("field", verdict.field))
    if verdict.ignored:
        about.append(("ignored", verdict.ignored))
    about += ((LISTED, entry) for entry in verdict.rejections)
    if not verdict.rejected or verdict.stored or verdict.duplicate:
        return Said(ReasonCode.SUCCESS, "", tuple(about))
    if verdict.held:
        return Said(ReasonCode.IMPLEMENTATION_SPECIFIC, _EARLY, tuple(about))
    return Said(ReasonCode.PAYLOAD_FORMAT_INVALID, "", tuple(about))


def of_verdicts(tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict]) -> list[int | Reply]:
    """The answers to events, in their order; 0 where none is wanted."""
    out: list[int | Reply] = []
    last, said = None, DONE
    for token, verdict in zip(tokens, verdicts, strict=True):
        if not token:
            out.append(0)
            continue
        if verdict is not last:
            last, said = verdict, of_verdict(verdict)
        out.append(tuple.__new__(Reply, (token, said)))  # half the price, for each of many events
    return out


def without_ear(topic: str) -> Said:
    """Why a request is not answered."""
    return Said(ReasonCode.IMPLEMENTATION_SPECIFIC, f"its answer would not be heard: subscribe to {topic} first")


def of_refusal(reason: str, decision: AccessDecision | None, rule: str) -> Said:
    """Why a message went nowhere. One that is too large breaks a limit; RETAIN where there is none has no code."""
    if decision is None:
        return Said(ReasonCode.QUOTA_EXCEEDED, f"{reason}: {rule}")
    if decision.reason is AccessGround.retain:
        return Said(ReasonCode.IMPLEMENTATION_SPECIFIC, rule)
    return Said(ReasonCode.NOT_AUTHORIZED, rule)
