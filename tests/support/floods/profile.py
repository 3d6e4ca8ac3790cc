"""The limits that a flood meets: the defaults, and the strict profile as its page prints it."""

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[3] / "docs" / "howto" / "limits.md"
_SETTING: Final = re.compile(r"^(\w+) = (\d+)$", re.MULTILINE)


def strict() -> dict[str, int]:
    """``[limits]`` of the strict profile, from the page."""
    block = PAGE.read_text(encoding="utf-8").partition("[limits]")[2].partition("```")[0]
    return {name: int(value) for name, value in _SETTING.findall(block)}


def as_environment(limits: dict[str, int]) -> dict[str, str]:
    """Limits as the environment of a service says them."""
    return {f"HEALTHSYNC_LIMITS__{name.upper()}": str(value) for name, value in limits.items()}


PROFILES: Final = {"default": dict[str, int], "strict": strict}
