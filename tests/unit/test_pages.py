"""Pages that people write by hand name what exists, and the meta files say what the tree does."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
#: Two digits only: rules of linters have three.
_ID = re.compile(r"\b([TF])(\d{1,2})\b(?:\s*(to|-)\s*[TF](\d{1,2})\b)?")
_PATH = re.compile(r"`((?:bridge|clients|healthsync_mqtt|tests|scripts|deploy|docs)/[\w./-]*)`")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tracked(*patterns: str) -> list[str]:
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def cited(text: str) -> set[str]:
    """Every id, those inside a span like "T21 to T25" too."""
    found = set()
    for letter, first, _, last in _ID.findall(text):
        found |= {f"{letter}{number:02}" for number in range(int(first), int(last or first) + 1)}
    return found


def rows() -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in read("docs/threats.md").splitlines()]
    return {row[0]: row[1:] for row in cells if len(row) == 4 and _ID.fullmatch(row[0])}


def test_ids_are_found_in_spans_too() -> None:
    assert cited("T08, T11 to T13 and T16; T01-T02; F401, T1234") == {
        *("T08", "T11", "T12", "T13", "T16", "T01", "T02"),
    }


def test_every_threat_that_code_and_tests_cite_is_explained() -> None:
    known = rows()
    missing = {
        name: unknown
        for name in tracked("*.py", "*.md", "*.sql", "scripts/*", "deploy/*")
        if name != "tests/unit/test_pages.py" and (unknown := cited(read(name)) - known.keys())
    }
    assert missing == {}


def test_every_threat_is_tried_by_a_test_that_exists_or_belongs_to_what_does_not() -> None:
    for name, (_, answer, tried) in rows().items():
        files = _PATH.findall(tried)
        assert all((ROOT / file).is_file() for file in files), name
        assert bool(files) != (answer == "later"), name


def test_a_test_that_cites_a_threat_in_its_first_line_is_named_with_it() -> None:
    known = rows()
    for name in tracked("tests/*.py"):
        if name != "tests/unit/test_pages.py":
            for threat in cited(read(name).partition("\n")[0]):
                assert f"`{name}`" in known[threat][2], f"{name} tries {threat}; docs/threats.md does not say so"


def test_code_cites_no_page_outside_of_this_tree() -> None:
    names = [name for name in tracked("*.py", "*.sql", "*.toml", "scripts/*") if name != "tests/unit/test_pages.py"]
    assert [name for name in names if re.search(r"\bDESIGN\b|STYLE\.md", read(name))] == []


@pytest.mark.parametrize("page", [name for name in tracked("*.md") if name != "CHANGELOG.md"], ids=lambda name: name)
def test_paths_in_pages_exist(page: str) -> None:
    named = {path.rstrip("/.") for path in _PATH.findall(read(page))}
    built = {line.strip("/") for line in read(".gitignore").splitlines() if line.startswith("/")}
    assert {path for path in named - built if not (ROOT / path).exists()} == set()


def test_every_room_is_on_the_page_about_architecture() -> None:
    page = read("docs/architecture.md")
    rooms = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("healthsync_mqtt/*/__init__.py")}
    assert len(rooms) > 10
    assert {room for room in rooms if f"`{room}/`" not in page} == set()
    assert {path.parent.name for path in ROOT.glob("bridge/*/__init__.py")} <= set(re.findall(r"\w+", page))


def test_the_words_of_the_rooms_are_in_the_glossary() -> None:
    entries = re.findall(r"^\| \*\*(.+?)\*\*", read("docs/glossary.md"), re.MULTILINE)
    words = {word.strip() for entry in entries for word in entry.split(",")}
    assert words >= {
        *("adapter", "gateway", "bridge", "sink", "batch", "receipt", "delivery", "template", "topic filter"),
        *("decode", "authorise", "journal", "acknowledge", "publish", "ship", "quarantine", "consent", "presence"),
        *("stored", "duplicate", "rejected", "failed", "epoch", "seq", "cursor", "birth", "will"),
    }
    assert entries == sorted(entries, key=str.lower)


def test_the_tree_is_written_as_editorconfig_says() -> None:
    rules = read(".editorconfig")
    assert "insert_final_newline = true" in rules
    assert f"max_line_length = {tomllib.loads(read('pyproject.toml'))['tool']['ruff']['line-length']}" in rules
    text = [name for name in tracked() if not name.endswith((".db", ".fit", ".gz", ".png", ".xz"))]
    for name in text:
        content = (ROOT / name).read_bytes()
        assert not content or content.endswith(b"\n"), name
        assert b"\r\n" not in content, name


def test_the_hook_before_a_commit_runs_the_check_of_this_tree_and_downloads_nothing() -> None:
    (only,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert only["repo"] == "local"
    (hook,) = only["hooks"]
    assert (hook["entry"], hook["language"], hook["pass_filenames"]) == ("scripts/check", "script", False)
    assert (ROOT / hook["entry"]).stat().st_mode & 0o111
