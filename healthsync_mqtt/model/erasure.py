"""The steps of an erasure, in their order. Pure.

A step is done again after a kill, so each may be done twice. The first is begun in the transaction that ends the
person's logins and consents, so that nothing of the person comes in any more.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ErasureStep(StrEnum):
    """What is to be done next."""

    #: written down apart from every backup, so that an older copy that is put back is erased, too
    ledger = "ledger"
    #: links to providers are over, and nothing is fetched; before the key, which opens their tokens
    links = "links"
    #: the key of the person's rows is destroyed: from here on no file can give the values back
    keys = "keys"
    #: connections are closed; sessions, retained messages, wills and what others were owed of it are gone
    broker = "broker"
    #: rows of the log, the quarantine, what formats remember
    log = "log"
    #: newest values and days
    days = "days"
    #: sinks are asked to delete, and know the person no more
    sinks = "sinks"
    #: the registry forgets the name
    registry = "registry"
    #: what was deleted is in no page and no journal
    scrub = "scrub"
    #: nothing of it is left here
    done = "done"


NEXT: Final = {
    ErasureStep.ledger: ErasureStep.links,
    ErasureStep.links: ErasureStep.keys,
    ErasureStep.keys: ErasureStep.broker,
    ErasureStep.broker: ErasureStep.log,
    ErasureStep.log: ErasureStep.days,
    ErasureStep.days: ErasureStep.sinks,
    ErasureStep.sinks: ErasureStep.registry,
    ErasureStep.registry: ErasureStep.scrub,
    ErasureStep.scrub: ErasureStep.done,
}

LEFT_THE_LOG: Final = frozenset({ErasureStep.days, ErasureStep.sinks, ErasureStep.registry})
"""Steps of an erasure that still has the name, and for which the log has nothing of the person any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonErasure:
    """One person who is erased. ``user_id`` is None once the registry has forgotten the name."""

    id: str
    user_id: str | None
    step: ErasureStep
    requested_us: int
    clients: tuple[str, ...] = ()
    """The client ids of the person's devices, as long as they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a place outside has to confirm: it knows the person as ``subject``."""

    erasure: str
    place: str
    subject: str
