"""A checkout whose environment was made before: scripts/up installs nothing."""

import sys
from pathlib import Path

from scripts.support import tree


def make_checkout(root: Path) -> Path:
    """Fill ``root`` with what scripts/up needs, and return it; ``.venv/bin`` runs the code of this tree."""
    (root / "scripts").mkdir(parents=True)
    for name in ("up", "support"):
        (root / "scripts" / name).symlink_to(tree.ROOT / "scripts" / name)
    (root / "certs").mkdir()
    made = root / ".venv" / "installed"
    made.mkdir(parents=True)
    (root / ".venv" / "bin").mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        (root / name).write_bytes((tree.ROOT / name).read_bytes())
    (made / "at").write_text(str(root))
    (made / "requirements.lock").write_bytes((root / "requirements.lock").read_bytes())
    (made / "requirements.lock.pyproject").write_bytes((root / "pyproject.toml").read_bytes())
    for name, command in (("python", ""), ("healthsync", '-c "from healthsync_mqtt.cli.main import main; main()"')):
        program = root / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        program.chmod(0o755)
    return root
