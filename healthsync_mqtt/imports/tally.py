"""What an import came to: counted as it is read and as receipts come, with the first examples of what was not taken."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from healthsync_mqtt.imports.port import LeftOut, Read, Remark, Remembered

_EXAMPLES: Final = 3
_REMARKS: Final = 50


@dataclass(slots=True)
class Tally:
    """Of what was read; what receipts said is ``client.carriage``'s."""

    types: Counter[str] = field(default_factory=Counter)
    years: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)
    #: what kinds want to know at the next import of the same device
    memory: dict[str, bytes] = field(default_factory=dict)

    def event(self, item: Read) -> None:
        """An event that will be published."""
        self.types[str(item.event.get("type"))] += 1
        self.years[str(item.event.get("start_time") or "")[:4] or "none"] += 1

    def aside(self, item: LeftOut | Remark | Remembered) -> None:
        """Something that becomes none."""
        if isinstance(item, Remembered):
            self.memory[item.kind] = item.state
            return
        if isinstance(item, Remark):
            if len(self.warnings) < _REMARKS:
                self.warnings.append({"place": item.place, "message": item.text})
            return
        word = item.reason.value
        self.left_out[word] += item.count
        shown = self.examples.setdefault(word, [])
        if len(shown) < _EXAMPLES:
            shown.append({"place": item.place, "message": item.text})

    def join(self, other: "Tally") -> None:
        """Count another archive in."""
        self.types += other.types
        self.years += other.years
        self.left_out += other.left_out
        for word, examples in other.examples.items():
            self.examples[word] = (self.examples.get(word, []) + examples)[:_EXAMPLES]
        self.warnings = (self.warnings + other.warnings)[:_REMARKS]

    def as_dict(self) -> dict[str, Any]:
        """The keys of ``--json``."""
        return {
            "left_out": dict(sorted(self.left_out.items())),
            "types": dict(sorted(self.types.items())),
            "years": dict(sorted(self.years.items())),
            "left_out_examples": self.examples,
            "warnings": self.warnings,
        }
