"""What an adapter can do, as one frozen record: how it is let in, how data comes, how much may be asked."""

from dataclasses import dataclass, field
from enum import StrEnum

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.topics.grammar import is_id


class AuthMethod(StrEnum):
    """How a user lets an adapter in."""

    #: OAuth 2 with a code
    oauth2 = "oauth2"
    #: the same with PKCE (S256)
    oauth2_pkce = "oauth2_pkce"
    #: a login of the user's own app, which sends by itself
    app_login = "app_login"
    #: nobody lets it in any more
    none = "none"


class DeliveryWay(StrEnum):
    """How data comes."""

    #: it is asked for, again and again
    poll = "poll"
    #: the provider says that there is something, and it is asked for then
    notify = "notify"
    #: the provider, or the user's phone, sends it
    push = "push"


class Availability(StrEnum):
    """Whether an adapter can be linked."""

    available = "available"
    #: the provider has ended its service
    ended = "ended"


@dataclass(frozen=True, slots=True)
class AskingBudget:
    """So many requests in so many seconds: of the whole app, or of each user."""

    requests: int
    seconds: int
    per_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """An adapter's record.

    ``history_days``: how far back the first import asks, None: nothing but what comes from the link on. ``again_days``
    is the window that each poll fetches again: providers deliver late, and revise. ``scopes`` are those that are
    asked for, each needed by a kind of answer.
    """

    name: str
    title: str
    auth: AuthMethod
    delivery: frozenset[DeliveryWay]
    budgets: tuple[AskingBudget, ...] = ()
    history_days: int | None = None
    again_days: float = 2
    scopes: tuple[str, ...] = ()
    state: Availability = Availability.available
    #: why it ended, and what to do instead
    reason: str = ""
    hint: str = ""
    #: what else people have to know
    about: str = field(default="")

    def __post_init__(self) -> None:
        if not is_id(self.name):
            raise InputError(
                f"{self.name!r} is no name of an adapter", hint="letters, digits, _ and -: it is in topics"
            )
        if (self.state is Availability.ended) != bool(self.reason):
            raise InputError(f"the adapter {self.name} says no reason why it ended, or one though it did not")
