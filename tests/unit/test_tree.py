"""What scripts/check says of the tree: each fault is found where it is planted, and none beside it."""

from pathlib import Path

import pytest

from scripts.support import tree

SQL = 'OF: str = "SELECT name FROM links WHERE id = ?"\n'
PLANTED = [
    ("healthsync_mqtt/links.py", SQL, "healthsync_mqtt/links.py:1: SQL;"),
    ("bridge/links.py", 'def of(who: str) -> str:\n    return f"DELETE FROM links {who}"\n', "bridge/links.py:2: SQL;"),
    ("bridge/bytes.py", 'ADD = b"INSERT INTO links VALUES (1)"\n', "bridge/bytes.py:1: SQL;"),
    ("bridge/long.py", "x = 1\n" * 401, "bridge/long.py: 401 lines;"),
    ("tests/server.key", "", "tests/server.key: a file of this name"),
    ("docs/a.md", "-----BEGIN PRIVATE" + " KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n", "docs/a.md: holds a private key"),
    ("docs/b.md", "One\n===\n" + "<" * 7 + " HEAD\nTwo\n", "docs/b.md:3: the mark of a merge"),
    ("docs/c.md", "Two\n" + ">" * 7 + " 3e7b34b4 (Two)\n", "docs/c.md:2: the mark of a merge"),
]
RIGHT = [
    ("healthsync_mqtt/words.py", '"""Select a link from the table of links, update its set."""\nx = "SELECT"\n'),
    ("healthsync_mqtt/any_file.py", 'TABLES = "SELECT count(*) FROM sqlite_schema"\n'),
    ("healthsync_mqtt/any_table.py", "def of(table: str) -> str:\n    return f'SELECT * FROM \"{table}\"'\n"),
    ("healthsync_mqtt/testing/rows_contract.py", SQL),
    ("tests/support/rows.py", SQL),
    ("docs/heading.md", "Heading\n" + "=" * 7 + "\n    >>>>>>> a line of an example\n"),
    ("bridge/long.py", "# long: one table\n" + "x = 1\n" * 401),
]


ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tests/unit"
TESTED_ELSEWHERE = {
    **{
        f"healthsync_mqtt/broker/external/{broker}": ("tests/unit/broker/external/test_*.py",)  # one table of them all
        for broker in ("emqx", "hivemq", "mosquitto", "rabbitmq", "vernemq")
    },
    "healthsync_mqtt/gateway/registry": ("tests/unit/gateway/routes/people/test_*.py",),
    # no double of a server is worth the name
    "healthsync_mqtt/identity/people/postgres": ("tests/integration/test_postgres_registry.py",),
    "healthsync_mqtt/postgres": ("tests/integration/test_postgres_service.py",),
    "healthsync_mqtt/storage/postgres": ("tests/integration/test_postgres_log.py",),
    "healthsync_mqtt/sinks/kafka": ("tests/integration/test_sink_kafka.py",),
}
"""Packages without a folder in tests/unit, and where their tests are."""


def said(root: Path, monkeypatch: pytest.MonkeyPatch, files: list[tuple[str, str]]) -> list[str]:
    monkeypatch.setattr(tree, "ROOT", root)
    paths = [root / name for name, _ in files]
    for path, (_, text) in zip(paths, files, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(tree.faults(paths))


@pytest.mark.parametrize(("name", "text", "fault"), PLANTED, ids=[each[0] for each in PLANTED])
def test_a_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, fault: str) -> None:
    (found,) = said(tmp_path, monkeypatch, [(name, text)])
    assert found.startswith(fault)


def test_a_name_means_one_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = "class Verdict:\n    class Inner: ...\n"
    files = [(name, verdict) for name in ("bridge/a.py", "healthsync_mqtt/b.py", "tests/c.py")]
    (found,) = said(tmp_path, monkeypatch, files)
    assert found.startswith("healthsync_mqtt/b.py: a class of bridge/a.py is called Verdict too")


def test_what_is_right_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(tmp_path, monkeypatch, RIGHT) == []


def _packages() -> dict[Path, Path]:
    """Each package, and the folder of its unit tests."""
    found = {}
    for top, tests in (("healthsync_mqtt", UNIT), ("bridge", UNIT / "bridge")):
        for init in (ROOT / top).rglob("__init__.py"):
            package = init.parent
            found[package] = tests / package.relative_to(ROOT / top)
    return found


def test_unit_tests_lie_as_the_packages_do() -> None:
    packages = {package.relative_to(ROOT).as_posix(): folder for package, folder in _packages().items()}
    tested = {name for name, folder in packages.items() if any(folder.rglob("test_*.py"))}
    assert packages.keys() - tested == TESTED_ELSEWHERE.keys()
    assert [place for places in TESTED_ELSEWHERE.values() for place in places if not any(ROOT.glob(place))] == []


def test_no_folder_of_unit_tests_is_of_a_package_that_is_gone() -> None:
    folders = {file.parent for file in UNIT.rglob("test_*.py")} - {UNIT}
    assert {each.relative_to(UNIT).as_posix() for each in folders - set(_packages().values())} == set()
