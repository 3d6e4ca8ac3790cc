"""docs/guarantees.md: what it names as a trial exists, each promise has one, and no broker is praised untried."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py|test_\w+\*\.py|scripts/[\w-]+|tests/[\w/.]+)`", PAGE)))
FAULTS = PAGE.partition("## Under which faults")[2].partition("### Brokers")[0]
BROKERS = PAGE.partition("### Brokers that were tried")[2].partition("###")[0]


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    found = [ROOT / name] if "/" in name else list((ROOT / "tests").rglob(name))
    assert len(found) == 1
    assert found[0].exists()


def test_every_promise_says_under_which_faults_it_was_tried() -> None:
    promised = {row[0] for row in rows(PAGE.partition("## Under which faults")[0])}
    tried = {promise for row in rows(FAULTS) for promise in row[0].split()}
    assert promised == tried == {f"G{number}" for number in range(1, 9)}
    for promise, fault, tests in rows(FAULTS):
        assert fault
        assert re.search(r"`(?:test_|scripts/)", tests), f"{promise}: {fault} names no test"


def test_each_broker_names_its_tests_or_says_that_it_was_not_tried() -> None:
    shown = rows(BROKERS)
    assert len(shown) >= 5
    for broker, *cells in shown:
        for cell in cells:
            assert "`test_" in cell or cell.partition(":")[0] == "not tried", broker


@pytest.mark.parametrize(("soak", "short"), [
    ("scripts/soak", "test_soak.py"), ("scripts/soak-sinks", "test_sink_soak.py"),
    ("scripts/soak-external", "test_external_faults.py"), ("scripts/soak-adapters", "test_adapter_kills.py"),
    ("scripts/soak-postgres", "test_postgres_soak.py"),
])  # fmt: skip
def test_a_soak_is_named_beside_the_test_that_runs_it_in_short(soak: str, short: str) -> None:
    beside = [line for line in PAGE.splitlines() if f"`{soak}`" in line]
    assert any(f"`{short}`" in line for line in beside)
