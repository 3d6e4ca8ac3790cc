"""docs/insights.md: its figures are of every shipped kind, and its example of a kind is one."""

import re
from pathlib import Path

from healthsync_mqtt.insights.catalogue import SHIPPED, known

PAGE = (Path(__file__).parents[3] / "docs/insights.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def test_the_figures_are_of_the_kinds_as_they_are_and_what_is_promised() -> None:
    rows = ROW.findall(PAGE)
    assert tuple(kind for kind, *_ in rows) == SHIPPED, "scripts/backtest writes them"
    for kind, about, planted, _, precision, recall in rows:
        assert about == known().insights[kind].capability.about
        assert int(planted) >= 100
        assert float(precision) >= 0.9, kind
        assert float(recall) >= 0.8, kind


def test_the_example_is_a_kind(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "many_steps.py").write_text(code)
    found = known(tmp_path)
    assert found.broken == []
    assert "many_steps" in found.insights
