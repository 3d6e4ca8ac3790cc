"""The signing keys of machines that share a registry: files of each, and a book on the server of which there are.

A private half never leaves its machines by itself: whoever makes a key copies ``keys/`` to the others. The book says
where that was forgotten, before a token is refused or, worse, one of a retired key is taken.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.keys.signing import KeyRecord
from healthsync_mqtt.identity.people.opening import place_of

_PREFIX: Final = "signing key "
_RETIRED: Final = "retired"
_ALIVE: Final = "alive"


def differences(known: Mapping[str, str], local: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What is wrong with the keys here, in words, and what the book does not have yet. Pure.

    Nothing comes back from ``retired``.
    """
    wrong = []
    for kid, state in sorted(known.items()):
        here = local.get(kid)
        if state == _ALIVE and here is None:
            wrong.append(f"{kid} is not here")
        elif state == _RETIRED and here == _ALIVE:
            wrong.append(f"{kid} is retired, and is not here")
    return wrong, {kid: state for kid, state in local.items() if known.get(kid) not in {state, _RETIRED}}


def agree(directory: Path, records: Iterable[KeyRecord], now_us: int) -> None:
    """Compare the keys here with the installation's, and tell it of new ones. ConfigError where they are others'."""
    news = check(directory, records)
    if (place := place_of(directory.parent)) is None:
        return
    from healthsync_mqtt.identity.people.postgres import marks  # noqa: PLC0415

    for kid, state in news.items():
        marks.change(place, _PREFIX + kid, state, now_us)


def check(directory: Path, records: Iterable[KeyRecord]) -> dict[str, str]:
    """The same, and nothing is told: what would be."""
    place = place_of(directory.parent)
    if place is None:
        return {}
    from healthsync_mqtt.identity.people.postgres import marks  # noqa: PLC0415

    local = {each.kid: _ALIVE if each.retired_us is None else _RETIRED for each in records}
    wrong, news = differences(marks.listed(place, _PREFIX), local)
    if wrong:
        raise ConfigError(
            f"the signing keys in {directory} are not the installation's: {'; '.join(wrong)}",
            hint=f"copy {directory.name}/ from the machine where keys were made or retired last",
        )
    return news


def refuse_first(directory: Path) -> None:
    """ConfigError where the first key would be made though the installation has one."""
    place = place_of(directory.parent)
    if place is None:
        return
    from healthsync_mqtt.identity.people.postgres import marks  # noqa: PLC0415

    if _ALIVE in marks.listed(place, _PREFIX).values():
        raise ConfigError(
            f"there is no signing key in {directory}, and this registry has some",
            hint=f"copy {directory.name}/ from another machine of the installation",
        )
