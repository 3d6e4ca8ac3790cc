"""One shared group: what it is called, what is open in it, and who its members are."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.follow.share import Share
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import may_read
from healthsync_mqtt.topics.grammar import shared_filter

if TYPE_CHECKING:
    from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos

MOST_OPEN: Final = 2_000
"""Events that a group has taken and that are not acknowledged; beyond it the group reads on when some are."""


class GroupName(NamedTuple):
    """Which group: the shared filter as it is subscribed to, who may read the same, and who opened it."""

    topic_filter: str
    grant: str
    opened_by: str

    @property
    def cursor(self) -> str:
        """Its cursor's name, without the prefix."""
        return f"{self.grant}:{self.opened_by}:{self.topic_filter}"

    @classmethod
    def parse(cls, cursor: str) -> "GroupName":
        """The other way round."""
        grant, opened_by, topic_filter = cursor.split(":", 2)
        return cls(topic_filter, grant, opened_by)


def grant_of(principal: Principal) -> str:
    """A short name of what a principal may read: equal for equal grants of one role."""
    said = "|".join(
        "*" if ids is None else ",".join(sorted(ids)) for ids in (principal.users, principal.types)
    )  # ids have neither of these characters
    if principal.named:
        said += "|" + ",".join(sorted(principal.named))
    return hashlib.sha256(f"{principal.role}|{said}".encode()).hexdigest()[:16]


class SharedGroup:
    """One group: what is open in it, and its members."""

    __slots__ = ("filter", "members", "name", "share", "stirred", "written")

    def __init__(self, name: GroupName, cursor: int, stirred: Callable[["SharedGroup"], None]) -> None:
        shared = shared_filter(name.topic_filter)
        assert shared is not None
        self.name = name
        self.filter = shared.filter
        self.share: Share[Session] = Share(cursor, most=MOST_OPEN)
        #: with what each was granted
        self.members: dict[Session, GrantedQos] = {}
        self.stirred = stirred
        #: the cursor that was written down last
        self.written = -1

    def reads(self, type_name: str) -> bool:
        """Whether events of a type are for its members, whose grants are equal."""
        return type_name not in GUARDED or any(may_read(member.principal, type_name) for member in self.members)

    def over(self, session: Session, seq: int) -> None:
        """See ``session.Taker``."""
        self.share.acknowledge(session, seq)
        self.share.roomy(session)
        self.stirred(self)
