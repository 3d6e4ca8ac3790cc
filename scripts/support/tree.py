"""Checks of the tree: long modules, what a class name means, SQL in its own files, no secret, no half of a merge."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 400
WHY = re.compile(r"# long: \S")
SHORT = ("healthsync_mqtt/", "bridge/", "scripts/", "tests/support/")
SHIPPED = ("healthsync_mqtt/", "bridge/")
CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
#: Class names that two files may have, and why both mean the same.
SHARED_NAMES: dict[str, str] = {}
#: With the table's name: of one that is found while it runs the rest stands in the module.
STATEMENT = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH)\b.*\b(?:FROM|INTO|SET|TABLE|INDEX)\s+\w", re.DOTALL
)
#: Tests that ship may look below what they test, and what every SQLite file answers needs no file of its own.
SQL_ELSEWHERE = "healthsync_mqtt/testing/"
ANY_FILE = "FROM sqlite_schema"
SECRET_NAMES = re.compile(r"(\.key|\.pem|\.p12|\.token|\.db|id_ed25519)$")
SECRETS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}"),
    "a token": re.compile(r"eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{40,}"),
}

#: Git writes these around what two sides of a merge say; the line between them may underline a heading.
MERGE = re.compile(r"^(?:<{7}|>{7}|\|{7}) ", re.MULTILINE)


def tracked() -> list[Path]:
    """Every file that git knows or would add."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in sorted(set(names.split("\0"))) if name and (path := ROOT / name).is_file()]


def faults(files: list[Path]) -> Iterator[str]:
    """One line for each thing that must not be so."""
    classes: dict[str, list[str]] = defaultdict(list)
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if SECRET_NAMES.search(name) and not name.startswith("tests/fixtures/"):
            yield f"{name}: a file of this name is a secret or a database, and is not committed"
        text = path.read_bytes().decode("utf-8", "replace")
        for what, pattern in SECRETS.items():
            if pattern.search(text):
                yield f"{name}: holds {what}"
        if half := MERGE.search(text):
            yield f"{name}:{text.count(chr(10), 0, half.start()) + 1}: the mark of a merge that nobody has ended"
        lines = text.count("\n") if path.suffix == ".py" and name.startswith(SHORT) else 0
        if lines > LONGEST and not WHY.match(text):
            yield f"{name}: {lines} lines; past {LONGEST} the first line says why: `# long: …`"
        if path.suffix == ".py" and name.startswith(SHIPPED):
            for noun in CLASS.findall(text):
                classes[noun].append(name)
            for line in () if name.startswith(SQL_ELSEWHERE) else sql_lines(text):
                yield f"{name}:{line}: SQL; it stands by name in a .sql file beside (healthsync_mqtt/sql_files.py)"
    for noun, names in classes.items():
        if len(names) > 1 and noun not in SHARED_NAMES:
            yield f"{names[-1]}: a class of {names[0]} is called {noun} too; a name means one thing"


def sql_lines(module: str) -> Iterator[int]:
    """The lines of a module's text on which a statement of a database begins."""
    for node in ast.walk(ast.parse(module)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        if isinstance(text, str) and STATEMENT.match(text) and ANY_FILE not in text:
            yield node.lineno


def main() -> int:
    """Print the faults; the exit code says whether there are any."""
    found = list(faults(tracked()))
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
