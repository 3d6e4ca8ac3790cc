"""A row of the benchmark and the two ways it is written."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measured quantity. ``values`` holds every repeat; ``floor``, ``own`` and ``stock`` are medians of this run.

    ``target`` is the text of docs/guarantees.md; ``met`` is None where a run of this size cannot tell.
    """

    row: str
    work: str
    unit: str
    values: Sequence[float]
    target: str
    met: bool | None
    floor: float | None = None
    own: float | None = None
    stock: float | None = None
    note: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def number(value: float) -> str:
    """Thousands separated; decimals only where they say something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def spread(values: Sequence[float]) -> str:
    """``min to max`` of the repeats."""
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""


def ratio(value: float, other: float | None) -> str:
    return f"{value / other:.2f} x" if other else ""


def table(results: Sequence[Result]) -> str:
    """The results as a markdown table."""
    verdicts = {True: "met", False: "**missed**", None: "open"}
    lines = [
        "| work | measured (median) | spread | target | | of the floor | of our own floor | of stock amqtt | note |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        cells = (
            result.work,
            f"{number(result.median)} {result.unit}",
            spread(result.values),
            result.target,
            verdicts[result.met],
            ratio(result.median, result.floor),
            ratio(result.median, result.own),
            ratio(result.median, result.stock),
            result.note,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def write(path: Path, results: Sequence[Result], about: dict[str, Any]) -> None:
    """The results as JSON, with the machine they were measured on."""
    rows = [asdict(result) | {"median": result.median} for result in results]
    path.write_text(json.dumps({"machine": about, "results": rows}, indent=2, default=list) + "\n")
