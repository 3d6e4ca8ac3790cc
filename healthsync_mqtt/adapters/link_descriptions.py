"""Links to clouds as they are told: by `adapter status`, and over HTTP."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from healthsync_mqtt.adapters.capability import Availability
from healthsync_mqtt.adapters.catalogue import known
from healthsync_mqtt.adapters.link_state import CloudLinkState
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.ready_adapters import FOLDER, ready
from healthsync_mqtt.cloud_links.opening import FILE
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError, UnavailableError
from healthsync_mqtt.model.times import iso

_SOON_US: Final = 14 * 86_400_000_000


class LinkDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A user's link to a cloud; ``hint`` is what is to be done where it does not work."""

    user_id: str
    provider: str
    state: str
    hint: str
    scopes: list[str]
    paused: bool
    linked_at: str
    synced_at: str | None


class CloudLine(msgspec.Struct, frozen=True, kw_only=True):
    """A cloud that users can be linked to here."""

    provider: str
    title: str
    types: list[str]


def hint_of(link: CloudLink) -> str:
    """What is to be done about a link: what is wrong with it, or by when the user has to agree again."""
    if link.hint or link.state is not CloudLinkState.ok or not 0 < link.until_us < link.synced_us + _SOON_US:
        return link.hint
    return f"it lets us in until {iso(link.until_us)[:10]}; before then: healthsync adapter link USER PROVIDER"


class AdapterLine(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter as an admin is told of it.

    ``state`` is ready, not_set_up, app (nothing is asked: the user's own app sends), ended (its provider lets nobody in
    any more) or not_loaded; ``hint`` is what is to be done. ``links`` counts users' links by their state.
    """

    provider: str
    title: str
    state: str
    hint: str
    types: list[str]
    links: dict[str, int]


def described_adapters(settings: Settings, data: Path, links: Iterable[CloudLink]) -> list[AdapterLine]:
    """All adapters of an installation, by name."""
    counts: dict[str, Counter[str]] = {}
    for each in links:
        counts.setdefault(each.provider, Counter())[each.state.value] += 1
    found = known(data / FOLDER)
    lines = [_described_adapter(settings, each, counts.get(each.name, Counter())) for each in found.adapters.values()]
    broken = [
        AdapterLine(provider=each.where, title=each.where, state="not_loaded", hint=each.why, types=[], links={})
        for each in found.broken
    ]
    return sorted(lines + broken, key=lambda line: line.provider)


def _described_adapter(settings: Settings, adapter: Adapter, links: Mapping[str, int]) -> AdapterLine:
    state, hint = "ready", ""
    try:
        ready(settings, adapter)
    except UnavailableError as error:
        state = "ended" if adapter.capability.state is Availability.ended else "app"
        hint = adapter.capability.hint or str(error)
    except ConfigError as error:
        state, hint = "not_set_up", f"{error}. {error.hint}"
    return AdapterLine(
        provider=adapter.name,
        title=adapter.capability.title,
        state=state,
        hint=hint,
        types=list(adapter.types),
        links=dict(links),
    )


def described_link(link: CloudLink) -> LinkDescription:
    """A link, without its tokens."""
    return LinkDescription(
        user_id=link.user,
        provider=link.provider,
        state=link.state.value,
        hint=hint_of(link),
        scopes=link.scopes.replace(",", " ").split(),
        paused=link.paused,
        linked_at=iso(link.linked_us),
        synced_at=iso(link.synced_us) if link.synced_us else None,
    )


def kept_links(data: Path, user: str) -> Iterator[dict[str, Any]]:
    """What is kept of a user's links, for the user: as they are told, and which account each is of. No tokens.

    StoreError where the user's key is away. Nothing is made where nobody was ever linked.
    """
    if not (data / FILE).exists():
        return
    with LinkBook.open(data) as book:
        for link in book.links(user):
            told: dict[str, Any] = msgspec.to_builtins(described_link(link))
            del told["user_id"]
            yield told | {"account": book.account(link.id), "time_zone": book.zone(link.id)}
