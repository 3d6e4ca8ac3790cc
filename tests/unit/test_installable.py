"""No text tells people to install a package of ours from a registry: it is in none."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FROM_A_REGISTRY = re.compile(r"pip install (?:-\S+ )*['\"]?healthsync-mqtt")


def test_pip_lines_name_what_can_be_had() -> None:
    texts = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("deploy/**/*"),
        *ROOT.glob("healthsync_mqtt/**/*.py"),
    ]
    found = [
        path.relative_to(ROOT).as_posix()
        for path in texts
        if path.is_file() and FROM_A_REGISTRY.search(path.read_text(encoding="utf-8"))
    ]
    assert len(texts) > 100
    assert found == []
