"""A provider's fields as rows: their field, our type, their unit. The mapping and the docs are made of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import Record, is_number, number_of_text
from healthsync_mqtt.model.reasons import Reason, RefusedError

_ITS_OWN: Final = ""


class FieldRow(NamedTuple):
    """One number of theirs and what it is here.

    ``field`` is a path in the record. ``into``: the field of the value, "" for the type's first. ``unit``: theirs, ""
    where it is ours. ``low``: what is below it says that nothing was measured; so does 0 unless ``zero``. ``times``:
    how many of ours theirs stands for, where they count otherwise (strides).
    """

    field: str
    type: str
    unit: str = _ITS_OWN
    into: str = ""
    zero: bool = True
    low: float | None = None
    times: int = 1
    about: str = ""

    @property
    def ours(self) -> str:
        """The field of the value that it becomes."""
        return self.into or first_field(self.type)


def at_path(record: Record, path: str) -> Any:
    """What is at a path of keys; None where there is nothing."""
    found: Any = record
    for key in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def number_at(record: Record, path: str) -> float | None:
    """A number at a path, also one that is written as a text. Raises RefusedError for what is none."""
    found = at_path(record, path)
    if found is None or found == "":
        return None
    if is_number(found):
        return found  # type: ignore[no-any-return]  # it is one
    if isinstance(found, str):
        return number_of_text(found, path)
    if type(found) in {int, float}:
        raise RefusedError(Reason.BAD_NUMBER, path, f"{path} is beyond 2^53")
    raise RefusedError(Reason.WRONG_TYPE, path, f"{path} must be a number")


def amount(record: Record, rule: FieldRow) -> float | None:
    """What a rule finds in a record, in our unit; None where nothing was measured. Raises RefusedError."""
    found = number_at(record, rule.field)
    return None if found is None else converted(found, rule)


def converted(found: float, rule: FieldRow) -> float | None:
    """A number of theirs in our unit; None where it says that nothing was measured. Raises RefusedError."""
    if (not found and not rule.zero) or (rule.low is not None and found < rule.low):
        return None
    quantity = in_field(rule.type, rule.ours, found, rule.unit, own=(_ITS_OWN,), place=rule.field)
    return quantity * rule.times


def amounts(record: Record, rules: Iterable[FieldRow]) -> Iterator[tuple[FieldRow, float]]:
    """Each rule that finds something, and what."""
    for rule in rules:
        found = amount(record, rule)
        if found is not None:
            yield rule, found


def figures(record: Record, rules: Iterable[FieldRow]) -> dict[str, Any]:
    """The fields of one value; where two rules are of one field the first that finds something is it."""
    found: dict[str, Any] = {}
    for rule, each in amounts(record, rules):
        found.setdefault(rule.ours, each)
    return found


def word_of(found: Any, words: Mapping[str, str], otherwise: str) -> str:
    """Our word for theirs, however it is cased."""
    return words.get(found.strip().lower(), otherwise) if isinstance(found, str) else otherwise
