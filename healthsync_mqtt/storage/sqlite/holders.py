"""Who reads the log right now: processes that hold one of SQLite's read locks on the write-ahead log's index."""

from pathlib import Path

#: The bytes of ``-shm`` that readers lock (SQLite's "WAL-index", read marks 0 to 4).
_FIRST_READ_LOCK, _LAST_READ_LOCK = 123, 127


def readers_of(database: Path, locks: Path = Path("/proc/locks")) -> tuple[int, ...]:
    """Process ids, sorted; this process too while it reads. Nothing where the system does not tell (macOS)."""
    try:
        inode = database.with_name(f"{database.name}-shm").stat().st_ino
        lines = locks.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()
    found = set()
    for line in lines:
        # 1: POSIX  ADVISORY  READ 4242 fe:00:1835028 123 123
        fields = line.split()
        if len(fields) != 8 or fields[1] != "POSIX" or fields[5].rpartition(":")[2] != str(inode):
            continue
        first, last = int(fields[6]), (_LAST_READ_LOCK if fields[7] == "EOF" else int(fields[7]))
        if first <= _LAST_READ_LOCK and last >= _FIRST_READ_LOCK:
            found.add(int(fields[4]))
    return tuple(sorted(found))
