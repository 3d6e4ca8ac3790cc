"""``python -m bridge``: the bridge alone, on the external broker of its settings. As ``healthsync bridge run``."""

import argparse
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.external import ExternalEdge
from bridge.hangup import hear_early
from bridge.process import run, serve
from bridge.service import Ready
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.storage.anchor import AnchorComparison
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.telemetry.log import configure


def main() -> int:
    """Exit codes as of ``healthsync``."""
    hear_early()
    parser = argparse.ArgumentParser(prog="python -m bridge", description="The bridge, on an external MQTT broker.")
    parser.add_argument("--data", type=Path, help="the data directory (HEALTHSYNC_DATA, else ./data)")
    parser.add_argument("--shard", help="which part of the users, such as 2/8")
    parser.add_argument("--share", help="name of the group of bridges that share all messages")
    parser.add_argument(
        "--accept-restored",
        action="store_true",
        help="take a log that was put back, and let devices send their last 72 hours again",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON line when it is ready")
    arguments = parser.parse_args()

    @asynccontextmanager
    async def around(ready: Ready) -> AsyncIterator[None]:
        if arguments.json:
            line = {"event": "ready", "pid": os.getpid(), "epoch": ready.service.journal.epoch}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        yield

    def read() -> Settings:
        options = {"external.shard": arguments.shard, "external.share": arguments.share}
        settings = load_settings(arguments.data, options)
        configure(settings.log.level, settings.log.format)
        return settings

    try:
        settings = read()
        if arguments.accept_restored:
            _accept_restored(settings)
        run(lambda: serve(settings, ExternalEdge.open, around, reread=read))
    except HealthSyncError as error:
        sys.stderr.write(f"error: {error}\n" + (f"fix: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    return 0


def _accept_restored(settings: Settings) -> None:
    """Take the log as it is, with a new epoch; written down before, as ``healthsync bridge run`` does."""
    audit = AuditLog.open(settings.paths.audit_db, settings.paths.audit_key)

    def told(seen: AnchorComparison, epoch: str) -> None:
        detail = {"verdict": seen.verdict.value, "epoch": epoch, "rows": seen.head}
        audit.append("storage.restored", actor="service", now_us=time.time_ns() // 1000, detail=detail)

    open_log(settings.data, accept_restored=told).close()


if __name__ == "__main__":
    sys.exit(main())
