"""What the shipped kinds of insights find in synthetic lives, into docs/insights.md."""

import re
import sys
from pathlib import Path
from typing import Final

from healthsync_mqtt.insights.catalogue import SHIPPED, known
from tests.support.backtest import Score, backtest

PAGE: Final = Path(__file__).parents[2] / "docs/insights.md"
LIVES: Final = range(5_000, 5_200)
"""Seeds that no threshold was chosen by."""
_TABLE: Final = re.compile(r"(<!-- backtest -->\n).*?(<!-- end -->)", re.DOTALL)


def table(scores: dict[str, Score]) -> str:
    """A row for each kind."""
    rows = [
        f"| `{kind}` | {known().insights[kind].capability.about} | {each.planted} | {each.said}"
        f" | {each.precision:.2f} | {each.recall:.2f} |"
        for kind, each in scores.items()
    ]
    head = "| kind | what it takes | planted | said | precision | recall |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def main() -> int:
    """1 where a kind is below what is promised."""
    scores = backtest({kind: known().insights[kind] for kind in SHIPPED}, LIVES)
    text = table(scores)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda found: found[1] + text + found[2], page), encoding="utf-8")
    sys.stdout.write(text)
    return int(any(each.precision < 0.9 or each.recall < 0.8 for each in scores.values()))


if __name__ == "__main__":
    sys.exit(main())
