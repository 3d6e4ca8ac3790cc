"""How a command of ours is typed on this machine: by which account, with which program, on which data directory."""

import os
import pwd
import re
import shlex
import shutil
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "healthsync"
_COMMAND = re.compile(
    rf"(?<![\w./-]){PROGRAM} (?!mcp\b)"
    r"((?:up|status|doctor|publish|import|replay|restore|sample|simulate|summary|trace|version)\b"
    r"|(?:broker password|sink add) [a-z]+|[a-z]+ [a-z]+(?:-[a-z]+)*)"
    r"(?P<named>(?=[^\n;]* --data))?"
)
"""A command in a text, as all of our texts write them; ``mcp`` runs elsewhere and has no data directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """What is typed differently here than texts write it; nothing is, by default."""

    account: str = ""
    """What comes before the program, such as ``sudo -u healthsync``."""
    program: str = PROGRAM
    data: str = ""
    """The data directory, where it is neither the default one nor in the environment."""

    def of(self, text: str) -> str:
        """The text, with each command in it as it has to be typed here."""
        return _COMMAND.sub(self._typed, text)

    def _typed(self, found: "re.Match[str]") -> str:
        data = f" --data {shlex.quote(self.data)}" if self.data and found["named"] is None else ""
        return f"{self.account} {self.program} {found[1]}{data}".lstrip()


_PLAIN = Spelling()
here: ContextVar[Spelling] = ContextVar("here", default=_PLAIN)
"""As the running command was typed."""


def spelled(text: str) -> str:
    """The text, with each command in it as it has to be typed here."""
    return here.get().of(text)


def program() -> str:
    """How this program is called here: its name where the PATH finds it, else its path, the shorter way."""
    called = Path(sys.argv[0])
    found = shutil.which(PROGRAM)
    if called.name != PROGRAM or (found is not None and Path(found).samefile(called)):
        return PROGRAM
    return nearby(called)


def nearby(path: Path) -> str:
    """A path as it is typed in this directory: from here where it lies below, else whole."""
    near = os.path.relpath(path)
    return str(path.absolute()) if near.startswith("..") or Path.cwd() == Path("/") else near


def asked_by() -> str:
    """What comes before the program when somebody runs it as another account with sudo; else nothing."""
    asker = os.environ.get("SUDO_UID", "")
    if not asker.isdecimal() or int(asker) == os.geteuid():
        return ""
    return f"sudo -u {_name(os.geteuid())}" if os.geteuid() else "sudo"


def as_owner(owner: os.stat_result, data: Path) -> str:
    """The command line of now, as it has to be typed to run as the account of ``owner`` on ``data``."""
    line = [program(), *sys.argv[1:]]
    if not any(word == "--data" or word.startswith("--data=") for word in line):
        line += ["--data", str(data.absolute())]
    uid, name = owner.st_uid, _name(owner.st_uid)
    if shutil.which("sudo") or os.geteuid() != 0:
        return f"sudo -u {name} {shlex.join(line)}"
    groups = "--clear-groups" if name.startswith("'#") else "--init-groups"
    return f"setpriv --reuid={uid} --regid={owner.st_gid} {groups} {shlex.join(line)}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"'#{uid}'"
