"""``python -m bridge``: the bridge alone, on the external broker of its settings. As ``healthsync bridge run``."""

import argparse
import json
import os
import sys
from pathlib import Path

from bridge.external_service import ExternalBridge
from bridge.standalone import run
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.telemetry.log import configure


def main() -> int:
    """Exit codes as of ``healthsync``."""
    parser = argparse.ArgumentParser(prog="python -m bridge", description="The bridge, on an external MQTT broker.")
    parser.add_argument("--data", type=Path, help="the data directory (HEALTHSYNC_DATA, else ./data)")
    parser.add_argument("--shard", help="which part of the users, such as 2/8")
    parser.add_argument("--share", help="name of the group of bridges that share all messages")
    parser.add_argument("--json", action="store_true", help="print a JSON line when it is ready")
    arguments = parser.parse_args()
    try:
        settings = load_settings(arguments.data, {"external.shard": arguments.shard, "external.share": arguments.share})
        configure(settings.log.level, settings.log.format)
        run(settings, say=ready_line if arguments.json else _nothing)
    except HealthSyncError as error:
        sys.stderr.write(f"error: {error}\n" + (f"fix: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    return 0


def ready_line(bridge: ExternalBridge) -> None:
    """One JSON line on stdout."""
    sys.stdout.write(json.dumps({"event": "ready", "pid": os.getpid(), "epoch": bridge.journal.epoch}) + "\n")
    sys.stdout.flush()


def _nothing(_bridge: ExternalBridge) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
