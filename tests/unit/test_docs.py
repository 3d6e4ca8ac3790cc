"""The documents say what the code says: generated pages are current, links lead somewhere, nothing is left out."""

import re
from pathlib import Path

import pytest
import typer.main

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.topics.registry import TopicRegistry
from scripts.support import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("certs/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reference.PAGES)
def test_generated_page_is_current(name: str) -> None:
    assert reference.page(name) == read(f"docs/reference/{name}"), "run scripts/docs"


def test_every_command_has_help_and_an_entry() -> None:
    page = read("docs/reference/cli.md")
    names = [name for name, command in reference.commands(typer.main.get_command(app), "healthsync")]
    assert len(names) > 15
    for name, command in reference.commands(typer.main.get_command(app), "healthsync"):
        assert f"## {name}\n" in page
        assert command.help
        assert "Example" in command.help, f"{name} has no example in its help"


def test_every_option_is_explained() -> None:
    for name, command in reference.commands(typer.main.get_command(app), "healthsync"):
        for row in reference.parameter_rows(command):
            assert not row.endswith("|  |"), f"{name}: {row}"


def test_every_topic_reason_type_and_setting_is_documented() -> None:
    topics, reasons = read("docs/reference/topics.md"), read("docs/reference/reasons.md")
    events, settings = read("docs/reference/events.md"), read("docs/reference/settings.md")
    assert all(f"`{channel.template.text}`" in topics for channel in TopicRegistry.load())
    assert all(f"| `{reason.value}` |" in reasons for reason in Reason)
    assert all(f"## {name}\n" in events for name in CATALOGUE)
    assert all(f"| `{setting.key}` |" in settings for setting in Settings().describe())
    assert all(setting.summary for setting in Settings().describe())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    targets = [target for target, _ in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in target]
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert missing == []


def test_every_dependency_has_its_reason() -> None:
    text = read("docs/decisions.md")
    declared = re.findall(r'^    "([a-z][a-z-]*)', read("pyproject.toml").split("[project.scripts]")[0], re.MULTILINE)
    names = [name for name in declared if name not in {"healthsync", "python"}]
    assert len(names) > 10
    missing = [name for name in names if not re.search(rf"^\|[^|]*\b{name}\b", text, re.MULTILINE)]
    assert missing == []


def test_the_readme_opens_with_the_two_commands() -> None:
    opening = read("README.md").split("```")[1]
    assert [line.split("#")[0].strip() for line in opening.splitlines()[1:] if line] == ["scripts/up", "scripts/test"]


def test_decisions_stand_in_order() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", read("docs/decisions.md"), re.MULTILINE)]
    assert len(numbers) > 100
    assert numbers == sorted(set(numbers))


def test_the_readmes_layout_names_what_is_there() -> None:
    layout = read("README.md").split("## Layout")[1].split("```")[1]
    rooms = {
        "bridge": {path.name for path in (ROOT / "bridge").iterdir() if path.is_dir()},
        "healthsync_mqtt": {path.name for path in (ROOT / "healthsync_mqtt").iterdir() if path.is_dir()},
        "scripts": {path.name for path in (ROOT / "scripts").iterdir()} - {"support"},
        "docs": {path.stem for path in (ROOT / "docs").iterdir()},
        "tests": {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()},
    }
    parts = {part.split("/")[0]: part for part in re.split(r"\n(?=\S)", layout.strip())}
    for room, names in rooms.items():
        missing = [
            name for name in names if not name.startswith("_") and not re.search(rf"(?<![\w-]){name}\b", parts[room])
        ]
        assert missing == [], room
