"""What ``healthsync doctor`` finds, as a value."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a finding is meant."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check, with what to do about it."""

    check: str
    grade: Grade
    message: str
    fix: str = ""
