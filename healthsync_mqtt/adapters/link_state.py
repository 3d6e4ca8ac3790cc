"""The state of a link, and what may follow on what."""

from enum import StrEnum
from typing import Final


class CloudLinkState(StrEnum):
    """As it is retained on ``users/{user}/connections/{provider}``."""

    ok = "ok"
    #: it is being fetched
    syncing = "syncing"
    #: the user has to let us in again
    needs_reauth = "needs_reauth"
    #: too much was asked; it goes on by itself
    rate_limited = "rate_limited"
    #: the user consents to nothing that could be stored; it goes on by itself when that changes
    paused = "paused"
    #: something else is wrong: the hint says what
    error = "error"


class LinkEvent(StrEnum):
    """What happens to a link."""

    begun = "begun"
    fetched = "fetched"
    refused = "refused"
    throttled = "throttled"
    failed = "failed"
    held = "held"
    #: a command has paused the link amid a fetch
    halted = "halted"
    linked = "linked"


_BEGUN: Final = {
    LinkEvent.begun: CloudLinkState.syncing,
    LinkEvent.held: CloudLinkState.paused,
    LinkEvent.linked: CloudLinkState.ok,
}
_ENDED: Final = {
    LinkEvent.fetched: CloudLinkState.ok,
    LinkEvent.refused: CloudLinkState.needs_reauth,
    LinkEvent.throttled: CloudLinkState.rate_limited,
    LinkEvent.failed: CloudLinkState.error,
    LinkEvent.held: CloudLinkState.paused,
    LinkEvent.halted: CloudLinkState.ok,
    LinkEvent.linked: CloudLinkState.ok,
    # a worker that was killed left it so
    LinkEvent.begun: CloudLinkState.syncing,
}
TRANSITIONS: Final[dict[CloudLinkState, dict[LinkEvent, CloudLinkState]]] = {
    CloudLinkState.ok: _BEGUN,
    CloudLinkState.syncing: _ENDED,
    CloudLinkState.rate_limited: _BEGUN,
    CloudLinkState.error: _BEGUN,
    CloudLinkState.paused: _BEGUN,
    # only the user ends it
    CloudLinkState.needs_reauth: {LinkEvent.linked: CloudLinkState.ok},
}


def after(state: CloudLinkState, event: LinkEvent) -> CloudLinkState | None:
    """The state that follows; None where this cannot happen."""
    return TRANSITIONS[state].get(event)
