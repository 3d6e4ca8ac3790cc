"""Kinds of insights: those of the program, and modules of others, one of which may be broken."""

from pathlib import Path

import pytest

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.catalogue import SHIPPED, known

MINE = """
from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.port import Insight

def register():
    capability = InsightCapability(kind="{kind}", title="Mine", types=frozenset({{"steps"}}), days=7)
    return Insight(capability, lambda recent: [])
"""


def test_every_shipped_kind_is_named_like_its_module() -> None:
    found = known()
    assert tuple(found.insights) == SHIPPED
    assert found.broken == []
    for each in found.insights.values():
        assert each.capability.title
        assert each.capability.about


def test_a_file_of_the_data_directory_is_a_kind_and_a_broken_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE.format(kind="mine"))
    (tmp_path / "twice.py").write_text(MINE.format(kind="baseline"))
    (tmp_path / "no_insight.py").write_text("x = 1")
    (tmp_path / "wrong.py").write_text("1/0")
    found = known(tmp_path)
    assert tuple(found.insights) == (*SHIPPED, "mine")
    why = {Path(each.where).name: each.why for each in found.broken}
    assert why == {
        "twice.py": "InputError: there is another insight baseline",
        "no_insight.py": "InputError: the module has no register()",
        "wrong.py": "ZeroDivisionError: division by zero",
    }
    assert known().rules != found.rules, "what another module says is looked at again"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "daily"}, "no kind of insight"),
        ({"kind": "a/b"}, "no kind of insight"),
        ({"days": 0}, "looks at 0 days"),
        ({"days": 1000}, "looks at 1000 days"),
        ({"types": frozenset({"stepz"})}, "reads stepz"),
        ({"types": frozenset()}, "reads no type"),
        ({"types": frozenset({"menstruation"})}, "reads menstruation"),
    ],
)
def test_a_capability_that_cannot_be_is_refused(wrong: dict[str, object], says: str) -> None:
    right = {"kind": "mine", "title": "Mine", "types": frozenset({"steps"}), "days": 7}
    InsightCapability(**right)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=says):
        InsightCapability(**(right | wrong))  # type: ignore[arg-type]
