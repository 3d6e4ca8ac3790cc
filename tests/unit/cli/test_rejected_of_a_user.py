"""rejected purge and replay of one user: nobody else's events are meant, and a user who is not there is told."""

from pathlib import Path
from typing import Any

import pytest


def test_the_question_and_the_fix_name_the_user(run: Any, lines: Any) -> None:
    lines("user", "add", "alice", "--consent", "all")
    result = run("rejected", "purge", "--user", "alice", "--older-than", "30d")
    assert result.exit_code == 2
    assert "of alice" in result.stderr
    assert "rejected purge --user alice --older-than 30d --yes" in result.stderr


@pytest.mark.parametrize(
    "words", [("purge", "--yes"), ("purge", "--dry-run"), ("purge",), ("replay", "--all")], ids=" ".join
)
def test_a_user_who_is_not_there_is_told_before_the_audit_line(
    run: Any, lines: Any, data: Path, words: tuple[str, ...]
) -> None:
    lines("user", "add", "alice", "--consent", "all")
    before = run("audit", "list").stdout
    result = run("rejected", *words, "--user", "nobody")
    assert result.exit_code == 1
    assert "nobody" in result.stderr
    assert run("audit", "list").stdout == before, data
