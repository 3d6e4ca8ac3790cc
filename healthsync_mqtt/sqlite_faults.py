"""What an error of SQLite asks of whoever runs the program: each cause has its own fix, and few are the disk's."""

from collections.abc import Mapping
from errno import EDQUOT, ENOSPC
from types import MappingProxyType
from typing import Final

_OWNER: Final = "look at the owner and mode of the file and of its directory, and whether its disk is mounted read-only"
_BUSY: Final = "another process holds it: try again, and end a command that is stuck"
_DISK: Final = "its disk or file system fails: look at the system's log"
_FULL: Final = "the disk is full: make room on it"
_DAMAGED: Final = "restore it from a backup"
_STRANGE: Final = "it is not as this program left it: restore it from a backup, or report this message"

_FIXES: Final[Mapping[int, str]] = MappingProxyType(
    {
        3: _OWNER,  # PERM
        5: _BUSY,
        6: _BUSY,  # LOCKED
        7: "the machine has no memory left",
        8: _OWNER,  # READONLY
        10: _DISK,  # IOERR
        11: _DAMAGED,  # CORRUPT
        13: _FULL,
        14: _OWNER,  # CANTOPEN
        26: _DAMAGED,  # NOTADB
    }
)
"""By SQLite's primary result codes."""


def fix_of(error: Exception) -> str:
    """What to do about an error of the standard library's SQLite, of apsw, or of the system below them."""
    if isinstance(error, OSError):
        return _FULL if error.errno in {ENOSPC, EDQUOT} else _OWNER if isinstance(error, PermissionError) else _DISK
    code = getattr(error, "sqlite_errorcode", None) or getattr(error, "result", None) or 0
    return _FIXES.get(code & 0xFF, _STRANGE)
