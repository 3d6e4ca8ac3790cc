"""scripts/bench: runs the rows, prints the table, writes the JSON."""

import argparse
import resource
import sys
import tempfile
from pathlib import Path

from tests.support.bench import (
    backups,
    clouds,
    days,
    explorer,
    external,
    formats,
    gateway,
    groups,
    imports,
    pictures,
    postgres,
    rows,
    sealed,
    sinks,
    users,
)
from tests.support.bench.result import machine, table, write
from tests.support.bench.setting import Setting, progress

ROWS = (
    rows.ROWS
    | sealed.ROWS
    | groups.ROWS
    | users.ROWS
    | formats.ROWS
    | imports.ROWS
    | sinks.ROWS
    | days.ROWS
    | clouds.ROWS
    | explorer.ROWS
    | pictures.ROWS
    | external.ROWS
    | postgres.ROWS
    | backups.ROWS
    | gateway.ROWS
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="The table of docs/guarantees.md, with floors.")
    parser.add_argument("--only", action="append", choices=sorted(ROWS), help="one row; may be given again")
    parser.add_argument("--seconds", type=float, default=5, help="length of one measurement (default 5)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements a row (default 3); the median counts")
    parser.add_argument("--full", action="store_true", help="20 M stored events and 10,000 connections; takes long")
    parser.add_argument("--directory", type=Path, help="where the stores are made (default: the temporary directory)")
    parser.add_argument("--output", type=Path, default=Path("bench-results.json"))
    return parser.parse_args()


def main() -> int:
    """Exit code 1 when a row failed to run; a missed target is a figure, not a failure."""
    asked = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    about = machine() | {"seconds": asked.seconds, "repeats": asked.repeats, "full": asked.full}
    results, failed = [], []
    with tempfile.TemporaryDirectory(prefix="healthsync-bench-", dir=asked.directory) as directory:
        setting = Setting(directory=Path(directory), seconds=asked.seconds, repeats=asked.repeats, full=asked.full)
        for name, row in ROWS.items():
            if asked.only and name not in asked.only:
                continue
            progress(name)
            try:
                results += row(setting)
            except Exception as error:  # noqa: BLE001  # the other rows are still worth their time
                progress(f"  failed: {type(error).__name__}: {error}")
                failed.append(name)
    sys.stdout.write(f"{table(results)}\n\n{about['cores']} cores, Python {about['python']}, {about['system']}\n")
    write(asked.output, results, about)
    if failed:
        progress(f"rows that could not be measured: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
