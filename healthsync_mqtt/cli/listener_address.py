"""How a listener is written for people: the address of this machine, and which others it takes."""

from collections.abc import Iterable

_EVERY = {"0.0.0.0": "every IPv4 address", "[::]": "every IPv6 address"}  # noqa: S104


def reached(here: str, bound: Iterable[str]) -> str:
    """How a listener is reached on this machine, and what else it is bound to."""
    others = ", ".join(
        _EVERY.get(each.rpartition(":")[0], each) for each in bound if not here.endswith(f"//{each}") and each != here
    )
    return f"{here} ({others})" if others else here
